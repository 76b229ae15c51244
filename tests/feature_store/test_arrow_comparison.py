"""What differs between an artifact and what is online: by bytes, and by Feast's own reading, the same."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import guard, materialize, open_store
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.difference import Comparison, Difference
from airflow_provider_mlpipe.feature_store.inventory import inventory_of
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import quiet
from airflow_provider_mlpipe.run import Run
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, features

with quiet():
    from airflow_provider_mlpipe.feature_store.arrow_engine.comparison import comparer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> FeatureStore:
    """Settings of a project of its own, on each of the two kinds of store."""
    if request.param == "sqlite":
        return FeatureStore()
    redis = {"type": "redis", "connection_string": request.getfixturevalue("valkey")}
    return FeatureStore(project=f"p{uuid.uuid4().hex}", online_store=redis)


def compared(artifact: Artifact, store: FeatureStore, root: Storage, folder: Path) -> tuple[Difference, pa.Table, bool]:
    """Return the difference, the rows to be written again, and whether bytes were compared."""
    with quiet():
        opened, definition = open_store(store, root), Definition.of(artifact)
        view = opened.get_feature_view(VIEW)
        inventory = inventory_of(Settings.of(store, root), opened, view)
        comparison = Comparison(artifact, definition, guard.survey(artifact, definition), opened, view, inventory)
        description = Description(dataset="due", stage=store.engine, run=Run())
        with ArtifactWriter(Storage(str(folder)), description, artifact.schema) as writer:
            found = comparison.run(writer)
            rows = writer.publish().table()
        by_bytes = comparer(opened, view, artifact.schema) is not None
    return found, rows, by_bytes


def test_bytes_and_feast_say_the_same(root: Storage, store: FeatureStore, tmp_path: Path) -> None:
    """Every type: rows as they are, of other values, of other times, not online, and online in addition."""
    table = every_type(60)
    other = table.to_pylist()
    for number, row in enumerate(other):
        changed = [name for name in table.column_names[1:] if row[name] is not None and name != "nothing"]
        if number % 3 == 1:  # one value, in turn of every type, becomes null or what another row has
            name = changed[number % len(changed)]
            row[name] = None if number % 2 else other[number - 1][name]
    online = pa.Table.from_pylist(other, schema=table.schema).slice(5)
    times = [as_of(14) + timedelta(milliseconds=300, seconds=number % 2) for number in range(55)]
    materialize(features(root, online, times=times), store, root=root)
    held = features(root, table.slice(0, 50), day=14)

    by_bytes = compared(held, store, root, tmp_path / "ours")
    by_feast = compared(held, store.model_copy(update={"engine": "stock"}), root, tmp_path / "feasts")

    assert (by_bytes[2], by_feast[2]) == (True, False)
    assert by_bytes[0] == by_feast[0]
    assert by_bytes[1].select(["user_id"]).equals(by_feast[1].select(["user_id"]))
    found = by_bytes[0]
    assert len(found.excess) == 10
    assert 0 < found.unchanged < 45
    assert 5 < found.changed < found.rewrite


def test_of_keys_with_several_rows_the_newest_is_compared(root: Storage, store: FeatureStore, tmp_path: Path) -> None:
    table = pa.table({"user_id": ["a", "b", "a"], "score": [1.0, 2.0, 3.0]})
    artifact = features(root, table, times=[as_of(13), as_of(14), as_of(14)])
    materialize(artifact, store, root=root)
    found, rows, _ = compared(artifact, store, root, tmp_path)
    assert (found.unchanged, found.rewrite, found.excess, rows.num_rows) == (2, 0, [], 0)
