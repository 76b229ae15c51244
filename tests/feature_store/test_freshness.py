"""How old the newest features are, by three witnesses, as of a moment that is not now."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store import freshness, materialize, push, register
from airflow_provider_mlpipe.feature_store.freshness import PLACES
from tests.feature_store.feature_artifacts import STAMP, VIEW, as_of, features, scores

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests import servers

STORE = FeatureStore()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def newest(root: Storage, moment: datetime, place: Any) -> datetime | None:
    return freshness(VIEW, STORE, root=root, as_of=moment, place=place).newest


@pytest.mark.parametrize("place", PLACES)
def test_the_newest_up_to_the_moment_counts(root: Storage, place: Any) -> None:
    for day in (14, 15):
        materialize(features(root, scores(30, seed=day), day=day), STORE, root=root)

    found = freshness(VIEW, STORE, root=root, as_of=as_of(15) + HOUR, place=place)

    assert (found.newest, found.age) == (as_of(15), HOUR)
    assert found.within(HOUR)
    assert not found.within(HOUR - timedelta(seconds=1))
    assert newest(root, as_of(15), place) == as_of(15)
    assert newest(root, as_of(13), place) is None
    # An online store holds no past: what was there on day 14 has been replaced by something newer.
    between = freshness(VIEW, STORE, root=root, as_of=as_of(15) - HOUR, place=place)
    assert between.newest == (as_of(15) if place == "online" else as_of(14))
    assert between.age == (timedelta(0) if place == "online" else 23 * HOUR)


@pytest.mark.parametrize("place", PLACES)
def test_a_view_that_is_not_there_yet_is_not_fresh(root: Storage, place: Any) -> None:
    unknown = freshness(VIEW, STORE, root=root, as_of=as_of(15), place=place)
    register(features(root, scores(3)), STORE, root=root)
    registered = freshness(VIEW, STORE, root=root, as_of=as_of(15), place=place)

    for found in (unknown, registered):
        assert (found.newest, found.age, found.within(365 * DAY)) == (None, None, False)
        assert found.note
        assert found.as_dict()["newest"] is None


def test_a_push_counts_where_rows_are_and_not_in_the_registry(root: Storage) -> None:
    materialize(features(root, scores(30), day=14), STORE, root=root)
    later = as_of(14) + HOUR
    row = scores(1).append_column("event_timestamp", pa.array([later], STAMP))

    push(VIEW, row, STORE, root=root)

    assert [newest(root, as_of(15), place) for place in PLACES] == [as_of(14), later, later]


def test_an_entity_left_behind_online_is_seen(root: Storage) -> None:
    """Offline has the new interval, online not all of it: as after a kill between the two, or another writer."""
    materialize(features(root, scores(30), day=14), STORE, root=root)
    rows = scores(30).append_column("event_timestamp", pa.array([as_of(15)] * 30, STAMP))
    push(VIEW, rows, STORE, root=root, to="offline")
    assert newest(root, as_of(15), "online") == as_of(14)
    push(VIEW, rows.slice(1), STORE, root=root, to="online")
    assert newest(root, as_of(15), "online") == as_of(14)
    push(VIEW, rows, STORE, root=root, to="online")
    assert newest(root, as_of(15), "online") == as_of(15)


def test_a_moment_within_a_file_is_looked_up_in_its_rows(root: Storage) -> None:
    times = [as_of(14) + i * HOUR for i in range(10)]
    materialize(features(root, scores(10), day=14, times=times), STORE, root=root)

    assert newest(root, as_of(14) + 3.5 * HOUR, "offline") == as_of(14) + 3 * HOUR


def test_in_a_bucket(s3: servers.Bucket, tmp_path: Path) -> None:
    root = Storage(f"{s3.uri}/{uuid.uuid4().hex}", s3.options)
    store = FeatureStore(
        registry=str(tmp_path / "r.db"), online_store={"type": "sqlite", "path": str(tmp_path / "o.db")}
    )
    materialize(features(root, scores(10), day=14), store, root=root)

    for place in PLACES:
        assert freshness(VIEW, store, root=root, as_of=as_of(15), place=place).age == DAY


def test_a_place_that_is_none_is_refused(root: Storage) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'online'"):
        freshness(VIEW, STORE, root=root, as_of=as_of(15), place="onlin")  # type: ignore[arg-type]
