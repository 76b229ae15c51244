"""Dags for what a real scheduler, a real executor and the API do with the operators; the tests say what must come of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, CronPartitionTimetable, PartitionedAssetTimetable, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    SourceIngestOperator,
    ValidateOperator,
    artifact_of,
)

DAILY_CRON = f"0 {os.environ['SYSTEM_HOUR']} * * *"
DAILY = {
    "schedule": CronDataIntervalTimetable(DAILY_CRON, timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
"""Of the past, only the newest day is run when a Dag is switched on."""

TODAY = datetime.fromisoformat(os.environ["SYSTEM_DAY"]).replace(tzinfo=UTC)
ON_DEMAND: dict[str, Any] = {"schedule": None, "start_date": datetime(2026, 1, 1, tzinfo=UTC)}

SAMPLE = {"type": "database", "connection_string": "${MLPIPE_SAMPLE_DB}"}
SOURCES = {
    "people": {**SAMPLE, "table": "users", "incremental": {"cursor_column": "created_at", "window": "all"}},
    "month": {**SAMPLE, "table": "activity", "incremental": {"cursor_column": "occurred_at", "window": "31d"}},
    "day": {**SAMPLE, "table": "activity", "incremental": {"cursor_column": "occurred_at"}},
    "news": {
        **SAMPLE,
        "table": "activity",
        "incremental": {
            "cursor_column": "occurred_at",
            "window": "watermark",
            "initial": f"{TODAY - timedelta(days=30):%Y-%m-%d}",
        },
    },
    # Not there until the test starts it.
    "late": {"type": "database", "connection_string": os.environ.get("SYSTEM_LATE_DATABASE", ""), "table": "orders"},
    # Not there until the test puts it there, or opens up.
    "drops": {"type": "file", "format": "csv", "path": os.environ.get("SYSTEM_DROPS", "/absent") + "/*.csv"},
    "desk": {
        "type": "api",
        "url": os.environ.get("SYSTEM_DESK", "http://127.0.0.1:9") + "/tickets",
        "headers": {"Authorization": "Bearer ${SYSTEM_TOKEN}"},
        "data_key": "tickets",
    },
    # Asks for a pause when it is asked first; and the reader itself does not wait.
    "calls": {
        "type": "api",
        "url": os.environ.get("SYSTEM_DESK", "http://127.0.0.1:9") + "/busy",
        "data_key": "calls",
        "max_retries": 0,
    },
    # As many rows as the run is told: enough to be stopped while it reads.
    "numbers": {
        "type": "database",
        "connection_string": "${SYSTEM_DATABASE}",
        "query": "SELECT generate_series(1, CAST(:rows AS bigint)) AS i",
    },
}
FEATURES = {"user_features": {"features": ["tasks_completed_7d", "current_workload_hours"], "normalize": False}}
DAY = Asset("system_day", uri="x-mlpipe://system/day")
NEWS = Asset("system_news", uri="x-mlpipe://system/news")
PARTS = Asset("system_parts", uri="x-mlpipe://system/parts")


def ingest(name: str, source: str, **more: Any) -> SourceIngestOperator:
    """Return a task that ingests one of the sources."""
    return SourceIngestOperator(task_id=name, source=source, config={"sources": SOURCES}, **more)


with DAG("days", **DAILY, max_active_runs=4):
    people, month = ingest("people", "people"), ingest("month", "month")
    ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={"users": people.output, "activity": month.output},
    )

with DAG("producer", **DAILY):
    day = ingest("day", "day", dataset="produced")
    ValidateOperator(
        task_id="checked",
        artifact=day.output,
        config={"produced": {"required_columns": ["user_id"], "range_constraints": {"hours": [0, 1000]}}},
        outlets=[DAY],
    )

with DAG("consumer", schedule=[DAY], start_date=datetime(2026, 1, 1, tzinfo=UTC)):

    @task
    def told(triggering_asset_events: Any = None) -> Any:
        """Return what the event says."""
        [event] = triggering_asset_events[DAY]
        return event.extra

    ValidateOperator(
        task_id="again",
        artifact="{{ (triggering_asset_events.values() | first | first).extra['artifact'] }}",
        config={"produced": {"required_columns": ["occurred_at"]}},
    )
    told()

with DAG(
    "parted",
    schedule=CronPartitionTimetable(DAILY_CRON, timezone="UTC", run_immediately=True),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    ingest("part", "people", dataset="parted", outlets=[PARTS])

with DAG("part_reader", schedule=PartitionedAssetTimetable(assets=PARTS), start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    ValidateOperator(task_id="judge", artifact=artifact_of(PARTS), config={"parted": {"required_columns": ["user_id"]}})

with DAG("incremental", **DAILY, max_active_runs=1):
    ingest("news", "news", as_of="{{ dag_run.conf.get('as_of') or data_interval_end }}", outlets=[NEWS])

with DAG("rejected", **ON_DEMAND, default_args={"retries": 3, "retry_delay": timedelta(seconds=1)}):
    crew = ingest("crew", "people", dataset="crew")
    judged = ValidateOperator(
        task_id="judged",
        artifact=crew.output,
        config={"crew": {"range_constraints": {"age": [0, 30]}}},
    )
    ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={"users": judged.output, "activity": crew.output},
    )

# More retries than the server takes to start, however busy the machine is.
with DAG("transient", **ON_DEMAND, default_args={"retries": 200, "retry_delay": timedelta(seconds=2)}):
    ingest("late", "late")

# Longer than anybody waits for these tests: the pause that the API asks for goes before it.
with DAG("busy", **ON_DEMAND, default_args={"retries": 1, "retry_delay": timedelta(hours=2)}):
    ingest("calls", "calls")

with DAG("waiting", **ON_DEMAND):
    for name in ("drops", "desk"):
        ingest(name, name, deferrable=True, poke_interval=1)

with DAG("stopped", **ON_DEMAND):
    ingest("numbers", "numbers", parameters={"rows": "{{ dag_run.conf['rows'] }}"})
