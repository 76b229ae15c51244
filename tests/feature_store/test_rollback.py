"""Rollback: what is online becomes one artifact's rows again, on SQLite and on a real Valkey, and nothing else changes."""

from __future__ import annotations

import importlib
import json
import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import ONLINE, Artifact, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, GateClosedError, ReadBackError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import materialize, open_store, read_online, rollback
from tests.feature_store.feature_artifacts import (
    VIEW,
    as_of,
    every_type,
    expected,
    features,
    online,
    raw,
    scores,
)

if TYPE_CHECKING:
    import redis


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest) -> FeatureStore:
    """Settings of a project of its own, on each of the two kinds of store."""
    if request.param == "sqlite":
        return FeatureStore()
    return on_redis(request.getfixturevalue("valkey"))


def on_redis(address: str, project: str = "") -> FeatureStore:
    settings = {"type": "redis", "connection_string": address}
    return FeatureStore(project=project or f"p{uuid.uuid4().hex}", online_store=settings)


def entities_online(store: FeatureStore, root: Storage, view: str = VIEW) -> set[Any]:
    """Return the keys that are online for a view, as the store itself lists them."""
    from feast.infra.key_encoding_utils import deserialize_entity_key

    from airflow_provider_mlpipe.feature_store.inventory import inventory_of
    from airflow_provider_mlpipe.feature_store.settings import Settings

    opened = open_store(store, root)
    inventory = inventory_of(Settings.of(store, root), opened, opened.get_feature_view(view))
    found = {key for some in inventory.listed() for key in some}
    [*values] = (deserialize_entity_key(key, 3).entity_values[0] for key in found)
    return {getattr(value, value.WhichOneof("val")) for value in values}


def test_the_newer_day_is_undone(root: Storage, store: FeatureStore, caplog: pytest.LogCaptureFixture) -> None:
    """Users 5 to 14 were wrong on day 15, users 15 to 24 were new, users 0 to 4 were not touched."""
    good, bad = scores(15, seed=1), scores(20, seed=2, first=5)
    to = features(root, good, day=14)
    materialize(to, store, root=root)
    materialize(features(root, bad, day=15), store, root=root)

    done = rollback(VIEW, to, store=store, root=root)

    assert (done.rewritten, done.changed, done.removed, done.unchanged) == (10, 10, 10, 5)
    assert (done.dry_run, done.gate, done.dropped, done.newest) == (False, "passed", (), as_of(15))
    assert done.rows_read_back == 15
    assert done.metrics["rows_removed"] == done.metrics["rows_materialized"] == 10
    assert online(store, root, good) == expected(good)
    assert entities_online(store, root) == set(good["user_id"].to_pylist())
    gone = online(store, root, bad.slice(10))
    assert all(row["skill_score_backend"] is None for row in gone.values())
    [said] = [record for record in caplog.records if record.message.startswith("ROLLBACK")]
    assert said.levelno == logging.WARNING
    assert "The guard of newer rows is set aside: 10 entities are written again" in said.message


def test_a_second_rollback_changes_nothing(root: Storage, store: FeatureStore) -> None:
    table = every_type()
    to = features(root, table, day=14)
    materialize(to, store, root=root)
    materialize(features(root, table.slice(3), day=15), store, root=root)
    first = rollback(VIEW, to, store=store, root=root)
    record = json.loads(to.read_beside(ONLINE) or b"")
    intervals = open_store(store, root).get_feature_view(VIEW).materialization_intervals

    again = rollback(VIEW, to, store=store, root=root)

    assert (first.rewritten, first.changed, first.unchanged) == (37, 0, 3), "same values of another day"
    assert (again.rewritten, again.removed, again.unchanged) == (0, 0, 40)
    assert online(store, root, table) == expected(table)
    assert json.loads(to.read_beside(ONLINE) or b"") == record
    assert open_store(store, root).get_feature_view(VIEW).materialization_intervals == intervals


