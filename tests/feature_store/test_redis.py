"""Redis, by a real Valkey server: what Feast's Redis store does otherwise, and secrets."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import StoreRejectedError, StoreUnavailableError, Terminal, Transient
from airflow_provider_mlpipe.feature_store import materialize
from tests import servers
from tests.feature_store.feature_artifacts import every_type, expected, features, online, scores

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage


@pytest.fixture
def store(valkey: str) -> FeatureStore:
    """Settings of a project of its own on the shared server."""
    address = {"type": "redis", "connection_string": valkey}
    return FeatureStore(project=f"p{uuid.uuid4().hex}", online_store=address, read_back=500)


def test_every_type_comes_back_as_it_went_in(root: Storage, store: FeatureStore) -> None:
    table = every_type()
    assert materialize(features(root, table), store, root=root).rows_read_back == 40
    assert online(store, root, table) == expected(table)


def test_a_rerun_with_corrected_values_arrives(root: Storage, store: FeatureStore) -> None:
    """Feast's Redis store skips rows whose time is online already, so on its own the old values would stay."""
    before, after = scores(50, seed=1), scores(50, seed=2)
    materialize(features(root, before), store, root=root)
    assert materialize(features(root, after), store, root=root).rows == 50
    assert online(store, root, after) == expected(after)


def test_an_older_interval_leaves_newer_rows_alone(root: Storage, store: FeatureStore) -> None:
    old, new = scores(30, seed=1), scores(20, seed=2, first=15)
    materialize(features(root, new, day=15), store, root=root)
    done = materialize(features(root, old, day=14), store, root=root)
    assert (done.rows, done.metrics["rows_skipped"]) == (15, 15)
    assert online(store, root, new) == expected(new)
    assert online(store, root, old.slice(0, 15)) == expected(old.slice(0, 15))


def test_numbers_as_keys(root: Storage, store: FeatureStore) -> None:
    table = pa.table({"team_id": pa.array(range(-3, 40), pa.int64()), "open_tasks": [float(i) for i in range(43)]})
    materialize(features(root, table, entity="team_id", feature_set="teams"), store, root=root)
    assert online(store, root, table, entity="team_id", view="teams") == expected(table, "team_id")


def test_a_server_that_is_down_can_be_tried_again_and_no_password_is_said(
    root: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"127.0.0.1:{servers.free_ports()[0]},password={servers.PASSWORD}"
    store = FeatureStore(online_store={"type": "redis", "connection_string": address})
    with pytest.raises(StoreUnavailableError, match="Connection refused") as caught:
        materialize(features(root, scores(3)), store, root=root)
    assert isinstance(caught.value, Transient)
    _assert_unsaid(caught.value, caplog)


def test_a_wrong_password_is_final_and_unsaid(root: Storage, valkey: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"{valkey},username=nobody,password={servers.PASSWORD}"
    store = FeatureStore(online_store={"type": "redis", "connection_string": address})
    with pytest.raises(StoreRejectedError, match="AuthenticationError") as caught:
        materialize(features(root, scores(3)), store, root=root)
    assert isinstance(caught.value, Terminal)
    _assert_unsaid(caught.value, caplog)


def _assert_unsaid(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    import traceback

    told = "".join(traceback.format_exception(error)) + caplog.text
    assert servers.PASSWORD not in told
