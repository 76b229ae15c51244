"""The sample is realistic, passes the example rules, has the flaws that it promises, and never differs."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sqlite3
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

AS_OF = "2026-01-14 02:00:00.000000"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> sample.Sample:
    return sample.write(tmp_path_factory.mktemp("sample"))


def rows(made: sample.Sample, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(made.database)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(made: sample.Sample, tmp_path: Path) -> None:
    again = sample.write(tmp_path / "again")
    assert digests(again.folder) == digests(made.folder)
    other = sample.write(tmp_path / "other", seed=8)
    assert digests(other.folder)["tracker.db"] != digests(made.folder)["tracker.db"]


def test_writing_again_replaces_what_was_there(tmp_path: Path) -> None:
    many = sample.write(tmp_path, users=60, days=30)
    few = sample.write(tmp_path, users=10, days=3)
    assert len(few.pages) < len(many.pages)
    assert sorted(tmp_path.glob("api/*")) == sorted(few.pages)
    assert rows(few, "SELECT count(*) FROM users") == [(10,)]


def test_it_has_the_tables_and_types_of_the_contract(made: sample.Sample) -> None:
    found = {table: dict(rows(made, f"SELECT name, type FROM pragma_table_info('{table}')")) for table in made.rows}
    assert found["users"] == {
        "user_id": "TEXT",
        "email": "TEXT",
        "age": "INTEGER",
        "status": "TEXT",
        "team_id": "TEXT",
        "weekly_capacity_hours": "FLOAT",
        "created_at": "TIMESTAMP",
    }
    assert list(found["activity"]) == [
        "event_id",
        "user_id",
        "project_id",
        "task_id",
        "event_type",
        "skill",
        "hours",
        "occurred_at",
    ]
    assert found["activity"]["occurred_at"] == "TIMESTAMP"
    assert {"task_id", "assignee_id", "created_at", "completed_at"} <= set(found["tasks"])
    assert list(found["teams"]) == ["team_id", "project_id", "skill"]
    assert list(found["projects"]) == ["project_id", "created_at"]
    for table, number in made.rows.items():
        assert rows(made, f"SELECT count(*) FROM {table}") == [(number,)]
    for (text,) in rows(made, "SELECT occurred_at FROM activity LIMIT 50"):
        assert datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S.%f") == text


def test_it_holds_every_blocking_rule_of_the_example_config(made: sample.Sample) -> None:
    """The rules of severity ERROR in config/validation_config.yaml, at one as_of, by plain SQL."""
    [(total, keys, addresses)] = rows(
        made,
        "SELECT count(*), count(DISTINCT user_id), count(DISTINCT email) FROM users WHERE created_at < ?",
        AS_OF,
    )
    assert total == keys == addresses > 200
    assert rows(made, "SELECT count(*) FROM users WHERE age NOT BETWEEN 0 AND 120") == [(0,)]
    events = "FROM activity WHERE occurred_at < ?"
    [(total, keys, people, newest)] = rows(
        made, f"SELECT count(*), count(DISTINCT event_id), count(user_id), max(occurred_at) {events}", AS_OF
    )
    assert total == keys == people > 2000
    assert datetime.fromisoformat(AS_OF) - datetime.fromisoformat(newest) < timedelta(hours=48)
    assert {kind for (kind,) in rows(made, f"SELECT DISTINCT event_type {events}", AS_OF)} == {
        "task_started",
        "task_completed",
        "bug_reported",
        "files_changed",
    }


@pytest.mark.parametrize("size", [{}, {"users": 30, "days": 9}], ids=["default", "small"])
def test_data_is_fresh_at_every_as_of(size: dict[str, int], tmp_path: Path) -> None:
    made = sample.write(tmp_path, **size)
    for table, column, age in (("users", "created_at", 24), ("activity", "occurred_at", 48)):
        moments = [
            datetime.fromisoformat(text).replace(tzinfo=UTC)
            for (text,) in rows(made, f"SELECT {column} FROM {table} ORDER BY 1")
        ]
        as_of = made.start + timedelta(hours=24)
        while as_of <= made.end:
            newest = max(moment for moment in moments if moment < as_of)
            assert as_of - newest <= timedelta(hours=age), (table, as_of)
            as_of += timedelta(hours=1)


def test_it_has_harmless_flaws(made: sample.Sample) -> None:
    odd = "status NOT IN ('active', 'inactive', 'pending')"
    [(unknown,)] = rows(made, f"SELECT count(*) FROM users WHERE {odd} AND created_at < ?", AS_OF)
    assert 1 <= unknown <= 6
    [(impossible, known)] = rows(made, "SELECT sum(hours > 24), count(hours) FROM activity")
    assert 0 < impossible / known < 0.01
    [(skewed, done)] = rows(made, "SELECT sum(completed_at < created_at), count(completed_at) FROM tasks")
    assert 0 < skewed / done < 0.03
    for column in ("age", "team_id", "weekly_capacity_hours"):
        [(nulls,)] = rows(made, f"SELECT count(*) FROM users WHERE {column} IS NULL")
        assert 0 < nulls < 40, column
    assert any(not email.isascii() for (email,) in rows(made, "SELECT email FROM users"))


def test_it_is_shaped_like_work(made: sample.Sample) -> None:
    counts = [number for (number,) in rows(made, "SELECT count(*) FROM activity GROUP BY user_id ORDER BY 1 DESC")]
    assert sum(counts[: len(counts) // 10]) > 0.3 * sum(counts), "few people do much of the work"
    assert len(counts) < made.rows["users"], "some users never do anything"
    by_day = dict(rows(made, "SELECT strftime('%w', occurred_at), count(*) FROM activity GROUP BY 1"))
    assert by_day["0"] + by_day["6"] < 0.25 * sum(by_day.values()), "weekends are quiet"
    orphans = "SELECT count(*) FROM activity a LEFT JOIN users u USING (user_id) WHERE u.user_id IS NULL"
    assert rows(made, orphans) == [(0,)]
    early = """SELECT count(*) FROM activity a JOIN users u USING (user_id)
        WHERE a.occurred_at < u.created_at AND event_type <> 'task_completed'"""
    assert rows(made, early) == [(0,)]
    [(days,)] = rows(
        made,
        """SELECT avg(julianday(c.occurred_at) - julianday(s.occurred_at))
        FROM activity s JOIN activity c USING (task_id)
        WHERE s.event_type = 'task_started' AND c.event_type = 'task_completed'""",
    )
    assert 0.2 < days < 5, "tasks take hours or days"


def test_api_pages_follow_each_other_and_repeat_some_records(made: sample.Sample) -> None:
    tasks = []
    for number, path in enumerate(made.pages, start=1):
        page = json.loads(path.read_text(encoding="utf-8"))
        assert page["next"] == (f"/tasks?page={number + 1}" if number < len(made.pages) else None)
        tasks.extend(page["tasks"])
    keys = [task["task_id"] for task in tasks]
    assert len(set(keys)) == made.rows["tasks"] < len(keys)
    assert len({(task["task_id"], task["updated_at"]) for task in tasks}) == len(keys)


def test_files_hold_the_rows_of_the_tables(made: sample.Sample) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    with gzip.open(made.events, "rt", encoding="utf-8", newline="") as stream:
        events = list(csv.DictReader(stream))
    assert [(int(e["event_id"]), e["user_id"], e["hours"] or None) for e in events] == [
        (number, user, None if hours is None else str(hours))
        for number, user, hours in rows(made, "SELECT event_id, user_id, hours FROM activity ORDER BY 1")
    ]
    lines = [json.loads(line) for line in made.lines.read_text(encoding="utf-8").splitlines()]
    table = pq.read_table(made.parquet)
    assert str(table.schema.field("completed_at").type) == "timestamp[us, tz=UTC]"
    stored = rows(made, "SELECT task_id, status, estimated_hours FROM tasks")
    assert [(task["task_id"], task["status"], task["estimated_hours"]) for task in lines] == stored
    assert [(t["task_id"], t["status"], t["estimated_hours"]) for t in table.to_pylist()] == stored


@pytest.mark.parametrize(
    ("name", "sql", "expected"),
    [
        ("duplicate-key", "SELECT count(*) - count(DISTINCT user_id) FROM users WHERE created_at < ?", 2),
        ("null-email", "SELECT count(*) - count(email) FROM users WHERE created_at < ?", 3),
        ("age-200", "SELECT count(*) FROM users WHERE age > 120 AND created_at < ?", 2),
        (
            "stale-activity",
            "SELECT julianday(?) - julianday(max(occurred_at)) > 2 FROM activity",
            1,
        ),
        (
            "missing-column",
            "SELECT count(*) = 0 FROM pragma_table_info('users') WHERE name = 'age' AND ? <> ''",
            1,
        ),
    ],
)
def test_each_break_is_there_and_nothing_else(name: str, sql: str, expected: int, tmp_path: Path) -> None:
    good = sample.write(tmp_path / "good")
    bad = sample.write(tmp_path / "bad", broken=[name])
    assert rows(good, sql, AS_OF) == [(0,)]
    assert rows(bad, sql, AS_OF) == [(expected,)]
    assert bad.pages[0].read_bytes() == good.pages[0].read_bytes()


def test_every_break_is_tested() -> None:
    [mark] = [mark for mark in test_each_break_is_there_and_nothing_else.pytestmark if mark.name == "parametrize"]
    assert {case[0] for case in mark.args[1]} == set(sample.BREAKS)


def test_an_unknown_break_is_refused_with_the_closest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'null-email'"):
        sample.write(tmp_path, broken=["null-mail"])
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="users: at least 5, got 1"):
        sample.write(tmp_path, users=1)


def test_the_last_day_is_included(tmp_path: Path) -> None:
    made = sample.write(tmp_path, users=30, days=9, until=date(2026, 3, 15))
    assert (made.start, made.end) == (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 3, 16, tzinfo=UTC))
    [(newest,)] = rows(made, "SELECT max(created_at) FROM users")
    assert newest.startswith("2026-03-15")
