"""The hazards of bare Feast, each shown beside what happens here: same definitions, same rows, same moment.

Where bare Feast loses a race, the race is decided by hand: two of its stores stand for two processes, and take their
steps in the order that does the damage. (`test_processes` and `test_kills` have real processes, for ours.)
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import StoreRejectedError
from airflow_provider_mlpipe.feature_store import materialize, open_store, rollback
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.locks import held
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import quiet, unprinted
from tests.feature_store.feature_artifacts import VIEW, as_of, expected, features, online, scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

KEY = {"user_id": "u00001"}
FEATURE = f"{VIEW}:skill_score_backend"


@dataclass(frozen=True)
class Bare:
    """Feast on its own, as its documentation sets it up on one machine: registry file, SQLite, parquet files."""

    folder: Path

    def store(self) -> Any:
        """Return a store of its own, as another process has one."""
        import feast

        with quiet():
            config = feast.RepoConfig(
                project="bare",
                provider="local",
                registry=str(self.folder / "registry.pb"),
                online_store={"type": "sqlite", "path": str(self.folder / "online.db")},
                offline_store={"type": "duckdb"},
                entity_key_serialization_version=3,
            )
            return feast.FeatureStore(config=config)

    def add(self, artifact: Artifact, name: str) -> None:
        """Put rows where its source looks, and apply the definitions that we would have made."""
        import pyarrow.parquet as pq

        (self.folder / "data").mkdir(exist_ok=True)
        pq.write_table(artifact.table(), self.folder / "data" / f"{name}.parquet")
        with quiet():
            self.store().apply(Definition.of(artifact).objects(str(self.folder / "data/*.parquet")))

    def materialize(self, start: datetime, end: datetime | None = None) -> None:
        """Do what a task does in Airflow."""
        with quiet(), unprinted():
            self.store().materialize(start, end or start, feature_views=[VIEW])

    def value(self) -> Any:
        """Return what it serves."""
        with quiet():
            answer = self.store().get_online_features(features=[FEATURE], entity_rows=[KEY]).to_dict()
        return answer["skill_score_backend"][0]

    def intervals(self) -> list[Any]:
        return list(self.store().get_feature_view(VIEW).materialization_intervals)


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    folder = tmp_path / "bare"
    folder.mkdir()
    return Bare(folder)


@pytest.fixture
def store(root: Storage) -> FeatureStore:
    """Ours, with a registry file like the bare one's."""
    return FeatureStore(registry=str(Path(root.root, "_feast/registry.pb")))


def value_of(table: Any) -> Any:
    return table["skill_score_backend"][1].as_py()


