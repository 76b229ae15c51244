"""A Dag that everybody watches: its data is rejected, it has assets, and it says what its Airflow keeps of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.notifications import MlpipeNotifier
from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator, artifact_of

FOLDER = os.environ.get("MLPIPE_TEST_FILES", "files")
SOURCES = {
    "people": {"type": "file", "path": f"{FOLDER}/people-{{start:%Y-%m-%d}}.csv"},
    "news": {
        "type": "database",
        "connection_string": f"sqlite:///{FOLDER}/news.db",
        "table": "news",
        "incremental": {"cursor_column": "at", "window": "watermark", "initial": "2026-01-01"},
    },
}
CONFIG = {"sources": SOURCES}
RULES = {"people": {"unique_columns": ["id"], "range_constraints": {"age": {"min": 0, "max": 120}}}}
PEOPLE, NEWS = Asset("watched_people"), Asset("watched_news")


def as_scheduled(context: Any) -> None:
    """Hide that this is a test run: those move no watermark."""
    context["dag_run"].triggering_user_name = "somebody"


with DAG(
    "watched",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    people = SourceIngestOperator(
        task_id="people", source="people", config=CONFIG, outlets=[PEOPLE], on_success_callback=MlpipeNotifier()
    )
    ValidateOperator(task_id="judged", artifact=people.output, config=RULES, on_failure_callback=MlpipeNotifier())
    by_asset = ValidateOperator(
        task_id="by_asset", artifact=artifact_of(PEOPLE), inlets=[PEOPLE], config=RULES, fail_task=False
    )
    people >> by_asset
    SourceIngestOperator(task_id="news", source="news", config=CONFIG, outlets=[NEWS], pre_execute=as_scheduled)

    @task(outlets=[NEWS])
    def keeps_state(**context: Any) -> bool:
        return "asset_state_store" in context

    keeps_state()
