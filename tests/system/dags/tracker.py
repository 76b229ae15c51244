"""Dags for real data: four open-source projects' histories in PostgreSQL, under the names of their own."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator, pipeline

TABLES = {
    "users": {"columns": {"age": None}, "incremental": {"cursor_column": "created_at", "window": "all"}},
    "activity": {
        "columns": {"skill": "area", "hours": "amount"},
        "incremental": {"cursor_column": "occurred_at", "window": "31d"},
    },
    "tasks": {},
}
SOURCES = {name: {"type": "database", "table": f"tracker.{name}", **more} for name, more in TABLES.items()}
HERE = {"artifact_root": os.environ["AIRFLOW_HOME"] + "/tracker"}
"""Feast lives below it, apart from that of the sample."""

with DAG(
    "tracker",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    # Before today, so that the scheduler begins nothing by itself.
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    end_date=datetime(2026, 6, 1, tzinfo=UTC),
    catchup=False,
):
    pipeline(
        "user_features",
        {
            "users": {"source": "users", "conn_id": "tracker", "rules": "user_data"},
            "activity": {"source": "activity", "conn_id": "tracker", "rules": "activity_data"},
        },
        ingestion={"sources": SOURCES},
        features={"user_features": {"features": ["tasks_completed_7d", "current_workload_hours"], "normalize": False}},
        **HERE,
    )

with DAG("tracker_tasks", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)):
    tasks = SourceIngestOperator(
        task_id="ingest", source="tasks", config={"sources": SOURCES}, conn_id="tracker", as_of="2026-09-01", **HERE
    )
    ValidateOperator(
        task_id="sift",
        artifact=tasks.output,
        as_of="2026-09-01",
        config={
            "tasks": {
                "unique_columns": ["task_id"],
                "pairs": [{"pair": "created_at <= completed_at", "on_failure": "quarantine"}],
                "categorical_constraints": {"priority": {"values": ["low", "medium", "high"], "severity": "WARNING"}},
            }
        },
        **HERE,
    )
