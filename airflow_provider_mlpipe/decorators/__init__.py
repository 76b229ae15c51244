"""Task decorators: a function says what to do, an operator of ours does it.

Airflow finds them by name, ``@task.mlpipe_ingest``; imported from here they are typed::

    from airflow_provider_mlpipe.decorators import mlpipe_ingest

    @mlpipe_ingest(required_columns=["order_id"])
    def orders():
        yield {"order_id": 1}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.decorators.features import mlpipe_features
    from airflow_provider_mlpipe.decorators.ingest import mlpipe_ingest
    from airflow_provider_mlpipe.decorators.validate import mlpipe_validate

__all__ = ["mlpipe_features", "mlpipe_ingest", "mlpipe_validate"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the decorators above
    """Import a decorator when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{name.removeprefix('mlpipe_')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
