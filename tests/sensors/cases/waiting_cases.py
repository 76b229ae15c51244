"""Dags whose tasks wait in the triggerer. `test_sensors` runs them, and says what must come of it.

What they wait for comes after the trigger's first look in vain: `after_first_look` sees to that.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator
from airflow_provider_mlpipe.sensors import FeatureFreshnessSensor, NewObjectsSensor, NewRowsSensor
from airflow_provider_mlpipe.triggers import NewObjectsTrigger, NewRowsTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

INBOX = Path(os.environ["CASES_INBOX"])
API = os.environ["CASES_API"]
DAILY = {
    "schedule": CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
}
QUICK = {"deferrable": True, "poke_interval": 0.05, "timeout": 120}
SOURCES = {
    "events": {"type": "file", "path": f"{INBOX}/*.csv", "only_new": True},
    "mapped": {"type": "api", "url": "tasks", "conn_id": "cases_api", "data_key": "tasks"},
    "other": {"type": "api", "url": "others", "conn_id": "cases_api", "data_key": "tasks"},
    "gone": {"type": "api", "url": "gone", "conn_id": "cases_api"},
    "closed": {"type": "api", "url": "closed", "conn_id": "cases_api"},
    "down": {
        "type": "database",
        "connection_string": "postgresql://ann:${CASES_PASSWORD}@127.0.0.1:${CASES_CLOSED_PORT}/shop",
        "table": "orders",
        "incremental": {"cursor_column": "at", "window": "watermark"},
    },
    "never": {"type": "file", "path": f"{INBOX}/never/*.csv"},
    "orders": {
        "type": "database",
        "connection_string": "${CASES_DATABASE}",
        "table": "orders",
        "incremental": {"cursor_column": "at", "window": "watermark", "initial": "2026-01-01"},
    },
}
CONFIG = {"sources": SOURCES}


def after_first_look(trigger: type[Any], come: Callable[[], None]) -> None:
    """Let something come once `trigger` has looked in vain."""
    if hasattr(trigger.look, "came"):  # Airflow imports this file more than once
        return
    look = trigger.look

    def looks(self: Any) -> Any:
        found = look(self)
        if not found.there and not looks.came and self.errand.source != "never":
            come()
            looks.came = True
        return found

    looks.came = False  # type: ignore[attr-defined]
    trigger.look = looks


def an_object_comes() -> None:
    INBOX.mkdir(exist_ok=True)
    (INBOX / "part.tmp").write_text("event_id,at\n1,2026-01-13T05:00:00Z\n")
    (INBOX / "part.tmp").rename(INBOX / "a.csv")


def a_row_comes() -> None:
    path = os.environ["CASES_DATABASE"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO orders (id, at) VALUES (7, '2026-01-20 10:00:00')")


after_first_look(NewObjectsTrigger, an_object_comes)
after_first_look(NewRowsTrigger, a_row_comes)

with DAG("objects", **DAILY):
    NewObjectsSensor(task_id="arrived", source="events", config=CONFIG, **QUICK) >> SourceIngestOperator(
        task_id="ingest", source="events", config=CONFIG
    )

with DAG("rows", **DAILY):
    rows = {"source": "orders", "config": CONFIG}
    NewRowsSensor(task_id="arrived", beyond_as_of=True, **rows, **QUICK) >> SourceIngestOperator(
        task_id="ingest", as_of="{{ ti.xcom_pull('arrived')['until'] }}", **rows
    )

with DAG("answers", **DAILY):
    # Twice busy, then there; the other at once.
    SourceIngestOperator.partial(task_id="ingest", config=CONFIG, **QUICK).expand(source=["mapped", "other"])

with DAG("refusals", default_args={"retries": 2}, **DAILY):
    SourceIngestOperator(task_id="gone", source="gone", config=CONFIG, **QUICK)
    # Not available, and then not allowed.
    SourceIngestOperator(task_id="closed", source="closed", config=CONFIG, **QUICK)
    NewRowsSensor(task_id="down", source="down", config=CONFIG, transient_retries=1, **QUICK)
    short = {**QUICK, "timeout": timedelta(seconds=0.2)}
    SourceIngestOperator(task_id="never", source="never", config=CONFIG, **short)
    NewObjectsSensor(task_id="not_in_time", source="never", config=CONFIG, **short)
    NewObjectsSensor(task_id="skipped", source="never", config=CONFIG, soft_fail=True, **short)
    NewRowsSensor(task_id="wrong", source="events", config=CONFIG, **QUICK)
    literal = {"type": "api", "url": f"{API}/busy", "auth": {"type": "bearer", "token": "hunter2"}, "data_key": "tasks"}
    SourceIngestOperator(task_id="literal", source="literal", config=literal, **QUICK)
    FeatureFreshnessSensor(
        task_id="stale",
        view="user_features",
        max_age="1d",
        place="offline",
        deferrable=True,
        poke_interval=0.05,
        timeout=0.2,
    )
