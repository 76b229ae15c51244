"""Dags that read what real servers serve; where these are stands in connections and in the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    FeastMaterializeOperator,
    SourceIngestOperator,
    ValidateOperator,
)

DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
QUERY = """
WITH done AS (SELECT user_id, spent AS took FROM crm.activity WHERE event_type = 'task_completed')
SELECT u.user_id, lower(u.email) AS mail, sum(done.took) AS spent
FROM crm.users u JOIN done ON done.user_id = u.user_id GROUP BY 1, 2
"""
SOURCES = {
    "users": {"type": "database", "conn_id": "tracker", "table": "crm.users"},
    "activity": {
        "type": "database",
        "conn_id": "tracker",
        "table": "crm.activity",
        "columns": {"hours": "spent"},
        "incremental": {"cursor_column": "occurred_at", "window": "31d"},
    },
    "work": {"type": "database", "conn_id": "tracker", "query": QUERY},
    "orders": {"type": "database", "conn_id": "shop", "table": "orders"},
    "tasks": {"type": "api", "conn_id": "api", "url": "/v1/tasks", "data_key": "tasks", "params": {"key": "${SECRET}"}},
    "exports": {"type": "file", "conn_id": "lake", "path": "s3://lake/exports/{start:%Y/%m}/*.csv"},
    "local": {"type": "file", "path": "${FOLDER}/in.csv"},
    "messages": {"type": "kafka", "conn_id": "broker", "topic": "lineage-messages"},
}
REFUSED = {
    # A secret where none belongs: in the file itself. And two that are wrong.
    "table": {"type": "database", "connection_string": "${WRONG_DATABASE}", "table": "crm.users"},
    "endpoint": {
        "type": "api",
        "url": "${API}/v1/refused",
        "headers": {"Authorization": "Bearer ${SECRET}"},
        "params": {"key": "${SECRET}"},
    },
}
RULES = {
    "users": {"required_columns": ["user_id", "email"], "unique_columns": ["user_id"], "sensitive": ["email"]},
    "activity": {
        "required_columns": ["user_id"],
        "range_constraints": {"hours": [0, 24]},
        "on_failure": "quarantine",
        "max_quarantine_share": 0.5,
    },
}
FEATURES = {
    "user_features": {"features": ["current_workload_hours"]},
    "feature_store": {
        "registry": os.environ.get("FEAST_REGISTRY", ""),
        "online_store": os.environ.get("ONLINE_STORE", ""),
    },
}


def ingest(name: str, sources: dict[str, dict[str, object]] = SOURCES) -> SourceIngestOperator:  # type: ignore[assignment]
    return SourceIngestOperator(task_id=name, source=name, config={"sources": sources}, dataset=name, retries=0)


with DAG("chain", **DAILY):
    checked = {
        name: ValidateOperator(task_id=f"check_{name}", artifact=ingest(name).output, config=RULES, dataset=name)
        for name in ("users", "activity")
    }
    features = ExtractFeaturesOperator(
        task_id="features",
        feature_set="user_features",
        config=FEATURES,
        inputs={name: task.output for name, task in checked.items()},
    )
    FeastMaterializeOperator(task_id="online", artifact=features.output, config=FEATURES)

with DAG("sources", **DAILY):
    for each in ("work", "orders", "tasks", "exports", "local", "messages"):
        ingest(each)

with DAG("refused", **DAILY):
    for each in REFUSED:
        ingest(each, REFUSED)  # type: ignore[arg-type]
