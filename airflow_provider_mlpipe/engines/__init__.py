"""Engines read artifacts and compute over them. The only place that knows an engine's ways.

`DuckDBEngine` is embedded and the default; `SparkEngine` takes over where one machine is not enough. `open_engine`
opens the one whose settings it is given; `refusal` reads what either of them raises.
"""

from __future__ import annotations

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings, literal, quote
from airflow_provider_mlpipe.engines.engine import Engine
from airflow_provider_mlpipe.engines.opening import EngineSettings, open_engine, open_scanner, settings_named
from airflow_provider_mlpipe.engines.refusals import Refusal, refusal
from airflow_provider_mlpipe.engines.spark import SparkEngine, SparkScanner, SparkSettings

__all__ = [
    "DuckDBEngine",
    "DuckDBSettings",
    "Engine",
    "EngineSettings",
    "Refusal",
    "SparkEngine",
    "SparkScanner",
    "SparkSettings",
    "literal",
    "open_engine",
    "open_scanner",
    "quote",
    "refusal",
    "settings_named",
]
