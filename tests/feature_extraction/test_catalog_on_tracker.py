"""All four entities of the catalog on real project histories, by YAML alone: against plain loops over plain rows.

The loops are written from docs/reference/features.md, not from the package's code, for entities taken at random.
"""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.feature_extraction import extract
from tests.feature_extraction.material import day, published
from tests.realdata import TRACKER, needs_tracker

YAML = """
user_features:
  aggregation_window: 60d
  columns: {activity: {skill: area, hours: amount}}
  features: [workload_capacity_pct, tasks_completed_per_week, tenure_days, experience_level, collaborators, shared_tasks,
             collaboration_score]
task_features:
  columns: {activity: {skill: area, hours: amount}, tasks: {skill: area}}
project_features:
  aggregation_window: 60d
  columns: {activity: {hours: amount}}
team_features:
  aggregation_window: 60d
  columns: {activity: {skill: area, hours: amount}}
"""
MOMENTS = [datetime.fromisoformat(text) for text in ("2023-06-01T02:00:00+00:00", "2026-01-14T02:00:00+00:00")]
WINDOW = timedelta(days=60)
DAY = timedelta(days=1)

pytestmark = [needs_tracker, pytest.mark.slow]


class Tracker:
    """The tables as rows, cut at a moment: times that have not come yet are None."""

    def __init__(self, rows, as_of):
        self.as_of = as_of
        for name, table in rows.items():
            cut = [
                {k: (None if isinstance(v, datetime) and v >= as_of else v) for k, v in row.items()} for row in table
            ]
            setattr(self, name, cut)
        self.users = [row for row in self.users if row["created_at"]]
        self.tasks = [row for row in self.tasks if row["created_at"]]
        self.activity = [row for row in self.activity if row["occurred_at"]]
        self.recent = [row for row in self.activity if row["occurred_at"] >= as_of - WINDOW]

    def days_since(self, time):
        return (self.as_of - time) / DAY

    def planned_days(self, task):
        return task["estimated_hours"] / 40 * 7


def completed(events):
    return [event for event in events if event["event_type"] == "task_completed"]


def total(events, column="amount"):
    return math.fsum(event[column] for event in events)


def ratio(above, below):
    return above / below if below else None


def user(data, row):
    own = [event for event in data.recent if event["user_id"] == row["user_id"]]
    ever = len(completed(event for event in data.activity if event["user_id"] == row["user_id"]))
    tasks = {event["task_id"] for event in own}
    shared = {event["task_id"] for event in data.recent if event["user_id"] != row["user_id"]} & tasks
    others = {event["user_id"] for event in data.recent if event["task_id"] in shared} - {row["user_id"]}
    return {
        "workload_capacity_pct": 100 * total(completed(own)) / (60 / 7) / row["weekly_capacity_hours"],
        "tasks_completed_per_week": len(completed(own)) / (60 / 7),
        "tenure_days": data.days_since(row["created_at"]),
        "experience_level": sum(ever >= step for step in (1, 10, 50, 200)),
        "collaborators": len(others),
        "shared_tasks": len(shared),
        "collaboration_score": ratio(len(shared), len(tasks)),
    }


def task(data, row):
    own = [event for event in data.activity if event["task_id"] == row["task_id"]]
    kinds = {item["task_id"]: (item["task_type"], item["priority"]) for item in data.all_tasks}
    done = completed(data.activity)
    like = [event["amount"] for event in done if kinds[event["task_id"]] == (row["task_type"], row["priority"])]
    same = [event["amount"] for event in done if kinds[event["task_id"]][0] == row["task_type"]]
    chosen = like or same
    needed = {event["area"] for event in own}
    skills = max(len(needed), 1)
    e, d = row["estimated_hours"], row["dependency_count"]
    late = 0 if row["completed_at"] else min(1, data.days_since(row["created_at"]) / data.planned_days(row))
    return {
        "complexity_score": 10 * (0.5 * e / (e + 8) + 0.3 * d / (d + 2) + 0.2 * skills / (skills + 2)),
        "priority_level": {"low": 1, "medium": 2, "high": 3, "critical": 4}[row["priority"]],
        "effort_estimate_hours": math.fsum(chosen) / len(chosen) if chosen else None,
        "required_skills": skills,
        **{
            f"requires_{skill}": int(skill in needed or row["area"] == skill)
            for skill in ("backend", "frontend", "database", "devops")
        },
        "dependency_count": d,
        "deadline_urgency": late,
    }


