"""Choosing an engine by its name, and opening the one whose settings are given."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings
from airflow_provider_mlpipe.engines.spark import SparkEngine, SparkScanner, SparkSettings
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.engines.engine import Engine

__all__ = ["EngineSettings", "open_engine", "open_scanner", "settings_named"]

EngineSettings = DuckDBSettings | SparkSettings
"""What an engine may take; its type says which engine."""


def settings_named(
    *names: str | None, duckdb: DuckDBSettings | None = None, spark: SparkSettings | None = None
) -> EngineSettings:
    """Return the settings of the first engine that is named, of DuckDB if none is.

    Args:
        names: ``duckdb``, ``spark`` or nothing, the one that decides first.
        duckdb: what DuckDB may take.
        spark: which Spark.

    Raises:
        ConfigError: there is no engine of that name.
    """
    name = next((name for name in names if name), "duckdb")
    if name == "spark":
        return spark or SparkSettings()
    if name == "duckdb":
        return duckdb or DuckDBSettings()
    raise ConfigError.unknown_name(where="engine", kind="engine", name=name, known=("duckdb", "spark"))


@contextmanager
def open_engine(settings: EngineSettings | None = None) -> Iterator[Engine]:
    """Open the engine that the settings are of; DuckDB if there are none."""
    if isinstance(settings, SparkSettings):
        with SparkEngine.open(settings) as spark:
            yield spark
    else:
        with DuckDBEngine.open(settings) as duckdb:
            yield duckdb


@contextmanager
def open_scanner(settings: EngineSettings | None = None) -> Iterator[DuckDBEngine | SparkScanner]:
    """Open what answers the statements of a scan, which are in DuckDB's words; DuckDB if there are no settings."""
    if isinstance(settings, SparkSettings):
        with SparkScanner.open(settings) as spark:
            yield spark
    else:
        with DuckDBEngine.open(settings) as duckdb:
            yield duckdb
