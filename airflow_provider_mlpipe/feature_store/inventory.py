"""What a view holds online: its entities listed, and taken away. For SQLite and Redis, whose layout this module knows.

Feast can write entities and read those that one names; it can neither list them nor remove one. The layout is that of
Feast 0.67 (its docs/specs/online_store_format.md); keys and field names are made by Feast's own functions.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sqlite3
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store.settings import WHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_mlpipe.feature_store.settings import Settings

__all__ = ["Inventory", "RedisInventory", "SqliteInventory", "check_kind", "inventory_of"]

LISTED_AT_ONCE = 10_000
REMOVED_AT_ONCE = 500
"""Entities per transaction or pipeline: SQLite's readers wait for as long as one lasts."""

SQLITE_WAIT_SECONDS = 60


class Inventory(ABC):
    """The entities of one view. A key is the entity key as Feast serializes it, without anything around it."""

    @abstractmethod
    def listed(self) -> Iterator[list[bytes]]:
        """Yield the keys that are online, some at a time; one may come twice."""

    @abstractmethod
    def remove(self, keys: Iterable[bytes]) -> None:
        """Take entities away, from this view only; that one is gone already is fine."""

    @abstractmethod
    def drop(self, features: Iterable[str]) -> None:
        """Take features away from all entities of the view."""


def check_kind(settings: Settings) -> None:
    """Refuse a kind of online store whose entities cannot be listed.

    Raises:
        ConfigError: it is neither SQLite nor Redis.
    """
    if settings.online_type in {"sqlite", "redis"}:
        return
    raise ConfigError.invalid(
        where=WHERE,
        key="feature_store.online_store.type",
        problem=f"a rollback cannot list what {settings.online_type!r} holds; it knows sqlite and redis",
        hint="Materialise a corrected artifact of the latest interval instead: mlpipe materialize ARTIFACT.",
    )


def inventory_of(settings: Settings, store: Any, view: Any) -> Inventory:  # noqa: ANN401 - feast has no types
    """Return the inventory of a `feast.FeatureView`, for a kind of store that `check_kind` lets pass."""
    if settings.sqlite_path is not None:
        return SqliteInventory(str(settings.sqlite_path), _table(store, view))
    # Feast's store knows how to connect to a server, a cluster or sentinels, by Feast's connection string.
    client = store.provider.online_store._get_client(store.config.online_store)  # noqa: SLF001
    features = [field.name for field in view.features]
    return RedisInventory(client, store.project, _name(store, view), list(view.join_keys), features)


@dataclass(frozen=True)
class SqliteInventory(Inventory):
    """A table per view; one row per entity and feature."""

    path: str
    table: str

    def listed(self) -> Iterator[list[bytes]]:
        """Yield keys."""
        with self._connected() as connection:
            found = connection.execute(f"SELECT DISTINCT entity_key FROM {quote(self.table)}")  # noqa: S608
            while rows := found.fetchmany(LISTED_AT_ONCE):
                yield [bytes(key) for (key,) in rows]

    def remove(self, keys: Iterable[bytes]) -> None:
        """Delete rows in short transactions."""
        with self._connected() as connection:
            for some in _chunks(keys):
                with connection:
                    connection.executemany(
                        f"DELETE FROM {quote(self.table)} WHERE entity_key = ?",  # noqa: S608
                        [(key,) for key in some],
                    )

    def drop(self, features: Iterable[str]) -> None:
        """Delete the rows of some features."""
        with self._connected() as connection, connection:
            connection.executemany(
                f"DELETE FROM {quote(self.table)} WHERE feature_name = ?",  # noqa: S608
                [(name,) for name in features],
            )

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=SQLITE_WAIT_SECONDS)) as connection:
            yield connection


