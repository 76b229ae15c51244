"""PostgreSQL as the online store: a real server, whose zone is not UTC."""

from __future__ import annotations

import uuid
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError, StoreUnavailableError
from airflow_provider_mlpipe.feature_store import freshness, materialize, probe, push, rollback
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests import servers
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, expected, features, online, scores

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage

pytest.importorskip("psycopg_pool", reason="Feast's PostgreSQL store needs it: pip install 'psycopg[pool]'")


@pytest.fixture
def store(postgres: str) -> FeatureStore:
    """A project of its own on the shared server, named by one URL."""
    return FeatureStore.model_validate({"project": f"p{uuid.uuid4().hex}", "online_store": postgres})


def stored_times(uri: str, project: str) -> set[datetime]:
    import psycopg

    with psycopg.connect(uri) as connection:
        rows = connection.execute(f"SELECT DISTINCT event_ts FROM {project}_{VIEW}").fetchall()
        return {time.astimezone(UTC) for (time,) in rows}


def test_a_url_and_a_mapping_say_the_same(store: FeatureStore, postgres: str) -> None:
    parts = urlsplit(postgres)
    assert store.online_store == {
        "type": "postgres", "host": "127.0.0.1", "port": parts.port, "database": "postgres", "user": "shop",
        "password": servers.PASSWORD, "sslmode": "prefer",
    }  # fmt: skip
    more = FeatureStore.model_validate({"online_store": f"{postgres}?sslmode=require&db_schema=online"})
    assert (more.online_store["sslmode"], more.online_store["db_schema"]) == ("require", "online")
    with pytest.raises(ValueError, match="needs a user and a database"):
        FeatureStore.model_validate({"online_store": "postgresql://db:5432/feast"})


def test_every_type_goes_online_and_comes_back_at_the_artifacts_time(
    root: Storage, store: FeatureStore, postgres: str
) -> None:
    table = every_type()
    assert probe(store, root=root) == []
    done = materialize(features(root, table), store, root=root)
    assert (done.rows, done.rows_read_back, done.mismatches) == (40, 40, 0)
    assert online(store, root, table) == expected(table)
    assert stored_times(postgres, store.project) == {as_of(14)}
    assert freshness(VIEW, store, root=root, as_of=as_of(15), place="online").newest == as_of(14)
    assert probe(store, root=root) == [VIEW]


def test_older_rows_stay_out_and_corrected_ones_come_in(root: Storage, store: FeatureStore) -> None:
    old, new, corrected = scores(30, seed=1), scores(20, seed=2), scores(20, seed=3)
    materialize(features(root, new, day=15), store, root=root)
    backfilled = materialize(features(root, old, day=14), store, root=root)
    assert (backfilled.rows, backfilled.rows_skipped) == (10, 20)
    assert online(store, root, new) == expected(new)
    assert online(store, root, old.slice(20)) == expected(old.slice(20))  # whom the newer day did not have
    assert materialize(features(root, corrected, day=15), store, root=root).rows == 20
    assert online(store, root, corrected) == expected(corrected)


def test_a_push_goes_in_unless_it_is_older(root: Storage, store: FeatureStore) -> None:
    before, pushed = scores(5, seed=1), scores(5, seed=2)
    materialize(features(root, before, day=15), store, root=root)
    for day, written in ((14, 0), (16, 5)):
        assert push(VIEW, features(root, pushed, day=day), store, root=root, to="online").rows == written
    assert online(store, root, pushed) == expected(pushed)


def test_stock_feast_reads_what_we_wrote_and_stores_times_hours_off(
    root: Storage, store: FeatureStore, postgres: str
) -> None:
    """Feast's own store, on the same tables: why ours sets the zone of its connections."""
    from feast.infra.online_stores.postgres_online_store.postgres import (
        PostgreSQLOnlineStore,
        PostgreSQLOnlineStoreConfig,
    )

    from airflow_provider_mlpipe.feature_store import open_store
    from airflow_provider_mlpipe.feature_store.definitions import Definition
    from airflow_provider_mlpipe.feature_store.guard import entity_keys

    artifact = features(root, scores(2))
    materialize(artifact, store, root=root)
    opened = open_store(store, root)
    opened.config.online_config = dict(store.online_store)
    opened.config._online_store = PostgreSQLOnlineStoreConfig(**store.online_store)
    view, stock = opened.get_feature_view(VIEW), PostgreSQLOnlineStore()
    [key] = entity_keys(Definition.of(artifact), ["u00001"])
    with quiet():
        [(_, values)] = stock.online_read(opened.config, view, [key], ["skill_score_backend"])
        assert values["skill_score_backend"].double_val == scores(2)["skill_score_backend"][1].as_py()
        stock.online_write_batch(opened.config, view, [(key, values, as_of(16), None)], None)
    stock._conn.close()
    assert stored_times(postgres, store.project) > {as_of(14)}
    assert as_of(16) not in stored_times(postgres, store.project)


def test_a_rollback_is_refused(root: Storage, store: FeatureStore) -> None:
    artifact = features(root, scores(2))
    materialize(artifact, store, root=root)
    with pytest.raises(ConfigError, match="a rollback cannot list what 'postgres' holds; it knows sqlite and redis"):
        rollback(VIEW, artifact, store=store, root=root)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"password": "wrong-pa55"}, StoreRejectedError, "password authentication failed"),
        ({"port": 0}, StoreUnavailableError, "Connection refused"),
        ({"database": "nowhere"}, StoreRejectedError, "does not exist"),
    ],
    ids=["wrong password", "server down", "no such database"],
)
def test_what_is_wrong_is_said_without_the_password(
    root: Storage, store: FeatureStore, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    if "port" in change:
        [change["port"]] = servers.free_ports()
    broken = store.model_copy(update={"online_store": {**store.online_store, **change}})
    with pytest.raises(error, match=said) as caught:
        materialize(features(root, scores(2)), broken, root=root)
    assert servers.PASSWORD not in str(caught.value)
    assert "wrong-pa55" not in str(caught.value)
