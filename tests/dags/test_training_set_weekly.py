"""The weekly training set on the sample, after the daily pipeline ran for some days: both Dags as people copy them.

All runs happen in one process (`story`), because importing Great Expectations and Feast costs more than all runs
together; each test looks at its part.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Run, Step, new_airflow

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.airflow

DAYS = ("2026-01-13", "2026-01-15", "2026-01-16")
"""Not every day, and none for the first tasks of the week: features of 12, 14 and 15 January at 02:00."""

WEEK = "20260110T030000Z-20260117T030000Z"
FEATURES = ["skill_score_backend", "skill_score_frontend", "current_workload_hours", "tasks_completed_7d"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sample and the artifacts of this module are."""
    return tmp_path_factory.mktemp("weekly")


@pytest.fixture(scope="module")
def database(place: Path) -> Path:
    """The sample."""
    return sample.write(place / "sample").database


@pytest.fixture(scope="module")
def story(place: Path, database: Path) -> dict[str, Run]:
    """Some days, the week, a day after the week, and the week again."""
    steps = {day: Step("user_feature_pipeline", day) for day in DAYS}
    steps["week"] = Step("training_set_weekly", "2026-01-18")
    steps["later"] = Step("user_feature_pipeline", "2026-01-19")
    steps["again"] = Step("training_set_weekly", "2026-01-18")
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"), MLPIPE_SAMPLE_DB=f"sqlite:///{database}"
    )
    return dict(zip(steps, airflow.run(*steps.values()), strict=True))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def rows(story: dict[str, Run]) -> list[dict[str, Any]]:
    """The training set."""
    assert set(story["week"].states.values()) == {"success"}, story["week"].log
    return Artifact.open(story["week"].xcom("training_set")).table().to_pylist()


def test_every_task_completed_in_the_week_is_a_row(
    rows: list[dict[str, Any]], database: Path, story: dict[str, Run]
) -> None:
    week = [text[:16] for text in story["week"].interval]
    assert week == ["2026-01-10 03:00", "2026-01-17 03:00"]
    with closing(sqlite3.connect(database)) as connection:
        done = connection.execute(
            "SELECT task_id FROM tasks WHERE status = 'completed' AND completed_at >= ? AND completed_at < ?", week
        ).fetchall()
    assert sorted(row["task_id"] for row in rows) == sorted(task for (task,) in done)
    assert len(rows) > 100
    assert {row["late"] for row in rows} == {0, 1}


def test_each_row_has_the_features_of_the_last_run_before_the_task_was_given_out(
    rows: list[dict[str, Any]], story: dict[str, Run]
) -> None:
    """By hand: of the days that ran, the newest whose moment is not later than the task; nobody's otherwise."""
    days = []
    for day in DAYS:
        artifact = Artifact.open(story[day].xcom("extract_features"))
        known = datetime.fromisoformat(artifact.manifest.details["as_of"])
        days.append((known, {row["user_id"]: row for row in artifact.table().to_pylist()}))
    seen = set()
    for row in rows:
        given_out = row["created_at"].replace(tzinfo=UTC)
        before = [(known, users) for known, users in days if known <= given_out and row["user_id"] in users]
        known, users = max(before, key=lambda pair: pair[0]) if before else (None, {})
        seen.add(known)
        expected = {name: users[row["user_id"]][name] if users else None for name in FEATURES}
        assert {name: row[name] for name in FEATURES} == expected, row["task_id"]
    assert seen == {None, *(known for known, _ in days)}, "the sample should hold tasks of all kinds"


def test_the_proof_counts_them(rows: list[dict[str, Any]], story: dict[str, Run]) -> None:
    run = story["week"]
    artifact = Artifact.open(run.xcom("training_set"))
    assert artifact.uri.endswith(f"/late_tasks/training/{WEEK}")
    assert run.xcom("training_set", "proof") == f"{artifact.uri}/_pit_proof.json"
    proof = json.loads(artifact.read_beside("_pit_proof.json") or b"")
    (view,) = proof["views"]
    without = sum(row["tasks_completed_7d"] is None for row in rows)
    assert (proof["rows_in"], proof["rows_out"]) == (len(rows), len(rows))
    assert (view["violations"], view["rows_without_match"]) == (0, without)
    assert view["max_feature_minus_label_seconds"] < 0
    assert proof["labels"]["validation"] == "passed"
    metrics = run.xcom("training_set", "metrics")
    assert (metrics["labels"], metrics["labels_without_features"]) == (len(rows), without)
    assert run.log.count(f"Training set late_tasks: {len(rows)} labels, {without} of them without features") == 1


def test_the_week_again_is_the_same_place_and_content(story: dict[str, Run]) -> None:
    """Even though the features of another day, 18 January, have come in between."""
    first, again = story["week"], story["again"]
    assert set(story["later"].states.values()) == {"success"}
    assert again.xcom("training_set") == first.xcom("training_set")
    published = Artifact.open(again.xcom("training_set")).fingerprint
    assert again.xcom("training_set", "fingerprint") == first.xcom("training_set", "fingerprint") == published
