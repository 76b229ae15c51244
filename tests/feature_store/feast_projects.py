"""Feast as it stands, for tests that compare engines: a project of one view over a parquet file, and what is online."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_mlpipe.feature_store.arrow_engine import ENGINE
from airflow_provider_mlpipe.feature_store.translation import quiet, unprinted

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = ("local", ENGINE)
START = datetime(2026, 1, 13, 2, tzinfo=UTC)
END = START + timedelta(days=1)
VIEW = "scores"


@dataclass
class Project:
    """One Feast project.

    Attributes:
        folder: where its files are.
        engine: Feast's name of its compute engine.
        online: the online store's settings.
        keys: names of the key columns.
        settings: any others of ``RepoConfig``.
        view: any others of ``FeatureView``.
    """

    folder: Path
    engine: str
    online: dict[str, Any]
    keys: tuple[str, ...] = ("user_id",)
    settings: dict[str, Any] = field(default_factory=dict)
    view: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        if self.online["type"] == "sqlite":
            self.online = {**self.online, "path": str(self.folder / "online.db")}
        with quiet():
            from feast import FeatureStore, RepoConfig

            given: dict[str, Any] = {"entity_key_serialization_version": 3, "offline_store": {"type": "duckdb"}}
            config = RepoConfig(
                project="bytes",
                provider="local",
                registry=str(self.folder / "registry.pb"),
                online_store=self.online,
                batch_engine=self.engine,
                **(given | self.settings),
            )
            self.store = FeatureStore(config=config)

    def materialize(self, table: pa.Table) -> None:
        """Put a table online: `keys`, event_timestamp, created_timestamp if there is one, and features."""
        file = self.folder / "features.parquet"
        pq.write_table(table, file)
        with quiet(), unprinted():
            self.store.apply(self._objects(table, str(file)))
            self.store.materialize(START, END, feature_views=[VIEW])

    def _objects(self, table: pa.Table, file: str) -> list[Any]:
        from feast import Entity, FeatureView, Field, FileSource
        from feast.types import from_value_type

        times = {"event_timestamp", "created_timestamp"}
        kinds = {name: value_type(table.schema.field(name).type) for name in table.column_names if name not in times}
        entities = [Entity(name=f"the_{key}", join_keys=[key], value_type=kinds[key]) for key in self.keys]
        source = FileSource(
            name="file",
            path=file,
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp" if "created_timestamp" in table.column_names else "",
        )
        schema = [Field(name=name, dtype=from_value_type(kind)) for name, kind in kinds.items()]
        given: dict[str, Any] = {"name": VIEW, "entities": entities, "schema": schema, "source": source}
        return [*entities, source, FeatureView(**(given | self.view))]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return everything online, in order: (key, field, value, expires) of Redis, all columns of SQLite."""
        if self.online["type"] == "sqlite":
            with closing(sqlite3.connect(self.online["path"])) as connection:
                found = connection.execute(f"SELECT * FROM bytes_{VIEW} ORDER BY entity_key, feature_name").fetchall()
            return [tuple(row) for row in found]
        with redis_client(self.online) as client:
            keys = sorted(client.scan_iter(count=10_000))
            with client.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.hgetall(key)
                    pipeline.ttl(key)
                answers = pipeline.execute()
        hashes, expiries = answers[::2], answers[1::2]
        return [
            (key, name, value, expires > 0)
            for key, fields, expires in zip(keys, hashes, expiries, strict=True)
            for name, value in sorted(fields.items())
        ]

    def digest(self) -> str:
        """Return a hash of everything online: all keys and values with their types."""
        return digest(self.rows())


def digest(rows: list[tuple[Any, ...]]) -> str:
    """Return a hash of rows."""
    found = hashlib.sha256()
    for row in rows:
        found.update(repr(row).encode())
    return found.hexdigest()


def redis_client(online: dict[str, Any]) -> Any:
    """Return a client for a store's ``host:port,db=n``."""
    import redis

    address, *settings = online["connection_string"].split(",")
    host, port = address.split(":")
    given = dict(setting.split("=") for setting in settings)
    return redis.Redis(host=host, port=int(port), db=int(given.get("db", 0)))


def value_type(kind: pa.DataType) -> Any:
    """Return Feast's type for an Arrow type."""
    from feast.value_type import ValueType

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ValueType[f"{value_type(kind.value_type).name}_LIST"]
    if pa.types.is_timestamp(kind):
        return ValueType.UNIX_TIMESTAMP
    names = {
        pa.float32(): "FLOAT", pa.float64(): "DOUBLE", pa.int8(): "INT32", pa.int16(): "INT32", pa.int32(): "INT32",
        pa.uint8(): "INT32", pa.uint16(): "INT32", pa.uint32(): "INT64", pa.int64(): "INT64", pa.bool_(): "BOOL",
        pa.string(): "STRING", pa.large_string(): "STRING", pa.binary(): "BYTES", pa.large_binary(): "BYTES",
    }  # fmt: skip
    return ValueType[names[kind]]
