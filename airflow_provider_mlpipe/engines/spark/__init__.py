"""Spark as an engine: the same expressions where one machine is not enough.

`settings` says which Spark, `session` finds or starts it, `columns` reads types as they are meant, `dialect` repairs
where Ibis' SQL would compute something else, `engine` is what a stage holds.
`scanner` answers the statements of a validation's scan: `translation` says in Spark's words what they say in DuckDB's.
"""

from __future__ import annotations

from airflow_provider_mlpipe.engines.spark.engine import SparkEngine
from airflow_provider_mlpipe.engines.spark.scanner import SparkScanner
from airflow_provider_mlpipe.engines.spark.settings import SparkSettings

__all__ = ["SparkEngine", "SparkScanner", "SparkSettings"]
