"""Batches of rows to SQLite: one row per entity and feature, as Feast's SQLite store writes it.

From ``infra/online_stores/sqlite.py`` of Feast 0.67 (``SqliteOnlineStore.online_write_batch``): the serialised entity
key; the feature's name; its ``Value``; the value as text, where it is text, a number or a flag, as Python prints it
(``online_stores/helpers.extract_text_and_num``); the event time and the time of creation. These two are whole seconds
of a UTC time taken for a local one: the store's own adapter is used, so that they agree in every zone. A row that is
there is overwritten, whatever its time. Nothing is ever deleted by a materialisation.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.online_stores.sqlite import _quote_id, _table_id, adapt_datetime_epoch
from feast.value_type import ValueType

from airflow_provider_mlpipe.feature_store.arrow_engine.keys import encoded_keys
from airflow_provider_mlpipe.feature_store.arrow_engine.values import encoded
from airflow_provider_mlpipe.feature_store.arrow_engine.wire import by_distinct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt
    from feast import RepoConfig

    from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout

__all__ = ["SqliteWriter"]

BATCH_ROWS = 1_000
"""Where ``online_write_batch_size`` is not set, in which case Feast would write all rows in one transaction."""

LOOKUP_KEYS = 900
"""Entities asked for at once: below SQLite's limit of parameters, of any version."""

WAIT_SECONDS = 60

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class SqliteWriter:
    """Writes batches of one view, each in one transaction.

    Attributes:
        batch_rows: how many rows a batch should have.
        in_key_order: whether rows are wanted in the order of their keys; the table's index grows faster at its end.
    """

    in_key_order = True

    def __init__(self, layout: Layout, config: RepoConfig, store: Any) -> None:  # noqa: ANN401 - feast has no types
        self.batch_rows: int = config.materialization_config.online_write_batch_size or BATCH_ROWS
        self._layout = layout
        self._version: int = config.entity_key_serialization_version
        versioned = config.registry.enable_online_feature_view_versioning
        self._table = _quote_id(_table_id(config.project, layout.view, versioned))
        self._upsert = _upsert(self._table)
        self._path = str(config.online_store.path)
        self._connection = store._get_conn(config)  # noqa: SLF001 - there is no other way to it

    @staticmethod
    def why_not(config: RepoConfig) -> str:
        """Why this store's settings are not for this engine."""
        for setting in ("vector_enabled", "enable_openai_compatible_store"):
            if getattr(config.online_store, setting):
                return f"the online store has {setting}"
        return ""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows, whose keys are all different."""
        layout = self._layout
        keys = _plain(
            encoded_keys({name: batch.column(name) for name in layout.keys}, layout.keys, version=self._version)
        )
        times = _epochs(batch.column(layout.time))
        created = _epochs(batch.column(layout.created)) if layout.created else repeat(None)
        columns = []
        for name, declared in layout.features.items():
            column = batch.column(name)
            columns.append(
                zip(keys, repeat(name), _plain(encoded(column, declared)), _texts(column, declared), times, created)
            )
        with self._connection:
            # An entity's features after each other, as they lie in the table's index.
            self._connection.executemany(self._upsert, chain.from_iterable(zip(*columns, strict=True)))

    def compared(self, batch: pa.RecordBatch) -> tuple[pa.Array, npt.NDArray[np.bool_], pa.Array]:
        """Return what `comparison` asks for: keys, which rows have their values online, and the times online."""
        layout = self._layout
        columns = {name: batch.column(name) for name in layout.keys}
        keys = encoded_keys(columns, layout.keys, version=self._version)
        plain = _plain(keys)
        present, times = self._stored(plain)
        same = np.ones(len(plain), np.bool_)
        for name, declared in layout.features.items():
            wanted = zip(plain, repeat(name), _plain(encoded(batch.column(name), declared)))
            same &= np.fromiter(map(present.__contains__, wanted), np.bool_, len(plain))
        epochs = pa.array([times.get(key) for key in plain], pa.int64())
        return keys, same, by_distinct(epochs, _microseconds_of, pa.int64())

    def _stored(self, keys: list[bytes]) -> tuple[set[tuple[bytes, str, bytes]], dict[bytes, int]]:
        """Return the values and the times that are online for keys.

        Over a connection of its own: Feast's makes a Python object of every time.
        """
        present: set[tuple[bytes, str, bytes]] = set()
        times: dict[bytes, int] = {}
        with closing(sqlite3.connect(self._path, timeout=WAIT_SECONDS)) as connection:
            for start in range(0, len(keys), LOOKUP_KEYS):
                some = keys[start : start + LOOKUP_KEYS]
                query = f"SELECT entity_key, feature_name, value, event_ts FROM {self._table} WHERE entity_key IN "  # noqa: S608
                for key, feature, value, time in connection.execute(f"{query}({', '.join('?' * len(some))})", some):
                    present.add((key, feature, value))
                    times[key] = time
        return present, times


def _upsert(table: str) -> str:
    columns = ("entity_key", "feature_name", "value", "value_text", "event_ts", "created_ts")
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns[2:])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608 - quoted by Feast
        f"ON CONFLICT(entity_key, feature_name) DO UPDATE SET {changed}"
    )


def _plain(array: pa.Array) -> list[Any]:
    """Return the elements as Python's own, nulls as None."""
    found: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
    return found


def _texts(column: pa.Array, declared: ValueType) -> Iterable[str | None]:
    """Return the values as text; None for those that Feast has no text for."""
    if declared == ValueType.STRING:
        return _plain(column)
    if declared in {ValueType.INT32, ValueType.INT64}:
        return _plain(pc.cast(column, pa.string()))
    if declared == ValueType.BOOL:
        return _plain(pc.if_else(column, "True", "False"))
    if declared in {ValueType.FLOAT, ValueType.DOUBLE}:
        return _printed(column.to_numpy(zero_copy_only=False).astype(np.float64))
    return repeat(None)


def _printed(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[str | None]:
    """Yield floats as Python prints them, for Arrow prints some otherwise (1e+20 for one); None for NaN."""
    absent = np.isnan(numbers)
    if not absent.any():
        return map(repr, numbers.tolist())
    return (None if no else repr(number) for no, number in zip(absent.tolist(), numbers.tolist(), strict=True))


def _epochs(times: pa.Array) -> list[int]:
    """Return times as the store's adapter makes them, asking it once per distinct time."""
    naive = pc.cast(times, pa.timestamp(times.type.unit)).to_numpy(zero_copy_only=False)
    microseconds = pa.array(naive.astype("datetime64[us]").astype(np.int64))
    return _plain(
        by_distinct(microseconds, lambda us: adapt_datetime_epoch(_EPOCH + timedelta(microseconds=us)), pa.int64())
    )


def _microseconds_of(epoch: int) -> int:
    """Return what a stored time stands for, in microseconds since 1970: the way back of the store's adapter."""
    return (datetime.fromtimestamp(epoch) - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ006 - as the store does