def project(data, row):
    key = row["project_id"]
    tasks = [item for item in data.tasks if item["project_id"] == key]
    still = [item for item in tasks if not item["completed_at"]]
    teams = {item["team_id"] for item in data.teams if item["project_id"] == key}
    done = len(tasks) - len(still)
    recent = [item for item in tasks if item["completed_at"] and item["completed_at"] >= data.as_of - WINDOW]
    overdue = sum(data.days_since(item["created_at"]) > data.planned_days(item) for item in still)
    blocked = sum(item["dependency_count"] > 0 for item in still)
    bugs = sum(item["task_type"] == "bug" for item in still)
    spent = total(completed(event for event in data.activity if event["project_id"] == key))
    return {
        "total_tasks": len(tasks),
        "completed_tasks": done,
        "blocked_tasks": blocked,
        "progress_pct": ratio(100 * done, len(tasks)),
        "velocity_tasks_per_week": len(recent) / (60 / 7),
        "risk_score": (0.5 * overdue + 0.3 * blocked + 0.2 * bugs) / len(still) if still else 0,
        "team_size": sum(item["team_id"] in teams for item in data.users),
        "budget_utilization_pct": ratio(100 * spent, total(tasks, "estimated_hours")),
    }


def team(data, row):
    team_of = {item["user_id"]: item["team_id"] for item in data.all_users}
    members = [item for item in data.users if item["team_id"] == row["team_id"]]
    own = [event for event in data.recent if team_of[event["user_id"]] == row["team_id"]]
    done = completed(own)
    shares = [sum(event["area"] == area for event in done) / len(done) for area in {event["area"] for event in done}]
    hours = {who: total(event for event in done if event["user_id"] == who) for who in {e["user_id"] for e in done}}
    squares = math.fsum(value**2 for value in hours.values())
    tasks = {event["task_id"] for event in own}
    workers = {key: {event["user_id"] for event in own if event["task_id"] == key} for key in tasks}
    tenure = [data.days_since(item["created_at"]) for item in members]
    return {
        "team_size": len(members),
        "skill_diversity": 1 / math.fsum(share**2 for share in shares) if shares else None,
        "experience_junior": sum(days <= 365 for days in tenure),
        "experience_mid": sum(365 < days <= 1095 for days in tenure),
        "experience_senior": sum(days > 1095 for days in tenure),
        "workload_balance": min(1, math.fsum(hours.values()) ** 2 / (len(members) * squares))
        if squares and members
        else None,
        "collaboration_score": ratio(sum(len(found) > 1 for found in workers.values()), len(tasks)),
    }


FORMULAS = {"user": user, "task": task, "project": project, "team": team}
SPINES = {"user": "users", "task": "tasks", "project": "projects", "team": "teams"}


@pytest.fixture(scope="module")
def tables():
    found = {name: pacsv.read_csv(TRACKER / f"{name}.csv") for name in ("users", "teams", "projects")}
    return found | {name: pq.read_table(TRACKER / f"{name}.parquet") for name in ("tasks", "activity")}


@pytest.fixture(scope="module")
def rows(tables):
    """The rows; the module reads them once, as a hundred thousand of them take their time."""
    listed = {}
    for name, table in tables.items():
        listed[name] = [
            {key: value.to_pydatetime() if hasattr(value, "to_pydatetime") else value for key, value in row.items()}
            for row in table.to_pylist()
        ]
    return listed


@pytest.mark.parametrize("as_of", MOMENTS, ids=str)
@pytest.mark.parametrize("kind", FORMULAS)
def test_catalog_on_real_data(root, tmp_path, tables, rows, kind, as_of):
    path = tmp_path / "features.yaml"
    path.write_text(YAML, encoding="utf-8")
    inputs = {name: published(root, name, table) for name, table in tables.items()}
    extraction = extract(feature_set(path, f"{kind}_features"), inputs, root=root, run=day(as_of), as_of=as_of)
    found = {row[f"{kind}_id"]: row for row in extraction.artifact.table().to_pylist()}
    data = Tracker(rows, as_of)
    data.all_tasks, data.all_users = rows["tasks"], rows["users"]
    spine = getattr(data, SPINES[kind])
    # Users and teams are there whenever; tasks and projects from their creation on.
    if kind in ("task", "project"):
        spine = [row for row in spine if row["created_at"]]
        assert set(found) == {row[f"{kind}_id"] for row in spine}
    else:
        assert set(found) == {row[f"{kind}_id"] for row in rows[SPINES[kind]]}
    chosen = random.Random(7).sample(spine, min(len(spine), 40))
    busy = {event["user_id"] for event in data.recent}
    chosen += [row for row in spine if row.get("user_id") in busy][:40] if kind == "user" else []
    chosen += [row for row in spine if not row["completed_at"]][:40] if kind == "task" else []
    assert len(chosen) >= 3
    for row in chosen:
        expected = FORMULAS[kind](data, row)
        own = found[row[f"{kind}_id"]]
        assert set(own) == {f"{kind}_id", "event_timestamp", "created_timestamp", *expected}
        for name, value in expected.items():
            same = own[name] == value or (value is not None and own[name] == pytest.approx(value, rel=1e-12, abs=1e-12))
            assert same, f"{name} of {row[f'{kind}_id']}: got {own[name]!r}, expected {value!r}"
