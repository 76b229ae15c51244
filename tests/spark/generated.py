"""Tables with everything that engines are known to disagree on, drawn from a seed."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

__all__ = ["AS_OF", "KEYS", "tables"]

AS_OF = datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
"""In the night in which Europe's clocks change, with a leap day in its windows."""

KEYS = ["ann", "Ann", "ANN ", "é", "e\u0301", "😀", "ﬀ", "Z", "ß", "", "d'or\"n`; --", "\u0000x", "007", "7"]
"""Keys that one engine or the other could fold, trim, order otherwise or take for numbers."""

EDGES = [
    AS_OF - timedelta(days=days) + timedelta(microseconds=step) for days in (0, 2, 7, 9, 30) for step in (-1, 0, 1)
]
DAYS = [
    datetime(2024, 2, 29, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 10, 7, 30, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
FLOATS = [
    0.0, -0.0, 0.1, 0.2, 0.3, 1 / 3, 1e-9, 5e-324, 1e15 + 0.5, 2.0**53 + 2, -7.5, 123456.789, 40.0, 1.0, 1.0, 2.0,
    math.nan, math.inf, -math.inf, None, None,
]  # fmt: skip
WHOLES = [0, 1, -1, 2, 3, 5, 2**31, -(2**31) - 1, 2**53 + 1, 2**62, -(2**62), 2**63 - 1, None]


def tables(seed: int, *, people: int = 40, events: int = 900) -> dict[str, pa.Table]:
    """Return the inputs of all catalogs by role, with rows that nobody should hand in, and some more columns."""
    draw = random.Random(seed)
    keys = [*KEYS, *(f"u{n:03}" for n in range(people - len(KEYS)))]
    users, tasks = _users(draw, keys), _tasks(draw, keys, events // 5)
    return {
        "users": users,
        "activity": _activity(draw, keys, tasks["task_id"].to_pylist(), events),
        "tasks": tasks,
        "teams": pa.table({
            "team_id": pa.array(["t1", "t2", "t3", "é", None]),
            "project_id": pa.array(["p1", "p1", "P1", None, "p1"]),
            "skill": pa.array(["backend", "devops", None, "", "docs"]),
        }),
        "projects": pa.table({
            "project_id": pa.array(["p1", "P1", "p 2", "empty", None]),
            "created_at": pa.array([*(_time(draw, past=True) for _ in range(4)), None], _UTC),
        }),
    }  # fmt: skip


_UTC = pa.timestamp("us", tz="UTC")


def _time(draw: random.Random, *, past: bool = False) -> Any:
    if past:
        return AS_OF - timedelta(days=draw.uniform(1, 400))
    kind = draw.random()
    if kind < 0.3:
        return draw.choice(EDGES)
    if kind < 0.4:
        return draw.choice(DAYS)
    return None if kind < 0.45 else AS_OF + timedelta(days=draw.uniform(-12, 1), microseconds=draw.randrange(10**6))


def _users(draw: random.Random, keys: list[str]) -> pa.Table:
    count = len(keys)
    rows = {
        "user_id": pa.array(keys),
        "email": pa.array([f"{n}@example.org" for n in range(count)]),
        "age": pa.array([draw.choice([0, 18, 65, 150, None]) for _ in keys], pa.int16()),
        "status": pa.array([draw.choice(["active", "inactive", "pending", None]) for _ in keys]),
        "team_id": pa.array([draw.choice(["t1", "t2", "t3", "é", "nowhere", None]) for _ in keys]),
        "weekly_capacity_hours": pa.array([draw.choice(FLOATS) for _ in keys], pa.float64()),
        "created_at": pa.array([_time(draw, past=draw.random() < 0.8) for _ in keys], _UTC),
        "a": pa.array([draw.choice(FLOATS) for _ in keys], pa.float64()),
        "b": pa.array([draw.choice(FLOATS) for _ in keys], pa.float64()),
        "n": pa.array([draw.choice(WHOLES) for _ in keys], pa.int64()),
        "flag": pa.array([draw.choice([True, False, None]) for _ in keys]),
        "text": pa.array([draw.choice(["a", "B", "é", "", "a ", None]) for _ in keys]),
    }
    table = pa.table(rows)
    # A row twice is one entity, a row without a key none.
    without_key = pa.table({**{name: table[name].slice(0, 1) for name in rows}, "user_id": pa.nulls(1, pa.string())})
    return pa.concat_tables([table, table.slice(2, 3), without_key])


def _activity(draw: random.Random, keys: list[str], tasks: list[Any], count: int) -> pa.Table:
    owners = [*keys[:-3], "stranger", None]
    return pa.table({
        "event_id": pa.array(range(count)),
        "user_id": pa.array([draw.choice(owners) for _ in range(count)]),
        "project_id": pa.array([draw.choice(["p1", "P1", "p 2", "unknown", None]) for _ in range(count)]),
        "task_id": pa.array([draw.choice([*tasks[:30], "unknown", None]) for _ in range(count)]),
        "event_type": pa.array([
            draw.choice(["task_started", "task_completed", "task_completed", "bug_reported", "files_changed", None])
            for _ in range(count)
        ]),
        "skill": pa.array([draw.choice(["backend", "frontend", "database", "devops", "", None]) for _ in range(count)]),
        "hours": pa.array([draw.choice([*FLOATS, draw.uniform(-1e9, 1e9)]) for _ in range(count)], pa.float64()),
        "points": pa.array([draw.choice(WHOLES) for _ in range(count)], pa.int64()),
        "size": pa.array([draw.choice([0, 1, 255, 2**64 - 1, None]) for _ in range(count)], pa.uint64()),
        "price": pa.array(
            [draw.choice([Decimal("0.1"), Decimal("-99999999.99"), Decimal("1.05"), None]) for _ in range(count)],
            pa.decimal128(18, 2),
        ),
        "late": pa.array([draw.choice([True, False, None]) for _ in range(count)]),
        "single": pa.array([draw.choice([0.1, 1.1, 3.4e15, None]) for _ in range(count)], pa.float32()),
        "occurred_at": pa.array([_time(draw) for _ in range(count)], _UTC),
    })  # fmt: skip


def _tasks(draw: random.Random, keys: list[str], count: int) -> pa.Table:
    return pa.table({
        "task_id": pa.array([f"task-{n}" for n in range(count)]),
        "project_id": pa.array([draw.choice(["p1", "P1", "p 2", "unknown", None]) for _ in range(count)]),
        "assignee_id": pa.array([draw.choice([*keys, "stranger", None]) for _ in range(count)]),
        "task_type": pa.array([draw.choice(["bug", "feature", "Bug", "", None]) for _ in range(count)]),
        "priority": pa.array([draw.choice(["low", "medium", "high", "critical", "?", None]) for _ in range(count)]),
        "skill": pa.array([draw.choice(["backend", "frontend", "database", None]) for _ in range(count)]),
        "status": pa.array([draw.choice(["open", "in_progress", "blocked", "done", None]) for _ in range(count)]),
        "dependency_count": pa.array([draw.choice([0, 1, 3, 2**31 - 1, None]) for _ in range(count)], pa.int64()),
        "estimated_hours": pa.array([draw.choice([*FLOATS, 8.0, 16.0]) for _ in range(count)], pa.float64()),
        "created_at": pa.array([_time(draw, past=draw.random() < 0.8) for _ in range(count)], _UTC),
        "completed_at": pa.array([_time(draw) for _ in range(count)], _UTC),
    })  # fmt: skip
