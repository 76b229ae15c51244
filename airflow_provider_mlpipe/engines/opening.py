"""Opening the engine whose settings are given."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings
from airflow_provider_mlpipe.engines.spark import SparkEngine, SparkSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.engines.engine import Engine

__all__ = ["EngineSettings", "open_engine"]

EngineSettings = DuckDBSettings | SparkSettings
"""What an engine may take; its type says which engine."""


@contextmanager
def open_engine(settings: EngineSettings | None = None) -> Iterator[Engine]:
    """Open the engine that the settings are of; DuckDB if there are none."""
    if isinstance(settings, SparkSettings):
        with SparkEngine.open(settings) as spark:
            yield spark
    else:
        with DuckDBEngine.open(settings) as duckdb:
            yield duckdb
