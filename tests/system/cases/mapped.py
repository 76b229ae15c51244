"""A Dag in which every operator that has to do with features is mapped. `test_mapped` runs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import (
    ExtractFeaturesOperator,
    FeastApplyOperator,
    FeastMaterializeOperator,
    FeastPushOperator,
    FeastTrainingSetOperator,
    MergeFeaturesOperator,
    SourceIngestOperator,
    ValidateOperator,
)

SAMPLE = {"type": "database", "connection_string": "${MLPIPE_SAMPLE_DB}"}
SOURCES = {
    "users": {**SAMPLE, "table": "users", "incremental": {"cursor_column": "created_at", "window": "all"}},
    "activity": {**SAMPLE, "table": "activity", "incremental": {"cursor_column": "occurred_at", "window": "31d"}},
}
RULES = {name: {"required_columns": ["user_id"]} for name in SOURCES}
SETS = {
    name: {"entity": "user_id", "features": [feature], "normalize": False, "feast": {"view": f"of_{name}"}}
    for name, feature in (("done", "tasks_completed_7d"), ("load", "current_workload_hours"))
}


@task
def by_set(parts: Any) -> list[dict[str, Any]]:
    """Return what each merge takes: the chunks of its set, of which there are two."""
    found = list(parts)
    return [{"feature_set": name, "chunks": [uri for uri in found if f"/{name}/" in uri]} for name in SETS]


@task
def by_view(features: Any) -> list[dict[str, Any]]:
    """Return what each push takes."""
    return [{"view": f"of_{name}", "artifact": uri} for name, uri in zip(SETS, features, strict=True)]


with DAG(
    "mapped",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    raw = SourceIngestOperator.partial(task_id="ingest", config={"sources": SOURCES}).expand(
        source=["users", "activity"]
    )
    valid = ValidateOperator.partial(task_id="validate", config=RULES).expand(artifact=raw.output)
    inputs = {"users": "{{ ti.xcom_pull('validate')[0] }}", "activity": "{{ ti.xcom_pull('validate')[1] }}"}
    parts = ExtractFeaturesOperator.partial(task_id="extract", config=SETS, inputs=inputs).expand(
        feature_set=list(SETS), chunk=[{"index": index, "of": 2} for index in range(2)]
    )
    valid >> parts
    merged = MergeFeaturesOperator.partial(task_id="merge", config=SETS).expand_kwargs(by_set(parts.output))
    known = FeastApplyOperator.partial(task_id="apply").expand(artifact=merged.output)
    online = FeastMaterializeOperator.partial(task_id="materialize").expand(artifact=known.output)
    pushed = FeastPushOperator.partial(task_id="push", to="online").expand_kwargs(by_view(online.output))
    FeastTrainingSetOperator.partial(
        task_id="training_set",
        features=["of_done:tasks_completed_7d", "of_load:current_workload_hours"],
        full_feature_names=True,
    ).expand(labels=pushed.output)
