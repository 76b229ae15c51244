"""Spark as an engine: the same expressions where one machine is not enough.

`settings` says which Spark, `session` finds or starts it, `columns` reads types as they are meant, `dialect` repairs
where Spark's SQL would compute something else, `engine` is what a stage holds.
"""

from __future__ import annotations

from airflow_provider_mlpipe.engines.spark.engine import SparkEngine
from airflow_provider_mlpipe.engines.spark.settings import SparkSettings

__all__ = ["SparkEngine", "SparkSettings"]
