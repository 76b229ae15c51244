"""Writing the sample: an SQLite database, API pages, files of the usual kinds; the same rows give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import sqlite3
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from random import Random

    from airflow_provider_mlpipe.sample.work import Event, Task

__all__ = ["PAGE_SIZE", "TABLES", "write_api", "write_database", "write_events", "write_tasks"]

PAGE_SIZE = 100

TABLES = {
    "users": {
        "user_id": "TEXT", "email": "TEXT", "age": "INTEGER", "status": "TEXT", "team_id": "TEXT",
        "weekly_capacity_hours": "FLOAT", "created_at": "TIMESTAMP",
    },
    "activity": {
        "event_id": "INTEGER", "user_id": "TEXT", "project_id": "TEXT", "task_id": "TEXT", "event_type": "TEXT",
        "skill": "TEXT", "hours": "FLOAT", "occurred_at": "TIMESTAMP",
    },
    "tasks": {
        "task_id": "TEXT", "project_id": "TEXT", "assignee_id": "TEXT", "task_type": "TEXT", "priority": "TEXT",
        "skill": "TEXT", "status": "TEXT", "dependency_count": "INTEGER", "estimated_hours": "FLOAT",
        "created_at": "TIMESTAMP", "completed_at": "TIMESTAMP",
    },
    "teams": {"team_id": "TEXT", "project_id": "TEXT", "skill": "TEXT"},
    "projects": {"project_id": "TEXT", "created_at": "TIMESTAMP"},
}  # fmt: skip
"""Columns and declared types by table. No keys are declared: a broken sample violates them."""


def write_database(
    path: Path, rows: dict[str, Sequence[Any]], without: dict[str, frozenset[str]] | None = None
) -> None:
    """Create the database at `path` as a whole; one that was there is replaced.

    Args:
        path: the file.
        rows: the rows of each table, as dataclasses.
        without: columns to leave out, by table.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    connection = sqlite3.connect(temporary, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("BEGIN")
        for table, declared in TABLES.items():
            columns = [name for name in declared if name not in (without or {}).get(table, ())]
            listed = ", ".join(f"{name} {declared[name]}" for name in columns)
            marks = ", ".join("?" * len(columns))
            connection.execute(f"CREATE TABLE {table} ({listed})")
            values = ([_stored(getattr(row, name)) for name in columns] for row in rows[table])
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608 - names of ours
        connection.execute("CREATE INDEX activity_occurred_at ON activity (occurred_at)")
        connection.execute("COMMIT")
    finally:
        connection.close()
    temporary.replace(path)


def write_api(folder: Path, tasks: Sequence[Task], rng: Random) -> list[Path]:
    """Write the pages of a REST API, ``{"tasks": [...], "next": "/tasks?page=2"}``; the last page's next is null.

    About every second page begins with the last record of the page before, slightly newer: what a client sees when
    records arrive while it turns pages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = [{**_json_ready(task), "updated_at": _iso(task.completed_at or task.created_at)} for task in tasks]
    pages = [records[at : at + PAGE_SIZE] for at in range(0, len(records), PAGE_SIZE)] or [[]]
    for before, after in pairwise(pages):
        if rng.random() < 0.5 or after is pages[-1]:
            moment = datetime.fromisoformat(str(before[-1]["updated_at"])) + timedelta(minutes=5)
            after.insert(0, {**before[-1], "updated_at": _iso(moment)})
    for old in folder.glob("tasks-*.json"):
        old.unlink()
    written = []
    for number, page in enumerate(pages, start=1):
        following = f"/tasks?page={number + 1}" if number < len(pages) else None
        path = folder / f"tasks-{number}.json"
        path.write_text(json.dumps({"tasks": page, "next": following}, indent=1, ensure_ascii=False), encoding="utf-8")
        written.append(path)
    return written


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write the activity as gzipped CSV; an empty field is a null."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TABLES["activity"])
    writer.writerows([_json_ready(event)[name] for name in TABLES["activity"]] for event in events)
    # Level 6 and no time in the header, so that the bytes do not depend on when they were written.
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), 6, mtime=0))


def write_tasks(folder: Path, tasks: Sequence[Task]) -> tuple[Path, Path]:
    """Write the tasks as JSON lines and as parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lines, parquet = folder / "tasks.jsonl", folder / "tasks.parquet"
    text = "".join(json.dumps(_json_ready(task), ensure_ascii=False) + "\n" for task in tasks)
    lines.write_text(text, encoding="utf-8")
    arrow = {
        "TEXT": pa.string(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    columns = TABLES["tasks"]
    schema = pa.schema([(name, arrow[kind]) for name, kind in columns.items()])
    table = pa.table({name: [getattr(task, name) for task in tasks] for name in columns}, schema=schema)
    pq.write_table(table, parquet)
    return lines, parquet


def _stored(value: Any) -> Any:  # noqa: ANN401 - any column's value
    """Return a value as SQLAlchemy stores it in SQLite."""
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def _json_ready(row: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the row classes
    found = {}
    for field in fields(row):
        value = getattr(row, field.name)
        found[field.name] = _iso(value) if isinstance(value, datetime) else value
    return found


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
