"""Features online: the Arrow engine beside Feast's own, called alike, and bare Feast beside all that we do around it.

An artifact of text keys and twelve float64 features goes to a Valkey of ours or to SQLite. Both engines write to an
empty store; afterwards all keys and values are hashed, and a row counts only if the hashes are equal. The rows of the
design measure Feast's ``materialize`` call alone: imports, registration, guard and read-back are apart, for they are
the same on both sides. The last row counts everything, imports included: a whole task of ours beside one of bare Feast.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _harness import Row, counted, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[1]
ROWS_COUNT, MANY_ROWS, QUICK_ROWS = 100_000, 1_000_000, 2_000
FEATURES = 12
STOCK = "Feast's own engine"

ROWS = [
    Row(
        work="Feast materialise, 100k rows x 12 features to Redis (imports apart)",
        ours="redis_arrow",
        peers={STOCK: ("redis_stock", 1 / 15)},
    ),
    Row(
        work="Feast materialise, 100k rows x 12 features to SQLite (imports apart)",
        ours="sqlite_arrow",
        peers={STOCK: ("sqlite_stock", 1 / 4)},
    ),
    # Ten times the rows, for no more than Feast takes, in bounded memory.
    Row(
        work="Feast materialise, 1M rows x 12 features to Redis (imports apart), within 650 MB",
        ours="redis_many",
        peers={f"{STOCK}, a tenth of the rows": ("redis_tenth", 1.0)},
        peak_mb=650,
    ),
    # The same to SQLite, per row for no more than a quarter of what Feast takes.
    Row(
        work="Feast materialise, 1M rows x 12 features to SQLite (imports apart), within 650 MB",
        ours="sqlite_many",
        peers={f"{STOCK}, a tenth of the rows": ("sqlite_tenth", 10 / 4)},
        peak_mb=650,
    ),
    Row(
        work="roll back 100k entities in Redis, a tenth of them of other values (imports apart)",
        ours="rollback_bytes",
        peers={"engine: stock, by which Feast reads and writes": ("rollback_read", 1 / 3)},
    ),
    Row(
        work="a whole task to Redis: imports, gate, guard, read-back; 100k rows",
        ours="task_ours",
        peers={"bare Feast, without any of the checks": ("task_feast", 0.75)},
    ),
]


@contextmanager
def setup(quick: bool) -> Iterator[Mapping[str, Any]]:  # noqa: FBT001 - the harness calls it
    """Start Valkey, and publish the artifacts, validated inputs and all."""
    # The servers and artifacts of the tests; this file runs as a script, from anywhere.
    sys.path.insert(0, str(REPOSITORY))
    import numpy as np
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage
    from tests import servers
    from tests.feature_store.feature_artifacts import features

    def publish(folder: str, rows: int) -> str:
        values = np.random.default_rng(1)
        columns: dict[str, Any] = {"user_id": [f"user-{number:08d}" for number in values.permutation(rows)]}
        columns |= {f"feature_{number}": values.random(rows) for number in range(FEATURES)}
        return features(Storage(folder), pa.table(columns)).uri

    with tempfile.TemporaryDirectory(prefix="mlpipe-bench-") as folder, servers.valkey() as address:
        rows, many = (QUICK_ROWS, 10 * QUICK_ROWS) if quick else (ROWS_COUNT, MANY_ROWS)
        yield {
            "redis": address,
            "some": publish(f"{folder}/some", rows),
            "many": publish(f"{folder}/many", many),
        }


def _redis(given: Mapping[str, Any], folder: Path, *, engine: str, rows: str = "some") -> str:
    import redis

    host, port = given["redis"].split(":")
    with redis.Redis(host=host, port=int(port)) as client:
        client.flushall()
        _write(given[rows], folder, engine, {"type": "redis", "connection_string": given["redis"]})
        if rows == "many":
            return str(client.dbsize())
        found = hashlib.sha256()
        for key in sorted(client.scan_iter(count=10_000)):
            found.update(repr((key, sorted(client.hgetall(key).items()))).encode())
    return found.hexdigest()


def _sqlite(given: Mapping[str, Any], folder: Path, *, engine: str, rows: str = "some") -> str:
    database = folder / "online.db"
    _write(given[rows], folder, engine, {"type": "sqlite", "path": str(database)})
    found = hashlib.sha256()
    with closing(sqlite3.connect(database)) as connection:
        if rows == "many":
            [(count,)] = connection.execute("SELECT count(*) FROM mlpipe_user_profile_features").fetchall()
            return str(count)
        for row in connection.execute("SELECT * FROM mlpipe_user_profile_features ORDER BY entity_key, feature_name"):
            found.update(repr(row).encode())
    return found.hexdigest()


def _write(uri: str, folder: Path, engine: str, online: Mapping[str, Any]) -> None:
    """Write an artifact online as `feature_store.materialize` does; count Feast's materialize alone."""
    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore
    from airflow_provider_mlpipe.feature_store import guard, materialization
    from airflow_provider_mlpipe.feature_store.definitions import Definition
    from airflow_provider_mlpipe.feature_store.settings import Settings

    artifact = Artifact.open(uri)
    settings = Settings.of(FeatureStore(online_store=dict(online), engine=engine), Storage(str(folder)))
    definition = Definition.of(artifact)
    facts = guard.survey(artifact, definition)
    opened = materialization.ready(settings, definition, artifact)
    provider = opened.provider
    _ = provider.online_store, provider.offline_store, provider.batch_engine  # imported before the clock starts
    if engine == "arrow":
        import airflow_provider_mlpipe.feature_store.arrow_engine.redis_writer
        import airflow_provider_mlpipe.feature_store.arrow_engine.sqlite_writer  # noqa: F401
    with counted(folder):
        materialization.put_online(opened, definition.view, artifact, facts.start, facts.end, overwrite=False)