def test_a_dry_run_counts_and_changes_nothing(root: Storage, store: FeatureStore) -> None:
    good, bad = scores(15, seed=1), scores(20, seed=2, first=5)
    to = features(root, good, day=14)
    materialize(to, store, root=root)
    materialize(features(root, bad, day=15), store, root=root)
    record = to.read_beside(ONLINE)

    done = rollback(VIEW, to, store=store, root=root, dry_run=True)

    assert (done.rewritten, done.changed, done.removed, done.unchanged) == (10, 10, 10, 5)
    assert done.dry_run
    assert online(store, root, bad) == expected(bad)
    assert to.read_beside(ONLINE) == record


def test_a_rerun_of_the_day_rolled_back_to_and_the_next_day_go_online_as_always(
    root: Storage, store: FeatureStore
) -> None:
    """Times are rolled back too: a newer time over older values would hold these runs off."""
    values = scores(10, seed=1)
    to = features(root, values, day=14)
    materialize(to, store, root=root)
    materialize(features(root, values, day=15), store, root=root)
    rollback(VIEW, to, store=store, root=root)

    corrected = scores(10, seed=3)
    assert materialize(features(root, corrected, day=14), store, root=root).rows == 10
    assert online(store, root, corrected) == expected(corrected)
    following = scores(10, seed=4)
    assert materialize(features(root, following, day=15), store, root=root).rows == 10
    assert online(store, root, following) == expected(following)


def test_the_past_stays_as_it_was_served(root: Storage) -> None:
    """A model trained tomorrow sees what was online on the bad day, because predictions were made from it."""
    import pandas as pd

    store = FeatureStore()
    good, bad = scores(5, seed=1), scores(5, seed=2)
    to = features(root, good, day=14)
    for artifact in (to, features(root, bad, day=15)):
        materialize(artifact, store, root=root)
    rollback(VIEW, to, store=store, root=root)

    entities = pd.DataFrame({"user_id": ["u00003"] * 2, "event_timestamp": [as_of(14), as_of(15)]})
    joined = open_store(store, root).get_historical_features(entities, features=[f"{VIEW}:skill_score_backend"])
    found = {row["event_timestamp"]: row["skill_score_backend"] for row in joined.to_arrow().to_pylist()}
    assert found == {
        as_of(14): good["skill_score_backend"][3].as_py(),
        as_of(15): bad["skill_score_backend"][3].as_py(),
    }


def test_it_is_recorded_beside_the_artifact(root: Storage, store: FeatureStore) -> None:
    to = features(root, scores(5, seed=1), day=14)
    materialize(to, store, root=root)
    materialize(features(root, scores(7, seed=2), day=15), store, root=root)

    rollback(VIEW, to, store=store, root=root)

    record = json.loads(to.read_beside(ONLINE) or b"")
    assert record["metrics"]["rows_materialized"] == 5, "what the materialisation left is kept"
    told = record["rolled_back"]
    assert told["from"] == {"newest_event_timestamp": as_of(15).isoformat()}
    assert {name: told[name] for name in ("rewritten", "changed", "removed", "unchanged")} == {
        "rewritten": 5, "changed": 5, "removed": 2, "unchanged": 0,
    }  # fmt: skip
    assert told["started_at"] <= told["finished_at"]


def test_features_that_came_later_go_and_come_back_without_old_values(root: Storage, store: FeatureStore) -> None:
    """The view is again what the artifact says; a value of the undone feature must not wait for its return."""
    before = pa.table({"user_id": ["a", "b"], "visits": [1, 2]})
    after = pa.table({"user_id": ["a", "b"], "visits": [1.5, 2.5], "risk": [0.1, 0.2]})
    to = features(root, before, day=14)
    materialize(to, store, root=root)
    materialize(features(root, after, day=15), store, root=root)

    assert rollback(VIEW, to, store=store, root=root).dropped == ("risk",)

    assert online(store, root, before) == expected(before)
    with pytest.raises(ConfigError, match="no feature named 'risk'"):
        read_online(store, root=root, view=VIEW, entity_rows=[{"user_id": "a"}], features=["risk"])
    only_a = after.slice(0, 1)
    materialize(features(root, only_a, day=16), store, root=root)
    assert online(store, root, after)["a"] == expected(only_a)["a"]
    assert online(store, root, after)["b"] == {"user_id": "b", "visits": 2, "risk": None}


