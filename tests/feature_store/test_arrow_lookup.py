"""The guard's questions a column of keys at a time, against Feast's answers, on a real Valkey."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import guard, materialize, open_store
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests.feature_store.feature_artifacts import VIEW, as_of, features

with quiet():
    from airflow_provider_mlpipe.feature_store.arrow_engine.lookup import lookup

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage


@pytest.fixture
def store(valkey: str) -> FeatureStore:
    """Settings of a project of its own on the shared server."""
    return FeatureStore(project=f"p{uuid.uuid4().hex}", online_store={"type": "redis", "connection_string": valkey})


def timed(root: Storage, seed: int, *, users: range) -> Artifact:
    """Return rows of users at times of their own, within three seconds."""
    chance = random.Random(seed)
    times = [as_of(14) + timedelta(microseconds=chance.randrange(3_000_000)) for _ in users]
    table = pa.table({"user_id": [f"ü{user}" for user in users], "score": [chance.random() for _ in users]})
    return features(root, table, times=times)


def test_the_guard_decides_the_same_either_way(root: Storage, store: FeatureStore) -> None:
    materialize(timed(root, 1, users=range(60)), store, root=root)
    later = timed(root, 2, users=range(30, 120))
    definition = Definition.of(later)
    with quiet():
        arrow = guard._compare(later, definition, open_store(store, root))
        stock = guard._compare(later, definition, open_store(store.model_copy(update={"engine": "stock"}), root))
    assert arrow == stock
    newer, again = arrow
    assert again
    assert 0 < len(newer) < 30


def test_of_keys_that_are_not_online_there_is_no_time(root: Storage, store: FeatureStore) -> None:
    artifact = timed(root, 1, users=range(3))
    materialize(artifact, store, root=root)
    with quiet():
        times_of = lookup(open_store(store, root), VIEW, pa.string())
    assert times_of is not None
    online = times_of(pa.array(["nobody", "ü2"])).to_pylist()
    assert online == [None, artifact.table()["event_timestamp"][2].as_py()]


def test_rows_that_nobody_wrote_before_are_not_written_again(root: Storage, store: FeatureStore) -> None:
    """Then Redis' own check of times stays on, against those who write meanwhile."""
    materialize(timed(root, 1, users=range(3)), store, root=root)
    others = timed(root, 1, users=range(3, 9))
    with quiet():
        found = guard._compare(others, Definition.of(others), open_store(store, root))
    assert found == (set(), False)


@pytest.mark.parametrize("online_store", [{"type": "sqlite"}, {"type": "redis", "redis_type": "redis_cluster"}])
def test_other_stores_are_asked_by_feast(root: Storage, store: FeatureStore, online_store: dict[str, str]) -> None:
    artifact = timed(root, 1, users=range(3))
    settings = FeatureStore()
    materialize(artifact, settings, root=root)
    with quiet():
        opened = open_store(settings.model_copy(update={"online_store": online_store}), root)
        assert lookup(opened, VIEW, pa.string()) is None
