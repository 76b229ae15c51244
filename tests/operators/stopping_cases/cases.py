"""Dags whose work never ends by itself. `test_stopping` runs them, stops them in the middle and looks at what is left."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

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
    "pages": {"type": "api", "url": "{{ var.value.api }}", "data_key": "items", "paginator": {"type": "page_number"}},
}
NEVER = "SELECT a.* FROM {batch} a, {batch} b, {batch} c, {batch} d WHERE a.id + b.id + c.id + d.id < 0"
RULES = {
    "pages": {"required_columns": ["id"]},
    "endless": {"expectations": [{"type": "unexpected_rows_expectation", "unexpected_rows_query": NEVER}]},
}


def orders() -> SourceIngestOperator:
    return SourceIngestOperator(task_id="orders", source="orders", config={"sources": SOURCES}, conn_id="server")


def pages() -> SourceIngestOperator:
    return SourceIngestOperator(task_id="pages", source="pages", config={"sources": SOURCES})


def checked() -> ValidateOperator:
    return ValidateOperator(task_id="checked", artifact="{{ var.value.pages }}", config=RULES, dataset="endless")


# All publish to the same places.
with DAG("published", **DAILY):
    orders()
    ValidateOperator(task_id="checked", artifact=pages().output, config=RULES)

for make in (orders, pages, checked):
    with DAG(f"late_{make.__name__}", default_args={"execution_timeout": LATE}, **DAILY):
        make()
    with DAG(f"killed_{make.__name__}", default_args={"retries": 1 if make is pages else 0}, **DAILY):
        make()
