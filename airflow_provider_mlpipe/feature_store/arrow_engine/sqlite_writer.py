"""Batches of rows to SQLite: one row per entity and feature, as Feast's SQLite store writes it.

From ``infra/online_stores/sqlite.py`` of Feast 0.67 (``SqliteOnlineStore.online_write_batch``): the serialised entity
key; the feature's name; its ``Value``; the value as text, where it is text, a number or a flag, as Python prints it
(``online_stores/helpers.extract_text_and_num``); the event time and the time of creation. These two are whole seconds
of a UTC time taken for a local one: the store's own adapter is used, so that they agree in every zone. A row that is
there is overwritten, whatever its time. Nothing is ever deleted by a materialisation.
"""

from __future__ import annotations

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

    from feast import RepoConfig

    from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout

__all__ = ["SqliteWriter"]

BATCH_ROWS = 1_000
"""Where ``online_write_batch_size`` is not set, in which case Feast would write all rows in one transaction."""

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
        self._upsert = _upsert(_quote_id(_table_id(config.project, layout.view, versioned)))
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
