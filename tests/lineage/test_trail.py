"""What a task notes while it runs, and what is made of it: names and columns, without OpenLineage or Airflow."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.ingestion import gather
from airflow_provider_mlpipe.lineage import Trail, columns, listening, trail
from airflow_provider_mlpipe.lineage.mixin import OpenLineageMixin
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

PEOPLE = pa.table({"user_id": ["a", "b"], "age": [30, 40]})


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens."""
    monkeypatch.setattr(trail, "listening", lambda: True)


def published(
    root: Storage, dataset: str, table: pa.Table = PEOPLE, *, map_index: int = -1, inputs: Sequence[Any] = (),
    stage: str = "raw", **details: Any,
) -> Artifact:  # fmt: skip
    """Publish a table."""
    run = Run(run_id="manual", map_index=map_index)
    description = Description(dataset=dataset, stage=stage, run=run, inputs=tuple(inputs), details=details)
    with ArtifactWriter(root, description, table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def came(edges: columns.Edges, column: str) -> set[tuple[str, str, str]]:
    """Return data set, column and kind of what a column comes from."""
    return {(edge.place.name.split("/")[-2], edge.column, edge.subtype) for edge in edges[column]}


def test_without_openlineages_provider_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.conf", None)

    assert not listening()


def test_where_nobody_listens_nothing_is_read(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "listening", lambda: False)
    noted = Trail()

    noted.returns(f"{root.uri}/not/there", root.options)
    noted.judges(published(root, "people"))

    assert (noted.wrote, noted.judged) == ({}, [])


@pytest.mark.usefixtures("heard")
def test_what_cannot_be_told_is_logged_and_fails_nothing(root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Trail().returns(f"{root.uri}/not/there", root.options)

    assert "OpenLineage is not told of what was published: no artifact at" in caplog.text


@pytest.mark.usefixtures("heard")
def test_what_mapped_tasks_published_is_one_input(root: Storage) -> None:
    parts = [published(root, "people", PEOPLE.slice(number, 1), map_index=number) for number in range(2)]
    whole = gather(parts, root=root, run=Run(run_id="manual"))
    noted = Trail()
    noted.reads(whole)
    noted.returns(whole.uri, root.options)

    (place,) = noted.inputs()
    assert place.name.endswith("/people/raw")
    assert not noted.wrote


@pytest.mark.usefixtures("heard")
def test_a_source_with_two_topics_may_have_given_a_value_by_either(root: Storage) -> None:
    source = {"type": "kafka", "topic": ["old", "new"], "bootstrap_servers": "k:9092", "columns": {"user_id": "uid"}}
    noted = Trail()
    noted.reads_source(config.source({"sources": {"events": source}}, "events"), None)

    edges = columns.of_artifact(published(root, "events"), noted)

    assert [(edge.place.name, edge.column) for edge in edges["user_id"]] == [("old", "uid"), ("new", "uid")]


def test_a_function_that_may_have_read_anything_reads_everything(root: Storage) -> None:
    people = published(root, "people")
    noted = Trail()
    noted.reads(people)
    lineage = [
        {"feature": "luck", "input": "users", "column": "user_id", "kind": "key"},
        {"feature": "luck", "input": "users", "column": "*", "kind": "input"},
    ]
    table = pa.table({"user_id": ["a"], "luck": [1.0]})
    features = published(
        root, "user_features", table, inputs=[people.as_input("users")], stage="features",
        entity="user_id", lineage=lineage,
    )  # fmt: skip

    edges = columns.of_artifact(features, noted)

    assert came(edges, "user_id") == {("people", "user_id", "IDENTITY")}
    assert came(edges, "luck") == {
        ("people", "user_id", "JOIN"),
        ("people", "user_id", "TRANSFORMATION"),
        ("people", "age", "TRANSFORMATION"),
    }


def test_clean_rows_come_from_the_rows_they_were_among(root: Storage) -> None:
    people = published(root, "people")
    noted = Trail()
    noted.reads(people)
    clean = published(root, "people", PEOPLE.slice(0, 1), stage="validated", inputs=[people.as_input("raw")])

    edges = columns.of_artifact(clean, noted)

    assert {name: came(edges, name) for name in edges} == {
        name: {("people", name, "IDENTITY")} for name in ("user_id", "age")
    }


def test_at_the_start_artifacts_are_told_by_the_arguments_that_are_known() -> None:
    """Not those that Airflow would have to be asked for, and no template."""

    class Operator(OpenLineageMixin):
        artifact = "{{ ti.xcom_pull('later') }}"
        inputs: ClassVar = {"users": "/lake/users/raw/run-1", "activity": iter(())}
        chunks: ClassVar = ["s3://lake/parts/run-1", "s3://lake/parts/run-1-m0001"]

    pytest.importorskip("airflow.providers.openlineage")
    told = Operator().get_openlineage_facets_on_start()

    assert [(one.namespace, one.name) for one in told.inputs] == [("file", "/lake/users/raw"), ("s3://lake", "parts")]
