"""Real data through the whole Airflow: what comes out is what is counted here by hand, and its defects are told."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow.csv
import pyarrow.parquet
import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests.realdata import TRACKER, needs_tracker

if TYPE_CHECKING:
    from tests.system.stack import Stack

__all__ = [
    "test_real_days_are_computed_as_of_their_ends_and_a_gap_stops_its_day",
    "test_real_tasks_done_before_they_were_created_are_taken_out",
    "tracker",
]

TYPES = {
    "int64": "bigint", "int32": "integer", "double": "float8", "string": "text",
    "timestamp[us, tz=UTC]": "timestamptz", "timestamp[ns, tz=UTC]": "timestamptz",
}  # fmt: skip
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@pytest.fixture(scope="module")
def tracker(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    """The tables, which are in the database that the connection `tracker` leads to."""
    tables = {name: pyarrow.parquet.read_table(TRACKER / f"{name}.parquet") for name in ("activity", "tasks")}
    tables["users"] = pyarrow.csv.read_csv(TRACKER / "users.csv")
    with psycopg.connect(stack.environment["SYSTEM_DATABASE"]) as database:
        database.execute("CREATE SCHEMA tracker")
        for name, table in tables.items():
            columns = ", ".join(f"{field.name} {TYPES[str(field.type)]}" for field in table.schema)
            database.execute(f"CREATE TABLE tracker.{name} ({columns})".encode())
            with database.cursor().copy(f"COPY tracker.{name} FROM STDIN".encode()) as copy:
                for row in table.to_pylist():
                    copy.write_row(tuple(row.values()))
    return {name: table.to_pylist() for name, table in tables.items()}


@needs_tracker
def test_real_days_are_computed_as_of_their_ends_and_a_gap_stops_its_day(
    stack: Stack, tracker: dict[str, list[dict[str, Any]]]
) -> None:
    """Over Christmas 2025 nothing happened for four days; 48 hours are what `validation_config.yaml` bears."""
    ends = [datetime(2025, 12, day, 2, tzinfo=UTC) for day in (27, 28, 29)]
    stack.unpause("tracker")
    days = {"from_date": (ends[0] - DAY).isoformat(), "to_date": (ends[-1] - DAY).isoformat()}
    body = {"dag_id": "tracker", **days, "max_active_runs": 1}
    stack.api.call("POST", "/api/v2/backfills", body)

    runs = [stack.over(run) for run in stack.runs("tracker", "run_type=backfill")]

    assert [datetime.fromisoformat(run.document["data_interval_end"]) for run in runs] == ends
    for run, end in zip(runs, ends, strict=True):
        before = [row for row in tracker["activity"] if end - timedelta(days=31) <= row["occurred_at"] < end]
        stale = end - max(row["occurred_at"] for row in before) > 2 * DAY
        verdict = run.xcom("user_features.validate_activity", "validation")
        assert verdict["rows_validated"] == len(before)
        assert verdict["passed"] is not stale
        hours = [row["amount"] for row in before if row["amount"] is not None]
        odd = sum(not 0 <= amount <= 24 for amount in hours)
        assert verdict["warnings"] == int(odd > len(hours) / 100), "files changed are no hours"
        if stale:
            continue
        known = {row["user_id"] for row in tracker["users"] if row["created_at"] < end}
        done = Counter(
            row["user_id"]
            for row in before
            if row["event_type"] == "task_completed" and end - WEEK <= row["occurred_at"] and row["user_id"] in known
        )
        features = Artifact.open(run.xcom("user_features.extract"))
        assert datetime.fromisoformat(features.manifest.details["as_of"]) == end
        computed = {row["user_id"]: row["tasks_completed_7d"] or 0 for row in features.table().to_pylist()}
        assert computed == {user: done[user] for user in known}
        assert sum(done.values()) > 0
        materialized = run.xcom("user_features.materialize", "metrics")
        assert (materialized["rows_materialized"], materialized["mismatches"]) == (len(known), 0)
    assert [run.state for run in runs] == ["failed", "success", "success"]
    states = {task.removeprefix("user_features."): state for task, state in runs[0].states.items()}
    assert states == {
        "ingest_users": "success", "validate_users": "success", "ingest_activity": "success",
        "validate_activity": "failed", "extract": "upstream_failed", "materialize": "upstream_failed",
    }  # fmt: skip
    assert "h older" in runs[0].text("user_features.validate_activity")


@needs_tracker
def test_real_tasks_done_before_they_were_created_are_taken_out(
    stack: Stack, tracker: dict[str, list[dict[str, Any]]]
) -> None:
    stack.unpause("tracker_tasks")
    run = stack.over(stack.trigger("tracker_tasks"))

    skewed = {row["task_id"] for row in tracker["tasks"] if row["created_at"] > row["completed_at"]}
    assert len(skewed) == 4
    assert run.states == {"ingest": "success", "sift": "success"}
    passed_on, quarantine = (Artifact.open(run.xcom("sift", key)) for key in ("return_value", "quarantine"))
    assert set(quarantine.table()["task_id"].to_pylist()) == skewed
    assert set(passed_on.table()["task_id"].to_pylist()) == {row["task_id"] for row in tracker["tasks"]} - skewed
    verdict = run.xcom("sift", "validation")
    assert (verdict["rows_validated"], verdict["warnings"]) == (len(tracker["tasks"]), 1), "some are critical"