def _rollback(given: Mapping[str, Any], folder: Path, *, engine: str) -> tuple[int, int]:
    """Put a day online, then one with other values for a tenth, and roll back; count the rollback alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore
    from airflow_provider_mlpipe.feature_store import materialize, rollback
    from tests.feature_store.feature_artifacts import features

    _empty(given)
    root, good = Storage(str(folder / "root")), Artifact.open(given["some"])
    store = FeatureStore(online_store={"type": "redis", "connection_string": given["redis"]})
    table = good.table().drop_columns(["event_timestamp", "created_timestamp"])
    tenth = table.slice(0, table.num_rows // 10)
    other = tenth.set_column(1, "feature_0", pc.negate(tenth["feature_0"]))
    for artifact in (good, features(root, pa.table(other), day=15)):
        materialize(artifact, store, root=root)
    with counted(folder):
        done = rollback("user_profile_features", good, store=store.model_copy(update={"engine": engine}), root=root)
    return done.changed, done.unchanged


def redis_arrow(given: dict[str, Any], folder: Path) -> str:
    return _redis(given, folder, engine="arrow")


def redis_stock(given: dict[str, Any], folder: Path) -> str:
    return _redis(given, folder, engine="stock")


def sqlite_arrow(given: dict[str, Any], folder: Path) -> str:
    return _sqlite(given, folder, engine="arrow")


def sqlite_stock(given: dict[str, Any], folder: Path) -> str:
    return _sqlite(given, folder, engine="stock")


def redis_many(given: dict[str, Any], folder: Path) -> bool:
    from airflow_provider_mlpipe.artifacts import Artifact

    return int(_redis(given, folder, engine="arrow", rows="many")) == Artifact.open(given["many"]).manifest.rows


def sqlite_many(given: dict[str, Any], folder: Path) -> bool:
    from airflow_provider_mlpipe.artifacts import Artifact

    expected = Artifact.open(given["many"]).manifest.rows * FEATURES
    return int(_sqlite(given, folder, engine="arrow", rows="many")) == expected


def sqlite_tenth(given: dict[str, Any], folder: Path) -> bool:
    return bool(_sqlite(given, folder, engine="stock"))


def rollback_bytes(given: dict[str, Any], folder: Path) -> tuple[int, int]:
    return _rollback(given, folder, engine="arrow")


def rollback_read(given: dict[str, Any], folder: Path) -> tuple[int, int]:
    return _rollback(given, folder, engine="stock")


def redis_tenth(given: dict[str, Any], folder: Path) -> bool:
    return bool(_redis(given, folder, engine="stock"))


def task_ours(given: dict[str, Any], folder: Path) -> int:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore
    from airflow_provider_mlpipe.feature_store import materialize

    _empty(given)
    store = FeatureStore(online_store={"type": "redis", "connection_string": given["redis"]})
    return materialize(Artifact.open(given["some"]), store, root=Storage(str(folder))).rows


def task_feast(given: dict[str, Any], folder: Path) -> int:
    """What Feast's quick start would have one write, for an artifact of one file."""
    from datetime import UTC, datetime

    import feast
    from feast.types import Float64, String

    from airflow_provider_mlpipe.artifacts import Artifact

    _empty(given)
    artifact = Artifact.open(given["some"])
    [path] = artifact.paths
    store = feast.FeatureStore(
        config=feast.RepoConfig(
            project="mlpipe",
            provider="local",
            registry=str(folder / "registry.pb"),
            online_store={"type": "redis", "connection_string": given["redis"]},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    entity = feast.Entity(name="user_id", join_keys=["user_id"], value_type=feast.ValueType.STRING)
    source = feast.FileSource(name="features", path=path, timestamp_field="event_timestamp")
    schema = [feast.Field(name="user_id", dtype=String)]
    schema += [feast.Field(name=f"feature_{number}", dtype=Float64) for number in range(FEATURES)]
    view = feast.FeatureView(name="user_profile_features", entities=[entity], schema=schema, source=source)
    store.apply([entity, source, view])
    store.materialize(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    return artifact.manifest.rows


def _empty(given: Mapping[str, Any]) -> None:
    import redis

    host, port = given["redis"].split(":")
    with redis.Redis(host=host, port=int(port)) as client:
        client.flushall()


CASES: dict[str, Callable[[dict[str, Any], Path], object]] = {
    case.__name__: case
    for case in (
        redis_arrow, redis_stock, sqlite_arrow, sqlite_stock, redis_many, redis_tenth, sqlite_many, sqlite_tenth,
        rollback_bytes, rollback_read, task_ours, task_feast,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(__file__, ROWS, CASES, setup))
