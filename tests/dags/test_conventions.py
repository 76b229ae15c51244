"""What holds of every example Dag: people copy them, habits and all."""

from __future__ import annotations

import runpy
import tokenize
from datetime import timedelta

import pytest
from airflow.sdk import DAG
from airflow.timetables.interval import CronDataIntervalTimetable

from tests.operators.home import REPOSITORY

WOKEN_BY_ASSETS = {"kafka_event_driven", "minio_follow_up"}
FILES = sorted((REPOSITORY / "dags").glob("*.py"))
NAMES = [
    # Without the Spark provider it has no Dag, and only the slow tests need one.
    pytest.param(file.name, marks=[pytest.mark.slow] if file.stem == "spark_features_submitted" else [])
    for file in FILES
]


def dags_of(name: str) -> list[DAG]:
    found = runpy.run_path(str(REPOSITORY / "dags" / name)).values()
    return list({id(value): value for value in found if isinstance(value, DAG)}.values())


@pytest.mark.parametrize("name", NAMES)
def test_it_explains_itself_retries_and_does_not_catch_up_unasked(name: str) -> None:
    dags = dags_of(name)

    assert name.removesuffix(".py") in {dag.dag_id for dag in dags}
    for dag in dags:
        assert "airflow dags test" in (dag.doc_md or ""), "its text should say how to try it"
        assert dag.description
        assert "mlpipe" in dag.tags
        assert dag.catchup is False
        assert {task.retries > 0 and task.retry_delay > timedelta(0) for task in dag.tasks} == {True}


@pytest.mark.parametrize("name", NAMES)
def test_its_runs_have_intervals_with_a_length(name: str) -> None:
    """A bare cron string would make intervals without one."""
    for dag in dags_of(name):
        assert isinstance(dag.timetable, CronDataIntervalTimetable) is (dag.dag_id not in WOKEN_BY_ASSETS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_teaches(file) -> None:
    """At least one comment: why, not what."""
    with file.open("rb") as stream:
        comments = [token for token in tokenize.tokenize(stream.readline) if token.type == tokenize.COMMENT]
    assert comments
