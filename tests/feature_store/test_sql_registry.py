"""The registry in a real PostgreSQL, as it is where several machines share it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize, open_store
from tests import servers
from tests.feature_store.feature_artifacts import VIEW, as_of, expected, features, online, scores

if TYPE_CHECKING:
    import pytest

    from airflow_provider_mlpipe.artifacts import Storage


def test_registry_in_postgresql(root: Storage, postgres: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="airflow_provider_mlpipe")
    store = FeatureStore(project=f"p{uuid.uuid4().hex}", registry=postgres)
    table = scores(20)
    for day in (14, 15):
        materialize(features(root, table, day=day), store, root=root)

    assert online(store, root, table) == expected(table)
    intervals = open_store(store, root).get_feature_view(VIEW).materialization_intervals
    assert intervals == [(as_of(14), as_of(14)), (as_of(15), as_of(15))]
    assert not (root.below("_feast").names().keys() & {"registry.db"})
    assert servers.PASSWORD not in caplog.text
