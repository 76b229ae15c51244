"""Triggers: what waits in Airflow's triggerer, for tasks that are deferred and for assets.

Importing this costs nothing: each trigger comes when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.triggers.freshness import FeatureFreshnessTrigger
    from airflow_provider_mlpipe.triggers.sources import ApiAnswersTrigger, NewObjectsTrigger, NewRowsTrigger

__all__ = ["ApiAnswersTrigger", "FeatureFreshnessTrigger", "NewObjectsTrigger", "NewRowsTrigger"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the classes above
    """Import a trigger when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "freshness" if name == "FeatureFreshnessTrigger" else "sources"
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
