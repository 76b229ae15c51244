"""What the tabs are shown for: tasks that pass, fail, take rows out, judge several, are mapped, are others, lie."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

from airflow.sdk import DAG, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
HOSTILE = "<script>alert(1)</script>"
NAMED = "<img src=x onerror=alert(2)>"
FOLDER = os.environ.get("MLPIPE_TEST_FILES", "files")
SOURCES = {
    "people": {"type": "file", "path": f"{FOLDER}/people-{{start:%Y-%m-%d}}.csv"},
    "orders": {"type": "file", "path": f"{FOLDER}/orders.csv"},
}
RULES = {
    "people": {
        "unique_columns": ["id"],
        "range_constraints": {"age": {"min": 0, "max": 120}},
        "required_columns": [{"column": HOSTILE, "severity": "WARNING"}],
    },
    "orders": {"on_failure": "quarantine", "range_constraints": {"amount": [0, 100]}, "unique_columns": ["order"]},
}
CONFIG = {"sources": SOURCES}

with DAG("pages", **DAILY):
    people = SourceIngestOperator(task_id="people", source="people", config=CONFIG)
    orders = SourceIngestOperator(task_id="orders", source="orders", config=CONFIG)
    judged = ValidateOperator(task_id="judged", artifact=people.output, config=RULES, retries=1)
    ValidateOperator(
        task_id="several",
        artifact={NAMED: people.output, "orders": orders.output},
        dataset={NAMED: "people"},
        config=RULES,
        fail_task=False,
    )
    parts = SourceIngestOperator.partial(task_id="parts", config=CONFIG).expand(source=["people", "orders"])
    ValidateOperator.partial(task_id="mapped", config=RULES, fail_task=False).expand(artifact=parts.output)
    ValidateOperator(task_id="too_early", artifact="{{ ds }}/absent", config=RULES)
    ValidateOperator(task_id="not_reached", artifact=judged.output, config=RULES)
    outside = SourceIngestOperator(task_id="outside", source="orders", config=CONFIG, artifact_root=f"{FOLDER}/outside")
    ValidateOperator(task_id="elsewhere", artifact=outside.output, config=RULES, artifact_root=f"{FOLDER}/outside")

    @task
    def other() -> str:
        return "/etc/hostname"

    other()

with DAG("liar", schedule=None):

    @task
    def lies(address: str, ti: object = None) -> str:
        ti.xcom_push(key="report", value=address)  # type: ignore[attr-defined]
        ti.xcom_push(key="metrics", value={"rows_validated": 1})  # type: ignore[attr-defined]
        return address.rpartition("/")[0]

    lies.expand(address=json.loads(os.environ.get("MLPIPE_TEST_LIES", '[""]')))