def test_of_several_rows_of_one_key_the_newest_counts(root: Storage, store: FeatureStore) -> None:
    table = pa.table({"user_id": ["a", "a", "b", "a"], "score": [1.0, 3.0, 5.0, 2.0]})
    times = [as_of(13), as_of(14), as_of(14), as_of(13)]
    to = features(root, table, times=times)
    materialize(to, store, root=root)
    materialize(features(root, {"user_id": ["a", "c"], "score": [9.0, 9.0]}, day=15), store, root=root)

    done = rollback(VIEW, to, store=store, root=root)

    assert (done.rewritten, done.removed, done.unchanged) == (1, 1, 1)
    assert online(store, root, table) == {"a": {"user_id": "a", "score": 3.0}, "b": {"user_id": "b", "score": 5.0}}


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32()])
def test_keys_may_be_numbers(root: Storage, store: FeatureStore, kind: pa.DataType) -> None:
    table = pa.table({"team_id": pa.array(range(-3, 9), kind), "open": [float(i) for i in range(12)]})
    to = features(root, table.slice(0, 6), entity="team_id", feature_set="teams", day=14)
    materialize(to, store, root=root)
    materialize(features(root, table, entity="team_id", feature_set="teams", day=15), store, root=root)
    assert rollback("teams", to, store=store, root=root).removed == 6
    assert entities_online(store, root, "teams") == set(range(-3, 3))


class TestOthersAreLeftAlone:
    def test_other_views_of_the_same_entities(self, root: Storage, store: FeatureStore) -> None:
        visits = pa.table({"user_id": ["u00001", "u00008"], "visits": [4, 5]})
        to = features(root, scores(5, seed=1), day=14)
        materialize(to, store, root=root)
        materialize(features(root, visits, feature_set="visits", day=15), store, root=root)
        materialize(features(root, scores(10, seed=2), day=15), store, root=root)

        assert rollback(VIEW, to, store=store, root=root).removed == 5

        assert online(store, root, visits, view="visits") == expected(visits)
        assert entities_online(store, root, "visits") == {"u00001", "u00008"}

    def test_another_project_whose_name_ends_alike(self, root: Storage, tmp_path: Path, valkey: str) -> None:
        """A Redis key ends with the project: looking for ``*mine`` finds ``notmine`` as well, as Feast itself does."""
        mine = on_redis(valkey, f"m{uuid.uuid4().hex}")
        other = on_redis(valkey, f"not{mine.project}")
        elsewhere = Storage(str(tmp_path / "other"))
        many = scores(10, seed=2)
        to = features(root, many.slice(0, 5), day=14)
        materialize(to, mine, root=root)
        materialize(features(root, many, day=15), mine, root=root)
        materialize(features(elsewhere, many, day=15), other, root=elsewhere)

        assert rollback(VIEW, to, store=mine, root=root).removed == 5

        assert online(other, elsewhere, many) == expected(many)
        assert len(entities_online(other, elsewhere)) == 10

    def test_no_trace_of_a_removed_entity_stays_in_redis(self, root: Storage, valkey: str) -> None:
        import redis

        store = on_redis(valkey)
        to = features(root, scores(3), day=14)
        materialize(to, store, root=root)
        wider = scores(6).append_column("later", pa.array([1.0] * 6))
        materialize(features(root, wider, day=15), store, root=root)
        client: redis.Redis = redis.Redis.from_url(f"redis://{valkey}")
        with client:
            assert len(list(client.scan_iter(f"*{store.project}"))) == 6
            rollback(VIEW, to, store=store, root=root)
            left = list(client.scan_iter(f"*{store.project}"))
            assert len(left) == 3
            assert {client.hlen(key) for key in left} == {4}, "three features and a time"

    def test_names_with_the_signs_of_redis_patterns(self, root: Storage, valkey: str) -> None:
        """A key begins with lengths and names, in which ``*``, ``?`` and ``[`` stand for themselves."""
        store = on_redis(valkey)
        entity = "id[*?]" + "x" * 36  # 42 characters, and chr(42) is the asterisk
        table = pa.table({entity: ["a", "b", "c"], "n": [1.0, 2.0, 3.0]})
        to = features(root, table.slice(0, 1), entity=entity, feature_set="odd", day=14)
        materialize(to, store, root=root)
        materialize(features(root, table, entity=entity, feature_set="odd", day=15), store, root=root)
        assert rollback("odd", to, store=store, root=root).removed == 2
        assert entities_online(store, root, "odd") == {"a"}


