"""Arguments that say what a stage works with arrive there: another artifact, and which Spark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
from airflow_provider_mlpipe.errors import DataRejectedError, UnknownKeyError
from airflow_provider_mlpipe.operators import ExtractFeaturesOperator, ValidateOperator
from airflow_provider_mlpipe.operators.job import Job
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage

RULES = {"events": {"references": {"user_id": "users.user_id"}}}


@pytest.fixture
def publish(root: Storage) -> Callable[[str, list[str]], str]:
    """Publish an artifact with one column of users; return its URI."""

    def publish(dataset: str, users: list[str]) -> str:
        table = pa.table({"user_id": users})
        described = Description(dataset=dataset, stage="raw", run=Run(run_id="before"))
        with ArtifactWriter(root, described, table.schema) as writer:
            writer.write_all(table.to_batches())
            return writer.publish().uri

    return publish


@pytest.fixture
def job(root: Storage) -> Job:
    """What an operator gets when its task executes, as far as it is asked for here."""
    from airflow_provider_mlpipe.engines import DuckDBSettings

    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    run = Run(dag_id="d", task_id="t", run_id="r")
    when = datetime(2026, 1, 14, 2, tzinfo=UTC)
    context: Any = {"ti": ti, "outlet_events": {}}
    return Job(run=run, as_of=when, root=root, engine=DuckDBSettings(), context=context)


def test_rules_refer_to_a_related_artifact(job: Job, publish: Callable[[str, list[str]], str]) -> None:
    events, users = publish("events", ["u1", "u2"]), publish("users", ["u1", "u2", "u3"])
    passing = ValidateOperator(task_id="v", artifact=events, config=RULES, related={"users": users})
    fewer = ValidateOperator(task_id="v", artifact=events, config=RULES, related={"users": publish("few", ["u1"])})

    assert passing.run_stage(job) == events
    with pytest.raises(DataRejectedError, match="u2"):
        fewer.run_stage(job)


def test_the_artifact_root_is_reached_by_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"conn_type": "aws", "login": "key-of-lake", "password": "hunter2-of-lake", "extra": {"region_name": "eu"}}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(fields))
    task = ValidateOperator(
        task_id="v", artifact="a", config=RULES, artifact_root="s3://lake/features/", artifact_conn_id="lake"
    )
    ti = SimpleNamespace(dag_id="d", task_id="v", run_id="r", map_index=-1, try_number=1)
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(run_after=datetime(2026, 1, 14, tzinfo=UTC))}

    root = task._job(context).root

    assert root.uri == "s3://lake/features"
    assert (root.options.access_key, root.options.secret_key) == ("key-of-lake", "hunter2-of-lake")


@pytest.mark.parametrize("of", ["validate", "extract"])
def test_which_spark_is_asked_for_is_read(of: str, job: Job, publish: Callable[[str, list[str]], str]) -> None:
    """The settings are looked at before any Spark is; what becomes of them is told in tests/spark."""
    events = publish("events", ["u1"])
    spark = {"engine": "spark", "spark": {"mastr": "local[1]"}}
    task: Any = (
        ValidateOperator(task_id="v", artifact=events, config=RULES, **spark)
        if of == "validate"
        else ExtractFeaturesOperator(
            task_id="e", feature_set="user_features", config={"user_features": {}}, inputs={"users": events}, **spark
        )
    )

    with pytest.raises(UnknownKeyError, match="mastr.*Did you mean 'master'"):
        task.run_stage(job)
