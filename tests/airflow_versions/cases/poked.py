"""Sensors that wait on the worker: their first look is in vain, and what they wait for comes after it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_mlpipe.operators import SourceIngestOperator
from airflow_provider_mlpipe.sensors import FeatureFreshnessSensor, NewObjectsSensor, NewRowsSensor

PLACE = Path(os.environ.get("CASES_PLACE", "place"))
CONFIG = {
    "sources": {
        "poked_objects": {"type": "file", "path": f"{PLACE}/in/*.csv", "only_new": True},
        "poked_rows": {
            "type": "database",
            "connection_string": f"sqlite:///{PLACE}/poked.db",
            "table": "orders",
            "incremental": {"cursor_column": "at", "window": "watermark", "initial": "2026-01-01"},
        },
    }
}
QUICK = {"deferrable": False, "config": CONFIG, "poke_interval": 0.05, "timeout": 600}


class LateObjects(NewObjectsSensor):
    """An object comes after the first look."""

    def look(self, context: Any, visit: Any) -> Any:
        found = super().look(context, visit)
        (PLACE / "in").mkdir(exist_ok=True)
        (PLACE / "in" / "a.csv").write_text("id\n1\n")
        return found


class LateRows(NewRowsSensor):
    """A row comes after the first look."""

    def look(self, context: Any, visit: Any) -> Any:
        found = super().look(context, visit)
        with closing(sqlite3.connect(PLACE / "poked.db")) as connection, connection:
            connection.execute("INSERT INTO orders VALUES (7, '2026-01-13 10:00:00')")
        return found


with DAG(
    "poked",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    for name, sensor in {"poked_objects": LateObjects, "poked_rows": LateRows}.items():
        arrived = sensor(task_id=f"{name}_arrived", source=name, **QUICK)
        arrived >> SourceIngestOperator(task_id=name, source=name, config=CONFIG)
    # Materialised by the example, which runs before.
    FeatureFreshnessSensor(task_id="fresh", view="user_profile_features", max_age="1d", deferrable=False, timeout=600)
