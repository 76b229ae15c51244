"""What the Arrow engine leaves in a real Valkey and in SQLite, against what Feast's own engine leaves: byte for byte."""

from __future__ import annotations

import itertools
import logging
import math
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.feature_store.settings import Settings
from tests.feature_store.feast_projects import END, ENGINES, START, Project, digest, redis_client
from tests.feature_store.feature_artifacts import every_type, features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Make = Callable[..., list[Project]]

    from airflow_provider_mlpipe.artifacts import Storage

DATABASES = (8, 9)  # of the shared server, by engine: Redis' keys hold the project's name, which must be one
STAMP = pa.timestamp("us", "UTC")


@pytest.fixture(params=["redis", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of online store."""
    found: str = request.param
    return found


@pytest.fixture
def projects(tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Make]:
    """Make two empty projects that differ in the engine alone; the Arrow engine must not have handed over."""
    caplog.set_level(logging.INFO, "airflow_provider_mlpipe")

    def make(kind: str, **given: Any) -> list[Project]:
        made = []
        for engine, database in zip(ENGINES, DATABASES, strict=True):
            online = {"type": kind, **given.get("online", {})}
            if kind == "redis":
                online["connection_string"] = f"{request.getfixturevalue('valkey')},db={database}"
                with redis_client(online) as client:
                    client.flushdb()
            others = {name: value for name, value in given.items() if name != "online"}
            made.append(Project(tmp_path / f"{kind}-{database}", engine, online, **others))
        return made

    yield make
    assert "own engine" not in caplog.text


def both(made: list[Project], *tables: pa.Table, rows: int | None = None) -> None:
    """Put tables online in both projects and compare; `rows`: how many there must be in SQLite or fields in Redis."""
    for table in tables:
        for project in made:
            project.materialize(table)
    stock, arrow = (project.rows() for project in made)
    assert stock, "nothing is online"
    differing = [pair for pair in zip(stock, arrow, strict=False) if pair[0] != pair[1]]
    assert differing[:3] == []
    assert digest(stock) == digest(arrow)
    assert rows is None or len(arrow) == rows


def everything(count: int, seed: int = 1) -> pa.Table:
    """Return rows of every type, and in every type null, the edges and the odd ones; keys come up to three times."""
    chance = random.Random(seed)
    zones = itertools.cycle(["", "ü", "字" * 40, "a\0b", '"quoted"\n', "🙂" * 50, "x" * 127, "x" * 128, "x" * 300])

    def some(*values: Any) -> list[Any]:
        return [chance.choice(values) for _ in range(count)]

    floats = (None, 0.0, -0.0, math.nan, math.inf, -math.inf, 1e16, 1e-5, 0.1, -1.5, 5e-324, 1.7976931348623157e308)
    times = [
        START + timedelta(seconds=chance.randrange(86_400), microseconds=chance.randrange(10)) for _ in range(count)
    ]
    moments = (None, START, START - timedelta(days=30_000, microseconds=1), START + timedelta(microseconds=999_999))
    return pa.table(
        {
            "user_id": [f"{'ü' * (i % 3)}{chance.randrange(count)}" for i in range(count)],
            "event_timestamp": pa.array(times, STAMP),
            "created_timestamp": pa.array([END + timedelta(microseconds=i) for i in range(count)], STAMP),
            "double": some(*floats),
            "double_whole": [chance.random() for _ in range(count)],
            "float": pa.array(some(*floats[:-2], 3.4e38, 1e-45), pa.float32()),
            "int64": pa.array(some(-(2**63), 2**63 - 1, 0, -1, 127, 128), pa.int64()),
            "int64_null": pa.array(some(None, 2**53, -(2**53), 0, 300), pa.int64()),
            "int32": pa.array(some(None, -(2**31), 2**31 - 1, 0), pa.int32()),
            "int8": pa.array(some(None, -128, 127), pa.int8()),
            "uint16": pa.array(some(0, 65_535), pa.uint16()),
            "uint32": pa.array(some(None, 0, 2**32 - 1), pa.uint32()),
            "bool": some(None, True, False),
            "bool_whole": some(True, False),
            "text": [chance.choice((None, next(zones))) for _ in range(count)],
            "large_text": pa.array([next(zones) for _ in range(count)], pa.large_string()),
            "bytes": pa.array(some(None, b"\0", bytes(range(256)), b"\r\n$-1"), pa.binary()),
            "time": pa.array(some(*moments), STAMP),
            "time_ns": pa.array(some(*moments), pa.timestamp("ns")),
            "time_ms": pa.array(some(None, START), pa.timestamp("ms", "America/New_York")),
            "doubles": pa.array(some(None, [], [None], [math.nan, -0.0], [0.1] * 40), pa.list_(pa.float64())),
            "floats": pa.array(some(None, [], [0.1, None], [math.inf]), pa.list_(pa.float32())),
            "int64s": pa.array(some(None, [], [-1, 2**63 - 1, -(2**63)], [1] * 200), pa.list_(pa.int64())),
            "int32s": pa.array(some(None, [], [-1, 2**31 - 1]), pa.list_(pa.int32())),
            "bools": pa.array(some(None, [], [True, None, False]), pa.list_(pa.bool_())),
            "texts": pa.array(some(None, [], ["", None, "ü" * 100]), pa.list_(pa.string())),
            "byteses": pa.array(some(None, [], [b"", None, b"\xff" * 200]), pa.large_list(pa.binary())),
            "nothing": pa.array([None] * count, pa.float64()),
            "no_text": pa.array([None] * count, pa.string()),
            "no_times": pa.array([None] * count, STAMP),
        }
    )  # fmt: skip


def scored(keys: dict[str, list[Any]], times: list[Any], *, seed: int = 0, created: bool = True) -> pa.Table:
    """Return rows with two features."""
    count = len(times)
    values = random.Random(seed)
    table = pa.table(keys).append_column("event_timestamp", pa.array(times, STAMP))
    if created:
        table = table.append_column("created_timestamp", pa.array([END] * count, STAMP))
    return table.append_column("score", pa.array([values.random() for _ in range(count)])).append_column(
        "rank", pa.array([i + seed for i in range(count)], pa.int32())
    )


def test_every_type_and_several_batches(projects: Make, kind: str) -> None:
    table = everything(2_500)
    settings = {"materialization": {"online_write_batch_size": 700}}
    entities = len(set(table["user_id"].to_pylist()))
    assert entities < 2_500
    fields = table.num_columns - 3 + (kind == "redis")  # the time is a field of its own there
    both(projects(kind, settings=settings), table, rows=entities * fields)


@pytest.mark.parametrize("version", [2, 3])
def test_composite_keys_in_both_versions(projects: Make, kind: str, version: int) -> None:
    settings = {"entity_key_serialization_version": version}
    made = projects(kind, keys=("user_id", "day", "part"), settings=settings)
    keys = list(itertools.product([f"ü{i}" for i in range(10)], [-(2**63), 0, 2**63 - 1], [-(2**31), 2**31 - 1]))
    users, days, parts = (list(column) for column in zip(*keys, strict=True))
    columns = {"part": pa.array(parts, pa.int32()), "user_id": users, "day": pa.array(days, pa.int64())}
    both(made, scored(columns, [START] * len(keys)))


@pytest.mark.parametrize("created", [True, False])
def test_of_a_keys_rows_the_latest_wins_then_the_one_created_last(projects: Make, kind: str, created: bool) -> None:
    users = [f"u{i % 100}" for i in range(600)]
    order = random.Random(3).sample(range(600), 600)
    times = [START + timedelta(seconds=i // 200 if created else i) for i in order]
    table = scored({"user_id": users}, times, created=created)
    if created:
        moments = pa.array([END + timedelta(microseconds=i % 7 * 100 + i // 100) for i in range(600)], STAMP)
        table = table.set_column(table.column_names.index("created_timestamp"), "created_timestamp", moments)
    both(projects(kind), table, rows=100 * (3 if kind == "redis" else 2))


def test_both_ends_of_the_window_count_and_nothing_beyond(projects: Make, kind: str) -> None:
    second = timedelta(microseconds=1)
    times = [START - second, START, START + second, END - second, END, END + second]
    both(
        projects(kind),
        scored({"user_id": list("abcdef")}, times),
        rows=4 * (3 if kind == "redis" else 2),
    )


def test_older_equal_and_newer_rows_over_those_online(projects: Make, kind: str) -> None:
    """Redis keeps what is not older; SQLite takes what comes last."""
    users = [f"u{i}" for i in range(90)]
    first = scored({"user_id": users}, [START + timedelta(seconds=100, microseconds=i) for i in range(90)])
    second = scored(
        {"user_id": [*users, "new"]},
        [START + timedelta(seconds=100, microseconds=i + i % 3 - 1) for i in range(91)],
        seed=2,
    )
    made = projects(kind)
    both(made, first)
    before = made[1].digest()
    both(made, second)
    assert made[1].digest() != before


def test_without_looking_redis_takes_what_comes_last(projects: Make) -> None:
    users = [f"u{i}" for i in range(20)]
    newer = scored({"user_id": users}, [END] * 20)
    older = scored({"user_id": users}, [START] * 20, seed=5)
    made = projects("redis", online={"skip_dedup": True})
    both(made, newer)
    before = made[1].digest()
    both(made, older)
    assert made[1].digest() != before


@pytest.mark.parametrize("skip_dedup", [True, False])
def test_keys_expire_as_told(projects: Make, skip_dedup: bool) -> None:
    made = projects("redis", online={"key_ttl_seconds": 500, "skip_dedup": skip_dedup})
    both(made, scored({"user_id": list("abc")}, [START] * 3))
    assert all(expires for *_, expires in made[1].rows())
    with redis_client(made[1].online) as client:
        assert 400 < client.ttl(client.randomkey()) <= 500


def test_times_before_and_at_1970(projects: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis' store takes a stored time of zero or less for none."""
    from tests.feature_store import feast_projects

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(feast_projects, "START", epoch - timedelta(days=10))
    users = list("abcdef")
    times = [epoch + timedelta(microseconds=step) for step in (-1_500_001, -1, 0, 1, 1_000_000, 1_000_001)]
    made = projects("redis")
    both(made, scored({"user_id": users}, times), scored({"user_id": users}, times[::-1], seed=4))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_sqlite_keeps_times_by_the_machines_clock(projects: Make, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Its adapter takes UTC times for local ones; whoever reads them in that zone gets them back."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        both(projects("sqlite"), scored({"user_id": list("ab")}, [START, END]))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_wide_rows_go_in_pieces(projects: Make, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_mlpipe.feature_store.arrow_engine import redis_writer, sqlite_writer, window

    monkeypatch.setattr(window, "MAX_BYTES", 100_000)
    writer = redis_writer.RedisWriter if kind == "redis" else sqlite_writer.SqliteWriter
    sizes = []
    write = writer.write

    def watched(self: Any, batch: pa.RecordBatch) -> None:
        sizes.append(batch.num_rows)
        write(self, batch)

    monkeypatch.setattr(writer, "write", watched)
    table = scored({"user_id": [f"u{i}" for i in range(50)]}, [START] * 50)
    both(projects(kind), table.append_column("text", pa.array([f"{i}" * 10_000 for i in range(50)])))
    assert sum(sizes) == 50
    assert max(sizes) <= 10


def test_an_artifact_with_every_type_by_our_own_materialize(root: Storage, tmp_path: Path) -> None:
    """The reader there is ours, which reads exactly one artifact."""
    import sqlite3

    found = []
    for engine in ("stock", "arrow"):
        store = FeatureStore(engine=engine, online_store={"type": "sqlite", "path": str(tmp_path / f"{engine}.db")},
                             registry=f"sqlite:///{tmp_path}/{engine}-registry.db")  # fmt: skip
        materialize(features(root, every_type()), store, root=root)
        connection = sqlite3.connect(Settings.of(store, root).online["path"])
        rows = connection.execute("SELECT * FROM mlpipe_user_profile_features ORDER BY 1, 2").fetchall()
        connection.close()
        found.append(digest(rows))
    assert found[0] == found[1]


def test_an_error_of_the_server_leaves_the_connection_fit_for_use(projects: Make) -> None:
    """A key of another kind is in the way: the same error as Feast's, and no answers left for who asks next."""
    import redis

    stock, arrow = projects("redis")
    table = scored({"user_id": [f"u{i}" for i in range(300)]}, [START] * 300)
    for project in (stock, arrow):
        project.materialize(table)
        with redis_client(project.online) as client:
            taken = sorted(client.scan_iter())[150]
            client.delete(taken)
            client.set(taken, "in the way")
        later = table.set_column(
            table.column_names.index("event_timestamp"), "event_timestamp", pa.array([END] * 300, STAMP)
        )
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            project.materialize(later)
        with redis_client(project.online) as client:
            client.delete(taken)
        project.materialize(later)
    assert stock.digest() == arrow.digest()
