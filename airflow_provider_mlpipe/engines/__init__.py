"""Engines read artifacts and compute over them. The only place that knows an engine's ways."""

from __future__ import annotations

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings, literal, quote

__all__ = ["DuckDBEngine", "DuckDBSettings", "literal", "quote"]
