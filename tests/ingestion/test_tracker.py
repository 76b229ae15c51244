"""Real data: a project tracker's history in PostgreSQL, read under our names by a column mapping alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.support import counts, read
from tests.realdata import TRACKER, needs_tracker

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

pytestmark = needs_tracker
MONTH = Run(dag_id="tracker", interval=Interval(start="2025-01-01", end="2025-02-01"))


@pytest.fixture(scope="module")
def tracker(postgres: str) -> str:
    """The tracker's users and activity, in a schema of their own."""
    users = pyarrow.csv.read_csv(TRACKER / "users.csv")
    activity = pq.read_table(TRACKER / "activity.parquet")
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE SCHEMA tracker")
        connection.execute(
            "CREATE TABLE tracker.users (user_id text, email text, team_id text, status text, utc_offset_minutes int, "
            "weekly_capacity_hours float8, created_at timestamptz)"
        )
        connection.execute(
            "CREATE TABLE tracker.activity (event_id text, user_id text, project_id text, task_id text, "
            "event_type text, area text, amount float8, occurred_at timestamptz)"
        )
        for name, table in (("users", users), ("activity", activity)):
            columns = ", ".join(table.column_names)
            with connection.cursor().copy(f"COPY tracker.{name} ({columns}) FROM STDIN") as copy:  # type: ignore[call-overload]
                for row in table.to_pylist():
                    copy.write_row(list(row.values()))
    return postgres


def source(uri: str, table: str, **keys: Any) -> dict[str, Any]:
    return {"type": "database", "connection_string": uri, "table": f"tracker.{table}", **keys}


def test_all_users_arrive_with_a_column_that_the_tracker_lacks(tracker: str, root: Storage) -> None:
    artifact = read(
        source(tracker, "users", columns={"age": None}, required_columns=["user_id", "email"],
               deduplicate={"keys": ["user_id"], "order_by": ["created_at"]}),
        root,
    )  # fmt: skip
    wanted = pyarrow.csv.read_csv(TRACKER / "users.csv")
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)
    found = artifact.table()
    assert set(found["user_id"].to_pylist()) == set(wanted["user_id"].to_pylist())
    assert found["age"].null_count == len(wanted)


def test_a_months_activity_arrives_under_our_names(tracker: str, root: Storage) -> None:
    mapped = source(
        tracker, "activity", columns={"skill": "area", "hours": "amount"}, required_columns=["skill", "hours"],
        incremental={"cursor_column": "occurred_at"},
    )  # fmt: skip
    artifact = read(mapped, root, MONTH)
    everything = pq.read_table(TRACKER / "activity.parquet")
    times = everything["occurred_at"].cast(pa.timestamp("us", "UTC")).to_pylist()
    inside = [MONTH.interval.start <= time < MONTH.interval.end for time in times]  # type: ignore[union-attr]
    wanted = everything.filter(inside)
    assert 0 < len(wanted) < len(everything)
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)
    found = artifact.table()
    assert found.column_names == [
        {"area": "skill", "amount": "hours"}.get(name, name) for name in everything.column_names
    ]
    assert sorted(map(str, found["hours"].to_pylist())) == sorted(map(str, wanted["amount"].to_pylist()))
    assert sorted(map(str, found["skill"].to_pylist())) == sorted(map(str, wanted["area"].to_pylist()))


def test_the_same_history_from_files_and_from_the_database_is_the_same(tracker: str, root: Storage) -> None:
    keys = {"columns": {"skill": "area", "hours": "amount"}, "dataset": "from_database"}
    database = read(source(tracker, "activity", **keys), root)
    files = read({"type": "file", "path": str(TRACKER / "activity.parquet"), **keys, "dataset": "from_files"}, root)
    assert counts(database) == counts(files) == (61_635, 61_635, 0, 0)
    names = ["user_id", "event_type", "skill", "hours"]
    by = [(name, "ascending") for name in [*names, "task_id"]]
    one, other = (artifact.table().sort_by(by).select(names).to_pylist() for artifact in (database, files))
    assert one == other
