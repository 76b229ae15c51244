"""Messages about runs, for whatever notifiers Airflow has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.notifications.notifier import MlpipeNotifier

__all__ = ["MlpipeNotifier"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the class above
    """Import the notifier when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow_provider_mlpipe.notifications.notifier import MlpipeNotifier

    return MlpipeNotifier
