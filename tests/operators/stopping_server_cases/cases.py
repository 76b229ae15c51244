"""Dags that wait for a server. `test_stopping_servers` runs them, stops them in the middle and looks at what is left."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator

# Whom the test sends signals to.
Path(os.environ["AIRFLOW_HOME"], "pid").write_text(str(os.getpid()))

DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
LATE = timedelta(seconds=5)
"""The first Dag has imported everything, so that the others are at work by then."""

SOURCES = {
    "orders": {"type": "database", "query": "{{ var.value.query }}"},
    "users": {"type": "file", "path": "s3://lake/users.parquet"},
    "few": {"type": "file", "path": "{{ var.value.few }}"},
}
CONFIG = {"sources": SOURCES}


def orders() -> SourceIngestOperator:
    """Read MariaDB through connectorx."""
    return SourceIngestOperator(task_id="orders", source="orders", config=CONFIG, conn_id="shop")


def rows() -> SourceIngestOperator:
    """Read MariaDB through a cursor."""
    return SourceIngestOperator(task_id="rows", source="orders", dataset="orders", config=CONFIG, conn_id="shop_rows")


def download() -> SourceIngestOperator:
    """Read from a bucket that hangs."""
    return SourceIngestOperator(task_id="download", source="users", config=CONFIG, conn_id="lake")


def upload() -> SourceIngestOperator:
    """Write into a bucket that hangs."""
    return SourceIngestOperator(
        task_id="upload", source="few", config=CONFIG, artifact_root="s3://lake/mlpipe", artifact_conn_id="lake"
    )


# All publish to the same place.
with DAG("published", **DAILY):
    orders()

for make in (orders, rows, download, upload):
    with DAG(f"late_{make.__name__}", default_args={"execution_timeout": LATE}, **DAILY):
        make()
    with DAG(f"killed_{make.__name__}", **DAILY):
        make()
