"""Real data: the users, tasks and activity of four open-source projects, warts included."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tests.realdata import TRACKER, needs_tracker

pytestmark = needs_tracker

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)


def test_users_hold_their_rules(judge):
    rules = {
        "schema": {"user_id": "string", "email": "string", "weekly_capacity_hours": "int", "created_at": "timestamp"},
        "required_columns": ["user_id", "email"],
        "unique_columns": ["user_id", "email"],
        "range_constraints": {"weekly_capacity_hours": [0, 80], "utc_offset_minutes": [-720, 840]},
        "categorical_constraints": {"status": ["active", "inactive", "pending"]},
    }
    verdict = judge(pacsv.read_csv(TRACKER / "users.csv"), rules, AS_OF)
    assert verdict.passed, verdict.summary()
    assert verdict.counts["rows_validated"] == 961


def test_activity_is_fresh_and_its_hours_are_mostly_plausible(judge, result):
    rules = {
        "required_columns": ["user_id", "event_type", "occurred_at"],
        "unique_columns": ["event_id"],
        "range_constraints": {"amount": {"min": 0, "max": 24, "mostly": 0.5, "severity": "WARNING"}},
        "categorical_constraints": {"event_type": ["task_started", "task_completed", "bug_reported", "files_changed"]},
        "freshness": {"timestamp_column": "occurred_at", "max_age_hours": 24 * 365},
    }
    table = pq.read_table(TRACKER / "activity.parquet")
    verdict = judge(table, rules, AS_OF)
    assert verdict.counts["errors"] == 0, verdict.summary()
    span = result(verdict, "range.amount")
    amounts = [amount for amount in table["amount"].to_pylist() if amount is not None]
    assert (span.checked, span.unexpected) == (len(amounts), sum(not 0 <= amount <= 24 for amount in amounts))


def test_the_clock_skew_and_gaps_of_tasks_are_seen(judge, result):
    table = pq.read_table(TRACKER / "tasks.parquet")
    verdict = judge(table, {"required_columns": ["completed_at", "assignee_id"], "unique_columns": ["task_id"]}, AS_OF)
    for name in ("completed_at", "assignee_id"):
        assert result(verdict, f"not_null.{name}").unexpected == table[name].null_count
    assert result(verdict, "unique.task_id").passed
