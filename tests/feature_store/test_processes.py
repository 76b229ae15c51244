"""Processes that die in the middle, and processes that write at once.

Children come from a fork server that has imported Feast once: an import of 6 CPU seconds each would be most of the test.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize, open_store
from tests.feature_store.feature_artifacts import (
    VIEW,
    as_of,
    expected,
    features,
    materialize_in_child,
    online,
    run_of,
    scores,
)
from tests.servers import until

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["tests.feature_store.preloaded"])


def child(artifact: Artifact, root: Storage, settings: dict[str, Any] | None = None) -> Any:
    """Start a process that materialises."""
    started = CHILDREN.Process(target=materialize_in_child, args=(artifact.uri, root.uri, settings or {}))
    started.start()
    return started


def rows_online(root: Storage, of_time: int) -> int:
    """Return how many values of a time are online, without waiting for whoever writes."""
    file = Path(root.root, "_feast/online.db")
    query = f"SELECT count(*) FROM mlpipe_{VIEW} WHERE event_ts = ?"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=0)) as connection:
            return int(connection.execute(query, (of_time,)).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # no table yet, or locked


def intervals(store: FeatureStore, root: Storage, view: str) -> list[Any]:
    return list(open_store(store, root).get_feature_view(view).materialization_intervals)


@pytest.mark.parametrize("registry", ["", "registry.pb"], ids=["default registry", "registry file"])
def test_a_killed_materialisation_is_completed_by_its_retry(root: Storage, tmp_path: Path, registry: str) -> None:
    """SIGKILL before the first row, and after one, two, three, four tenths of them."""
    settings = {"registry": str(tmp_path / registry)} if registry else {}
    store = FeatureStore(**settings)
    count, features_per_row = 6000, 3
    before = scores(count, seed=0)
    materialize(features(root, before, day=10), store, root=root)
    thresholds = (0, 1, 2, 3, 4) if not registry else (2,)
    left_halfway = 0
    for round_, tenth in enumerate(thresholds):
        day = 11 + round_
        table = scores(count, seed=day)
        artifact = features(root, table, day=day)
        stamp = int(as_of(day).replace(tzinfo=None).timestamp())
        victim = child(artifact, root, settings)
        wanted = count * features_per_row * tenth // 10
        until(lambda: not victim.is_alive() or rows_online(root, stamp) >= wanted, "rows online")  # noqa: B023
        victim.kill()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL, "it was done before it could be killed"
        written = rows_online(root, stamp)
        left_halfway += 0 < written < count * features_per_row

        done = materialize(artifact, store, root=root)

        assert (done.rows, done.rows_read_back, done.mismatches) == (count, 100, 0)
        assert online(store, root, table.slice(0, 1)) == expected(table.slice(0, 1))
        assert rows_online(root, stamp) == count * features_per_row
    assert left_halfway > 0
    assert online(store, root, table) == expected(table)
    left = [path.name for path in Path(root.root, "_feast/offline", VIEW).iterdir() if path.suffix != ".parquet"]
    assert left == []
    view = open_store(store, root).get_feature_view(VIEW)
    assert view.state.name == "AVAILABLE_ONLINE"
    assert view.most_recent_end_time == as_of(day)


@pytest.mark.parametrize("registry", ["", "registry.pb"], ids=["default registry", "registry file"])
def test_processes_at_once_lose_nothing(root: Storage, tmp_path: Path, registry: str) -> None:
    """Two days of one view and two other views, all at once, into a registry and a store that are not there yet."""
    settings = {"registry": str(tmp_path / registry)} if registry else {}
    store = FeatureStore(**settings)
    tables = {day: scores(2000, seed=day) for day in (14, 15)}
    other = {name: scores(1500, seed=number) for number, name in enumerate(("visits", "orders"))}
    artifacts = [features(root, table, day=day) for day, table in tables.items()]
    artifacts += [features(root, table, feature_set=name, run=run_of(14)) for name, table in other.items()]

    started = [child(artifact, root, settings) for artifact in artifacts]
    for process in started:
        process.join()

    assert [process.exitcode for process in started] == [0] * 4
    assert online(store, root, tables[15]) == expected(tables[15]), "the newer day, whichever came last"
    for name, table in other.items():
        assert online(store, root, table, view=name) == expected(table)
        assert intervals(store, root, name) == [(as_of(14), as_of(14))]
    ends = {end for _, end in intervals(store, root, VIEW)}
    assert as_of(15) in ends
    assert len(list(Path(root.root, "_feast/offline", VIEW).iterdir())) == 2


def test_who_reads_while_another_writes_is_served_the_old_or_the_new(root: Storage) -> None:
    """Feast on its own refuses to serve a view that is being materialised, and may find its table locked."""
    old, new = scores(3000, seed=1), scores(3000, seed=2)
    store = FeatureStore(registry=str(Path(root.root, "registry.pb")))
    materialize(features(root, old, day=14), store, root=root)
    writer = child(features(root, new, day=15), root, {"registry": store.registry})
    allowed = (expected(old), expected(new))
    seen = 0
    try:
        while writer.is_alive():
            for key, row in online(store, root, old.slice(0, 20)).items():
                assert row in (allowed[0][key], allowed[1][key])
            seen += 1
    finally:
        writer.join()
    assert writer.exitcode == 0
    assert seen > 0
    assert online(store, root, new) == expected(new)