class TestRefused:
    def test_what_did_not_pass_the_gate(self, root: Storage) -> None:
        store = FeatureStore()
        good = scores(3, seed=1)
        materialize(features(root, good, day=15), store, root=root)
        users = raw(root, "others", judged=False)
        to = features(root, scores(3), day=14, inputs=(users.as_input("others"),))

        with pytest.raises(GateClosedError, match="it was not validated"):
            rollback(VIEW, to, store=store, root=root)
        assert online(store, root, good) == expected(good)
        done = rollback(VIEW, to, store=FeatureStore(require_validation=False), root=root)
        assert done.gate.startswith("overridden: ")
        assert json.loads(to.read_beside(ONLINE) or b"")["rolled_back"]["gate"] == done.gate

    def test_an_artifact_of_another_view(self, root: Storage) -> None:
        to = features(root, scores(3), feature_set="visits")
        with pytest.raises(ConfigError, match=f"this artifact belongs to 'visits', not to '{VIEW}'"):
            rollback(VIEW, to, store=FeatureStore(), root=root)

    def test_a_view_that_was_never_online(self, root: Storage) -> None:
        with pytest.raises(ConfigError, match=f"no feature view named '{VIEW}'.*Known: none"):
            rollback(VIEW, features(root, scores(3)), store=FeatureStore(), root=root)

    def test_an_artifact_without_rows(self, root: Storage) -> None:
        with pytest.raises(StoreRejectedError, match="would take every entity of 'user_profile_features' offline"):
            rollback(VIEW, features(root, scores(3).slice(0, 0)), store=FeatureStore(), root=root)

    def test_a_store_whose_entities_cannot_be_listed(self, root: Storage) -> None:
        store = FeatureStore(online_store={"type": "postgres", "host": "h", "database": "d"})
        with pytest.raises(ConfigError, match="cannot list what 'postgres' holds; it knows sqlite and redis"):
            rollback(VIEW, features(root, scores(3)), store=store, root=root)


def test_a_lost_store_is_filled_again(root: Storage) -> None:
    store, table = FeatureStore(), scores(4)
    to = features(root, table)
    materialize(to, store, root=root)
    Path(root.root, "_feast/online.db").unlink()
    assert rollback(VIEW, to, store=store, root=root, dry_run=True).rewritten == 4
    assert rollback(VIEW, to, store=store, root=root).rewritten == 4
    assert online(store, root, table) == expected(table)


def test_whoever_writes_meanwhile_is_noticed(root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that pushes to the view while it is rolled back: the result is not the artifact, and it says so."""
    module = importlib.import_module("airflow_provider_mlpipe.feature_store.rollback")
    store = FeatureStore()
    to = features(root, scores(4, seed=1), day=14)
    other = features(root, scores(6, seed=2), day=15)
    for artifact in (to, other):
        materialize(artifact, store, root=root)

    def push_first(*arguments: Any, **named: Any) -> None:
        put_online(*arguments, **named)
        put_online(arguments[0], VIEW, other, as_of(15), as_of(15), overwrite=True)

    put_online = module.put_online
    monkeypatch.setattr(module, "put_online", push_first)
    with pytest.raises(ReadBackError, match="still 4 entities differ from .* and 0 are online"):
        rollback(VIEW, to, store=store, root=root)

    monkeypatch.undo()
    rollback(VIEW, Artifact.open(to.uri), store=store, root=root)
    assert entities_online(store, root) == {f"u0000{i}" for i in range(4)}