class _Waiting(logging.Handler):
    """Notices that a writer waits for a lock, which it logs once."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("Waiting for another process"):
            self.seen.set()


class Other:
    """Another writer, in a thread; leaving the block lets it end, and it must have ended well."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.failures: list[BaseException] = []
        self.waiting = _Waiting()
        self.thread = threading.Thread(target=self._run)
        self.logger = logging.getLogger("airflow_provider_mlpipe.feature_store.locks")

    def _run(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - told when the block is left
            self.failures.append(error)
        finally:
            self.waiting.seen.set()

    def start(self) -> None:
        """Return when it waits for a lock, or is done because nothing kept it."""
        self.thread.start()
        assert self.waiting.seen.wait(60)

    def __enter__(self) -> Self:
        self.level = self.logger.level
        self.logger.addHandler(self.waiting)
        self.logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(60)
        self.logger.removeHandler(self.waiting)
        self.logger.setLevel(self.level)
        assert not self.thread.is_alive()
        assert self.failures == []


class TestIntervalsOfSeveralWriters:
    """A registry file is read, changed and written as a whole: whoever writes in between is forgotten."""

    def test_bare_feast_loses_one(self, root: Storage, bare: Bare) -> None:
        bare.add(features(root, scores(3)), "rows")
        one, two = bare.store(), bare.store()
        one.registry.apply_materialization(one.get_feature_view(VIEW), "bare", as_of(1), as_of(2), commit=False)
        two.registry.apply_materialization(two.get_feature_view(VIEW), "bare", as_of(2), as_of(3))
        assert bare.intervals() == [(as_of(2), as_of(3))]
        one.registry.commit()
        assert bare.intervals() == [(as_of(1), as_of(2))], "the other's is lost"

    def test_here_the_other_waits(self, root: Storage, store: FeatureStore) -> None:
        materialize(features(root, scores(3), day=13), store, root=root)
        later = features(root, scores(3), day=14)
        lock = Settings.of(store, root).lock_for_registry
        with Other(lambda: materialize(later, store, root=root)) as other, held(lock, what="the registry file"):
            one = open_store(store, root)
            view = one.get_feature_view(VIEW)
            one.registry.apply_materialization(view, one.project, as_of(1), as_of(2), commit=False)
            other.start()
            one.registry.commit()
        ends = [end for _, end in open_store(store, root).get_feature_view(VIEW).materialization_intervals]
        assert ends == [as_of(13), as_of(2), as_of(14)]


class TestWriterThatDiesOverTheRegistry:
    """The stock file registry empties the file before it has anything to write."""

    class Dying:
        """A registry of which a process dies when it is about to write it."""

        def __init__(self, registry: Any) -> None:
            self.version_id = ""
            self.last_updated = registry.last_updated

        def SerializeToString(self) -> bytes:  # noqa: N802 - the name is protobuf's
            raise KeyboardInterrupt

    def die_writing(self, store: Any) -> None:
        files = store.registry._registry_store
        with pytest.raises(KeyboardInterrupt):
            files.update_registry_proto(self.Dying(files.get_registry_proto()))

    def test_bare_feast_forgets_everything(self, root: Storage, bare: Bare) -> None:
        from feast.errors import FeatureViewNotFoundException

        bare.add(features(root, scores(3)), "rows")
        bare.materialize(as_of(14))
        self.die_writing(bare.store())
        assert (bare.folder / "registry.pb").read_bytes() == b""
        with pytest.raises(FeatureViewNotFoundException):
            bare.value()

    def test_bare_feast_does_not_open_when_half_of_it_was_written(self, root: Storage, bare: Bare) -> None:
        from google.protobuf.message import DecodeError

        bare.add(features(root, scores(3)), "rows")
        file = bare.folder / "registry.pb"
        file.write_bytes(file.read_bytes()[:-7])
        with pytest.raises(DecodeError):
            bare.value()

    def test_here_it_stays_as_it_was(self, root: Storage, store: FeatureStore) -> None:
        table = scores(3)
        materialize(features(root, table), store, root=root)
        before = Path(store.registry).read_bytes()
        self.die_writing(open_store(store, root))
        assert Path(store.registry).read_bytes() == before
        assert online(store, root, table) == expected(table)


class TestViewLeftMaterializing:
    """A process that dies while it writes leaves the view in a state in which Feast does not serve it."""

    @pytest.fixture
    def dying(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        """Whoever comes to write rows dies: an interrupt, like SIGKILL, passes by Feast's ``except Exception``."""
        from feast.infra.passthrough_provider import PassthroughProvider

        def die(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(PassthroughProvider, "materialize_single_feature_view", die)
        return monkeypatch

    @pytest.fixture
    def before(self) -> Any:
        return scores(3, seed=1)

    def test_bare_feast_refuses_to_serve_it(
        self, root: Storage, bare: Bare, before: Any, request: pytest.FixtureRequest
    ) -> None:
        bare.add(features(root, before), "rows")
        bare.materialize(as_of(14))
        assert bare.value() == value_of(before)
        request.getfixturevalue("dying")
        with pytest.raises(KeyboardInterrupt):
            bare.materialize(as_of(14))
        with pytest.raises(ValueError, match="MATERIALIZING"):
            bare.value()

    def test_here_it_is_served_and_the_retry_frees_it(
        self, root: Storage, store: FeatureStore, before: Any, request: pytest.FixtureRequest
    ) -> None:
        after = scores(3, seed=2)
        materialize(features(root, before, day=14), store, root=root)
        artifact = features(root, after, day=15)
        dying = request.getfixturevalue("dying")
        with pytest.raises(KeyboardInterrupt):
            materialize(artifact, store, root=root)
        assert open_store(store, root).get_feature_view(VIEW).state.name == "MATERIALIZING"
        assert online(store, root, before) == expected(before)
        dying.undo()
        materialize(artifact, store, root=root)
        assert open_store(store, root).get_feature_view(VIEW).state.name == "AVAILABLE_ONLINE"
        assert online(store, root, after) == expected(after)


class TestOlderRowsOverNewer:
    """An old day cleared in Airflow, or backfilled, after a newer one: SQLite's store looks at no time."""

    def test_bare_feast_serves_the_old_day(self, root: Storage, bare: Bare) -> None:
        old, new = scores(3, seed=1), scores(3, seed=2)
        bare.add(features(root, old, day=14), "14")
        bare.add(features(root, new, day=15), "15")
        bare.materialize(as_of(15))
        bare.materialize(as_of(14))
        assert bare.value() == value_of(old)

    def test_here_the_new_day_stays(self, root: Storage, store: FeatureStore) -> None:
        old, new = scores(3, seed=1), scores(3, seed=2)
        materialize(features(root, new, day=15), store, root=root)
        assert materialize(features(root, old, day=14), store, root=root).rows_skipped == 3
        assert online(store, root, new) == expected(new)


class TestRerun:
    """A task that runs again writes its rows again."""

    def rows_offline(self, store: Any) -> int:
        source = store.get_feature_view(VIEW).batch_source
        with quiet():
            job = store._get_provider().offline_store.pull_all_from_table_or_query(
                config=store.config,
                data_source=source,
                join_key_columns=["user_id"],
                feature_name_columns=["skill_score_backend"],
                timestamp_field="event_timestamp",
                created_timestamp_column="created_timestamp",
                start_date=as_of(14),
                end_date=as_of(14),
            )
            return int(job.to_arrow().num_rows)

    def test_bare_feast_has_them_twice(self, root: Storage, bare: Bare) -> None:
        artifact = features(root, scores(3))
        bare.add(artifact, "try-1")
        bare.add(artifact, "try-2")
        assert self.rows_offline(bare.store()) == 6

    def test_here_they_are_replaced(self, root: Storage, store: FeatureStore) -> None:
        for _ in range(2):
            materialize(features(root, scores(3)), store, root=root)
        assert self.rows_offline(open_store(store, root)) == 3


class TestEmptyWindow:
    """Nothing arrived, or it lies at another time than one thinks."""

    def test_bare_feast_succeeds_and_notes_the_interval(self, root: Storage, bare: Bare) -> None:
        bare.add(features(root, scores(3), day=14), "rows")
        bare.materialize(as_of(15), as_of(15) + timedelta(days=1))
        assert bare.intervals() == [(as_of(15), as_of(15) + timedelta(days=1))]
        assert bare.value() is None

    def test_here_it_fails_and_notes_nothing(self, root: Storage, store: FeatureStore) -> None:
        materialize(features(root, scores(3), day=14), store, root=root)
        with pytest.raises(StoreRejectedError, match="has no rows, so nothing would go online"):
            materialize(features(root, scores(3).slice(0, 0), day=15), store, root=root)
        intervals = open_store(store, root).get_feature_view(VIEW).materialization_intervals
        assert intervals == [(as_of(14), as_of(14))]


class TestTwoWritersOfOneSqliteFile:
    """SQLite has one writer; another waits five seconds and gives up, in the middle of a materialisation."""

    def test_bare_feast_finds_it_locked(self, root: Storage, bare: Bare) -> None:
        table = scores(3)
        bare.add(features(root, table), "rows")
        one, two = bare.store(), bare.store()
        connections = [each._get_provider().online_store._get_conn(each.config) for each in (one, two)]
        connections[1].execute("PRAGMA busy_timeout = 0")  # not to wait here
        connections[0].execute("BEGIN IMMEDIATE")  # as it does before its first row, until its last
        with pytest.raises(sqlite3.OperationalError, match="database is locked"), quiet(), unprinted():
            two.materialize(as_of(14), as_of(14), feature_views=[VIEW])
        connections[0].rollback()
        for connection in connections:
            connection.close()

    def test_here_the_other_waits(self, root: Storage, store: FeatureStore) -> None:
        old, new = scores(3, seed=1), scores(3, seed=2)
        materialize(features(root, old, day=14), store, root=root)
        artifact = features(root, new, day=15)
        settings = Settings.of(store, root)
        assert settings.sqlite_path is not None
        lock = settings.lock_for_writing("another view")
        with (
            Other(lambda: materialize(artifact, store, root=root)) as other,
            held(lock, what="the online store"),
            contextlib.closing(sqlite3.connect(settings.sqlite_path)) as one,
        ):
            one.execute("BEGIN IMMEDIATE")
            other.start()
            one.rollback()
        assert online(store, root, new) == expected(new)


class TestProjectWhoseNameEndsAlike:
    """A key in Redis is the entity's, then the project: one that ends alike matches what Feast looks for."""

    def test_bare_feast_deletes_the_others_rows(self, root: Storage, valkey: str) -> None:
        mine, other, elsewhere, table = self.both(root, valkey)
        opened = open_store(mine, root)
        with quiet():  # as `feast apply` does when a view is gone from the repository
            opened._get_provider().online_store.delete_table(opened.config, opened.get_feature_view(VIEW))
        assert all(row["skill_score_backend"] is None for row in online(other, elsewhere, table).values())

    def test_here_a_rollback_removes_its_own(self, root: Storage, valkey: str) -> None:
        mine, other, elsewhere, table = self.both(root, valkey)
        to = features(root, scores(2, seed=1), day=14)
        assert rollback(VIEW, to, store=mine, root=root).removed == 1
        assert online(other, elsewhere, table) == expected(table)

    def both(self, root: Storage, valkey: str) -> tuple[FeatureStore, FeatureStore, Storage, Any]:
        """Return a project with three entities and another one with the same, whose name ends alike."""
        address = {"type": "redis", "connection_string": valkey}
        name, table, elsewhere = f"m{uuid.uuid4().hex}", scores(3, seed=2), root.below("elsewhere")
        stores = [FeatureStore(project=project, online_store=address) for project in (name, f"not{name}")]
        for store, place in zip(stores, (root, elsewhere), strict=True):
            materialize(features(place, table, day=15), store, root=place)
        return (*stores, elsewhere, table)
