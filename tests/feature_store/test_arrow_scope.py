"""What the Arrow engine leaves to Feast's own: with one line in the log that says why, and Feast's result."""

from __future__ import annotations

import logging
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import open_store
from airflow_provider_mlpipe.feature_store.arrow_engine import ENGINE
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests.feature_store.feast_projects import END, ENGINES, START, Project

with quiet():
    from airflow_provider_mlpipe.feature_store.arrow_engine import scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

STAMP = pa.timestamp("us", "UTC")
HANDED_OVER = "materialised by Feast's own engine"


def rows(feature: pa.Array | None = None, *, created: bool = True, keys: Any = None) -> pa.Table:
    """Return four rows; one feature of them is given."""
    table = pa.table(
        {"user_id": list("abcd") if keys is None else keys, "event_timestamp": pa.array([START] * 4, STAMP)}
    )
    moments = [END, END, END, END if created else None]
    table = table.append_column("created_timestamp", pa.array(moments, STAMP))
    return table.append_column("score", pa.array([1.0, 2.0, None, 4.0]) if feature is None else feature)


ODD = {
    "has values of no bytes": rows(pa.array([b"", b"x", None, b""], pa.binary())),
    "has numbers beyond 2^53 beside nulls, which Feast rounds": rows(pa.array([2**53 + 1, None, 1, 2], pa.int64())),
}


def both(tmp_path: Path, table: pa.Table, **given: Any) -> list[Project]:
    """Put a table online in two projects that differ in the engine alone."""
    made = [
        Project(tmp_path / name, engine, {"type": "sqlite"}, **given)
        for name, engine in zip("sa", ENGINES, strict=True)
    ]
    for project in made:
        project.materialize(table)
    return made


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the log says of handing over."""
    caplog.set_level(logging.INFO, "airflow_provider_mlpipe")
    return lambda: [text for text in caplog.messages if HANDED_OVER in text]


@pytest.mark.parametrize("reason", ODD)
def test_values_of_which_feast_makes_something_else(tmp_path: Path, told: Callable[[], list[str]], reason: str) -> None:
    stock, arrow = both(tmp_path, ODD[reason])
    assert stock.digest() == arrow.digest()
    assert len(arrow.rows()) == 4
    [line] = told()
    assert line == f"scores is {HANDED_OVER}, not by Arrow: feature 'score' {reason}"


@pytest.mark.parametrize(
    ("table", "reason", "error"),
    [
        (rows(pa.array([[1], [2, None], None, []], pa.list_(pa.int64()))), "nulls within lists of whole", TypeError),
        (rows(created=False), "some 'created_timestamp' are null", sqlite3.Error),
        (rows(keys=["a", None, "c", "d"]), "some keys 'user_id' are null", ValueError),
    ],
)
def test_what_feast_refuses_is_refused_by_feast(
    tmp_path: Path, told: Callable[[], list[str]], table: pa.Table, reason: str, error: type[Exception]
) -> None:
    project = Project(tmp_path / "p", ENGINE, {"type": "sqlite"})
    with pytest.raises(error):
        project.materialize(table)
    assert [reason in line for line in told()] == [True]
    assert project.rows() == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"settings": {"offline_store": {"type": "file"}}}, "the offline store does not answer with a DuckDB table"),
        ({"settings": {"entity_key_serialization_version": 3}, "view": {"enable_validation": True}}, "Feast validates"),
    ],
)
def test_definitions_and_settings_that_it_does_not_know(
    tmp_path: Path, told: Callable[[], list[str]], given: dict[str, Any], reason: str
) -> None:
    stock, arrow = both(tmp_path, rows(), **given)
    assert stock.digest() == arrow.digest()
    [line] = told()
    assert reason in line


def test_a_store_with_vectors_is_feasts(tmp_path: Path, told: Callable[[], list[str]]) -> None:
    project = Project(tmp_path / "p", ENGINE, {"type": "sqlite", "enable_openai_compatible_store": True})
    project.materialize(rows())
    [line] = told()
    assert "the online store has enable_openai_compatible_store" in line
    assert len(project.rows()) == 4


def test_another_version_of_feast_is_feasts(
    tmp_path: Path, told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope.feast, "__version__", "0.68.0")
    stock, arrow = both(tmp_path, rows())
    assert stock.digest() == arrow.digest()
    [line] = told()
    assert "Feast 0.68.0 is not among the versions that this engine was proven on (0.67.0)" in line


def test_the_version_installed_is_proven() -> None:
    """If this fails after an upgrade: the byte tests say whether it may be added to PROVEN."""
    assert scope.feast.__version__ in scope.PROVEN


def test_every_reason_that_a_view_can_give(tmp_path: Path) -> None:
    from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
    from feast.types import Array, Float32, Float64, String

    entity = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path="f.parquet", timestamp_field="event_timestamp")
    renaming = FileSource(name="r", path="f.parquet", timestamp_field="event_timestamp", field_mapping={"a": "b"})
    schema = [Field(name="user_id", dtype=String), Field(name="score", dtype=Float64)]
    vector = Field(name="v", dtype=Array(Float32), vector_index=True, vector_search_metric="L2")

    def why(**given: Any) -> str:
        view = {"name": "v", "entities": [entity], "schema": schema, "source": source, "ttl": timedelta(days=1)}
        return scope._why_not_view(FeatureView(**(view | given)))

    assert why() == ""
    assert why(source=PushSource(name="push", batch_source=source)) == ""
    assert why(source=renaming) == "its source renames columns"
    assert why(source=PushSource(name="push", batch_source=renaming)) == "its source renames columns"
    assert why(entities=[], schema=schema[1:]) == "it has no entity"
    assert why(schema=[*schema, vector]) == "it has a vector index"
    assert why(enable_validation=True) == "Feast validates it on the way"
    assert why(online=False) == why(offline=True) == "it does not go online alone"
    inner = FeatureView(name="inner", entities=[entity], schema=schema, source=source)
    assert why(source=[inner], sink_source=source) == "it is made from other views"


def test_the_section_says_which_engine(root: Storage) -> None:
    def engine(store: FeatureStore) -> str:
        with quiet():
            return type(open_store(store, root)._get_provider().batch_engine).__name__

    assert engine(FeatureStore()) == "ArrowComputeEngine"
    assert engine(FeatureStore(engine="stock")) == "LocalComputeEngine"
