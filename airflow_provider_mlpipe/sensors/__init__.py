"""Sensors: tasks that wait.

Importing this costs no more than importing Airflow itself: each sensor comes when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.sensors.feature_freshness import FeatureFreshnessSensor
    from airflow_provider_mlpipe.sensors.new_objects import NewObjectsSensor
    from airflow_provider_mlpipe.sensors.new_rows import NewRowsSensor

__all__ = ["FeatureFreshnessSensor", "NewObjectsSensor", "NewRowsSensor"]

_HOMES = {
    "FeatureFreshnessSensor": "feature_freshness",
    "NewObjectsSensor": "new_objects",
    "NewRowsSensor": "new_rows",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the classes above
    """Import a sensor when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