@dataclass(frozen=True)
class RedisInventory(Inventory):
    """A hash per entity, which the views of the entity share: a field per feature, and ``_ts:<view>``."""

    client: Any
    project: str
    view: str
    join_keys: list[str]
    features: list[str]

    def listed(self) -> Iterator[list[bytes]]:
        """Yield keys whose hash has a time of this view."""
        prefix, project = self._prefix(), self.project.encode()
        # Feast itself takes what begins with the prefix and ends with the project for its own, and so also finds the
        # keys of a project whose name only ends like this one.
        pattern = _escaped(prefix) + b"*" + _escaped(project)
        candidates = self.client.scan_iter(pattern, count=LISTED_AT_ONCE)
        mine = (key[: -len(project)] for key in candidates if _project_of(key, prefix) == project)
        for some in _chunks(mine, LISTED_AT_ONCE):
            with self.client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.hexists(self._redis_key(key), self._time_field)
                present = pipe.execute()
            yield [key for key, found in zip(some, present, strict=True) if found]

    def remove(self, keys: Iterable[bytes]) -> None:
        """Delete the view's fields; Redis drops a hash with its last field."""
        for some in _chunks(keys):
            with self.client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.hkeys(self._redis_key(key))
                fields = pipe.execute()
            with self.client.pipeline(transaction=False) as pipe:
                for key, present in zip(some, fields, strict=True):
                    # Never DEL: another view may have got its first row since.
                    pipe.hdel(self._redis_key(key), *self._fields(present))
                pipe.execute()

    def drop(self, features: Iterable[str]) -> None:
        """Delete the fields of some features."""
        fields = [self._field(name) for name in features]
        if not fields:
            return
        for some in self.listed():
            with self.client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.hdel(self._redis_key(key), *fields)
                pipe.execute()

    @property
    def _time_field(self) -> bytes:
        return f"_ts:{self.view}".encode()

    def _fields(self, present: list[bytes]) -> list[bytes]:
        """Return which of a hash's fields to delete: the view's; all, if no other view has a time among them.

        Those of features that the view once had are not to be told from another view's.
        """
        times = {field for field in present if field.startswith(b"_ts:")}
        if times <= {self._time_field}:
            return [*present, self._time_field]
        return [*map(self._field, self.features), self._time_field]

    def _field(self, feature: str) -> bytes:
        from feast.infra.online_stores.helpers import _mmh3

        return bytes(_mmh3(f"{self.view}:{feature}"))

    def _redis_key(self, key: bytes) -> bytes:
        return key + self.project.encode()

    def _prefix(self) -> bytes:
        from feast.infra.key_encoding_utils import serialize_entity_key_prefix

        return bytes(serialize_entity_key_prefix(self.join_keys, entity_key_serialization_version=3))


def _project_of(key: bytes, prefix: bytes) -> bytes | None:
    """Return what follows the entity key in a Redis key; None if it is not one with these join keys.

    After the prefix (number and names of the join keys) each value stands as type, length and bytes.
    """
    (count,) = struct.unpack_from("<I", prefix)
    position = len(prefix)
    if not key.startswith(prefix):
        return None
    for _ in range(count):
        if len(key) < position + 8:
            return None
        (length,) = struct.unpack_from("<I", key, position + 4)
        position += 8 + length
    return key[position:] if position <= len(key) else None


def _escaped(text: bytes) -> bytes:
    """Return text for a pattern of Redis, with none of its signs at work: a length byte may well be one."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)


def _chunks(keys: Iterable[bytes], size: int = REMOVED_AT_ONCE) -> Iterator[list[bytes]]:
    iterator = iter(keys)
    while some := list(itertools.islice(iterator, size)):
        yield some


def _name(store: Any, view: Any) -> str:  # noqa: ANN401 - feast has no types
    from feast.infra.online_stores.helpers import compute_versioned_name

    return str(compute_versioned_name(view, store.config.registry.enable_online_feature_view_versioning))


def _table(store: Any, view: Any) -> str:  # noqa: ANN401 - feast has no types
    return f"{store.project}_{_name(store, view)}"
