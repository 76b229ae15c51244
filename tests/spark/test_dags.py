"""The example Dags on a real Spark: computed in the task, and by a job that SparkSubmitOperator hands over."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Run, Step, new_airflow
from tests.spark.conftest import absent


def lacking() -> str:
    """Return what these tests lack here."""
    try:
        version("apache-airflow-providers-apache-spark")
    except PackageNotFoundError:
        return "apache-airflow-providers-apache-spark is not installed (--no-deps)"
    return absent()


pytestmark = [pytest.mark.airflow, pytest.mark.skipif(bool(lacking()), reason=lacking())]

DAGS = ("spark_features", "spark_features_submitted")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """One day by both Dags."""
    place: Path = tmp_path_factory.mktemp("spark-dags")
    database = sample.write(place / "sample").database
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
        AIRFLOW__MLPIPE__SPARK_MASTER="local[2]",
        AIRFLOW_CONN_SPARK_DEFAULT=json.dumps({"conn_type": "spark", "host": "local[2]"}),
        # Where this environment's spark-submit and Python are.
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        MLPIPE_SAMPLE_DB=f"sqlite:///{database}",
    )
    # Each in a process of its own: a Spark more in the same one would be the first one's.
    # And each with a root of its own, or the second would take over what the first computed.
    roots = {dag: {"AIRFLOW__MLPIPE__ARTIFACT_ROOT": str(place / dag)} for dag in DAGS}
    return [run for dag in DAGS for run in airflow.run(Step(dag, "2026-01-15", env=roots[dag]))]


def test_both_publish_the_same_content(runs: list[Run]) -> None:
    """The job's result lies below its inputs' root, where the next task takes it from."""
    for run in runs:
        assert set(run.states.values()) == {"success"}, run.log
    in_process, submitted = runs
    computed = Artifact.open(in_process.xcom("extract_features"))
    assert Artifact.open(in_process.xcom("validate_users")).verdict()["engine"] == "spark"
    handed_over = Artifact.open(submitted.xcom("validate_features"))
    assert handed_over.fingerprint == computed.fingerprint
    assert handed_over.verdict()["passed"] is True
    assert handed_over.manifest.run["task_id"] == "submit_features"
    for run, artifact in ((DAGS[0], computed), (DAGS[1], handed_over)):
        assert f"/{run}/user_features/features/20260113T020000Z-20260114T020000Z" in artifact.uri
        assert artifact.manifest.details["engine"] == "spark"
        assert artifact.manifest.run["dag_id"] == run
        assert artifact.manifest.metrics["cache_hits"] == 0
        assert artifact.manifest.rows > 0
