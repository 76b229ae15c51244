"""Batches of rows to Redis: one hash per entity, as Feast's Redis store writes it.

From ``infra/online_stores/redis.py`` of Feast 0.67 (``RedisOnlineStore.online_write_batch``): the hash's key is the
serialised entity key and the project's name; its fields are ``_ts:<view>``, a protobuf ``Timestamp``, and for each
feature four bytes of hash of ``<view>:<feature>``, a ``Value``. Unless ``skip_dedup`` is set, the stored time is read
first, and a row that is not newer is left out (a stored time before 1970, or of 1970 exactly, does not count).
``key_ttl_seconds`` makes an EXPIRE follow each HSET. Nothing is ever deleted by a materialisation.

Commands go out as they stand on the wire (RESP, https://redis.io/docs/latest/develop/reference/protocol-spec), one
pipeline per batch, over a connection of Feast's own client: address, password, TLS, database and retries are its.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisType, _versioned_fv_name
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]

from airflow_provider_mlpipe.feature_store.arrow_engine.keys import encoded_keys
from airflow_provider_mlpipe.feature_store.arrow_engine.pipeline import exchange
from airflow_provider_mlpipe.feature_store.arrow_engine.values import encoded
from airflow_provider_mlpipe.feature_store.arrow_engine.wire import by_distinct, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from feast import RepoConfig

    from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout

__all__ = ["RedisWriter"]

BATCH_ROWS = 10_000
"""Where ``online_write_batch_size`` is not set, in which case Feast would send all rows at once."""


class RedisWriter:
    """Writes batches of one view.

    Attributes:
        batch_rows: how many rows a batch should have.
        in_key_order: whether rows are wanted in the order of their keys.
    """

    in_key_order = False

    def __init__(self, layout: Layout, config: RepoConfig, store: Any) -> None:  # noqa: ANN401 - feast has no types
        self.batch_rows: int = config.materialization_config.online_write_batch_size or BATCH_ROWS
        self._layout = layout
        self._settings = config.online_store
        self._version: int = config.entity_key_serialization_version
        self._project = config.project.encode()
        name = _versioned_fv_name(layout.view, config)
        self._time_field = f"_ts:{name}".encode()
        self._fields: dict[str, bytes] = {feature: _mmh3(f"{name}:{feature}") for feature in layout.features}
        self._client = store._get_client(config.online_store)  # noqa: SLF001 - there is no other way to it

    @staticmethod
    def why_not(config: RepoConfig) -> str:
        """Why this store's settings are not for this engine."""
        kind = config.online_store.redis_type
        return "" if kind == RedisType.redis else f"the online store is a {kind.value}"

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows, whose keys are all different."""
        keys = self._keys({name: batch.column(name) for name in self._layout.keys})
        times = _microseconds(batch.column(self._layout.time))
        with self._client.client() as client:  # one connection of the pool, given back afterwards
            if not self._settings.skip_dedup:
                online = pc.fill_null(self._stored(client.connection, keys), 0).to_numpy()
                newer = (online <= 0) | (times > online)
                if not newer.all():
                    chosen = pa.array(newer)
                    keys, times, batch = keys.filter(chosen), times[newer], batch.filter(chosen)
            if batch.num_rows:
                self._set(client.connection, keys, times, batch)

    def times(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return the event times that are online for keys, in microseconds since 1970; null where there is no row."""
        with self._client.client() as client:
            return self._stored(client.connection, self._keys(columns))

    def compared(self, batch: pa.RecordBatch) -> tuple[pa.Array, npt.NDArray[np.bool_], pa.Array]:
        """Return what `comparison` asks for: keys, which rows have their values online, and the times online."""
        keys = self._keys({name: batch.column(name) for name in self._layout.keys})
        command = _Command(3 + len(self._fields)).word(b"HMGET").words(keys).word(self._time_field)
        for field in self._fields.values():
            command.word(field)
        with self._client.client() as client:
            replies = exchange(client.connection, command.buffer(), len(keys), whole=True)
        stamps, *values = (pa.array(column, pa.binary()) for column in zip(*replies, strict=True))
        times = by_distinct(stamps, _microseconds_of, pa.int64())
        same = times.is_valid()
        for found, (name, declared) in zip(values, self._layout.features.items(), strict=True):
            wanted = encoded(batch.column(name), declared)
            same = pc.and_(same, pc.equal(pc.fill_null(found, b""), wanted))  # what is not there is null to Feast
        bare = pc.binary_slice(keys, 0, -len(self._project))
        return bare, same.to_numpy(zero_copy_only=False), times

    def _keys(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        return encoded_keys(columns, self._layout.keys, version=self._version, behind=self._project)

    def _stored(self, connection: Any, keys: pa.Array) -> pa.Array:  # noqa: ANN401
        command = _Command(3).word(b"HMGET").words(keys).word(self._time_field)
        stored = pa.array(exchange(connection, command.buffer(), len(keys)), pa.binary())
        # Feast compares nanoseconds, but it stores microseconds, as we do.
        return by_distinct(stored, _microseconds_of, pa.int64())

    def _set(self, connection: Any, keys: pa.Array, times: npt.NDArray[np.int64], batch: pa.RecordBatch) -> None:  # noqa: ANN401
        stamps = by_distinct(pa.array(times), _timestamp)
        command = _Command(4 + 2 * len(self._fields)).word(b"HSET").words(keys)
        command.word(self._time_field).words(stamps)
        for name, field in self._fields.items():
            command.word(field).words(encoded(batch.column(name), self._layout.features[name]))
        replies = batch.num_rows
        if self._settings.key_ttl_seconds:
            command.then(3).word(b"EXPIRE").words(keys).word(b"%d" % self._settings.key_ttl_seconds)
            replies *= 2
        exchange(connection, command.buffer(), replies)


class _Command:
    """One command per row, or several, as RESP: an array of words, each behind its length.

    Words that are the same in all rows are put together once.
    """

    def __init__(self, words: int) -> None:
        self._parts: list[pa.Array | pa.Scalar] = []
        self._same = b"*%d\r\n" % words

    def then(self, words: int) -> _Command:
        """Begin the row's next command."""
        self._same += b"*%d\r\n" % words
        return self

    def word(self, word: bytes) -> _Command:
        """Add a word that is the same in all rows."""
        self._same += b"$%d\r\n%s\r\n" % (len(word), word)
        return self

    def words(self, array: pa.Array) -> _Command:
        """Add a word per row."""
        before = self._same
        heads = by_distinct(pc.binary_length(array), lambda length: b"%s$%d\r\n" % (before, length))
        self._parts += [heads, array]
        self._same = b"\r\n"
        return self

    def buffer(self) -> memoryview:
        """Return the commands of all rows, ready to be sent."""
        rows = joined(*self._parts, pa.scalar(self._same, pa.binary()))
        _, offsets, data = rows.buffers()
        ends = np.frombuffer(offsets, np.int32)
        return memoryview(data)[ends[rows.offset] : ends[rows.offset + len(rows)]]


def _microseconds(times: pa.Array) -> npt.NDArray[np.int64]:
    """Return event times as Feast keeps them: nanoseconds are cut off."""
    naive = pc.cast(times, pa.timestamp(times.type.unit)).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = naive.astype("datetime64[us]").astype(np.int64)
    return found


def _timestamp(microseconds: int) -> bytes:
    stamp = Timestamp()
    stamp.FromMicroseconds(microseconds)
    found: bytes = stamp.SerializeToString()
    return found


def _microseconds_of(stamp: bytes) -> int:
    found: int = Timestamp.FromString(stamp).ToMicroseconds()
    return found
