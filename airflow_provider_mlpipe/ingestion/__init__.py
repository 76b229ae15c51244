"""Ingestion: from a database, an API or files to a published artifact of stage ``raw``.

`ingest` is the stage. `IngestionConfig` with `DatabaseIngestion`, `APIIngestion` and `FileIngestion` is the same for
a script that wants one parquet file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.ingestion.adoption import adopt
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.gathering import gather
    from airflow_provider_mlpipe.ingestion.jobs import (
        APIIngestion,
        DatabaseIngestion,
        DataSourceType,
        FileIngestion,
        IngestionConfig,
        IngestionMetrics,
    )
    from airflow_provider_mlpipe.ingestion.pipeline import ingest

__all__ = [
    "APIIngestion",
    "Connection",
    "DataSourceType",
    "DatabaseIngestion",
    "FileIngestion",
    "IngestionConfig",
    "IngestionMetrics",
    "adopt",
    "gather",
    "ingest",
]

_HOMES = {"adopt": "adoption", "Connection": "connection", "gather": "gathering", "ingest": "pipeline"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'jobs')}"), name)
