"""Memory is bounded by what is in flight, not by the size of the source: counted in rows, not measured in time."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts.writer import ROW_GROUP_ROWS
from airflow_provider_mlpipe.ingestion import sql
from airflow_provider_mlpipe.ingestion.pipeline import transfer
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from tests.ingestion.support import DAY, counts, quarantined, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

CHUNK = 10_000
CHUNKS = 100


class Counting:
    """A source that counts how many of the rows it gave are still held by somebody."""

    location = "memory"
    secrets: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.held = self.most = 0

    @contextmanager
    def open(self) -> Iterator[Stream]:
        schema = pa.schema([("id", pa.int64()), ("v", pa.string())])
        yield Stream(schema, self._chunks(schema))

    def _chunks(self, schema: pa.Schema) -> Iterator[Chunk]:
        for number in range(CHUNKS):
            ids = pa.array(range(number * CHUNK, (number + 1) * CHUNK), pa.int64())
            batch = pa.record_batch([ids, pa.array([f"value {number}"] * CHUNK)], schema=schema)
            rejected = (Rejected("on purpose", {"id": number}),)
            self.held += CHUNK
            self.most = max(self.most, self.held)
            # Every slice and projection of the batch keeps this column alive.
            weakref.finalize(batch.column(0), lambda: None)
            weakref.finalize(batch, self._released)
            yield Chunk(batch, rejected)
            del batch

    def _released(self) -> None:
        self.held -= CHUNK


@pytest.mark.parametrize("rule", [None, {"keys": ["id"], "order_by": ["v"]}])
def test_rows_in_flight_do_not_grow_with_the_source(root: Storage, rule: dict[str, Any] | None) -> None:
    mapping = {"type": "file", "path": "none"} | ({} if rule is None else {"deduplicate": rule})
    source = config.source(mapping, "things")
    reader = Counting()
    before = pa.total_allocated_bytes()
    peaks: list[int] = []

    def watch(rows: int) -> None:
        peaks.append(pa.total_allocated_bytes() - before)

    artifact = transfer(source, reader, ArtifactTarget(root=root, source=source, run=DAY), progress=watch)
    assert counts(artifact) == (CHUNK * CHUNKS + CHUNKS, CHUNK * CHUNKS, CHUNKS, 0)
    assert len(quarantined(artifact)) == CHUNKS
    assert reader.most <= 2 * CHUNK
    # A row group waits in the writer until it is full: Arrow holds that and one more while it is written.
    one_row = 8 + 4 + len("value 10")
    assert max(peaks) <= 4 * ROW_GROUP_ROWS * one_row
    assert max(peaks) < CHUNK * CHUNKS * one_row


def test_a_cursor_is_read_batch_by_batch(tmp_path: Path, root: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batch is through before the last is fetched, and none is larger than asked for."""
    path = tmp_path / "things.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (id INTEGER)")
        connection.executemany("INSERT INTO things VALUES (?)", ((number,) for number in range(1050)))
        connection.commit()
    events: list[tuple[str, int]] = []
    convert = sql.convert

    def spy(columns: Any, values: Any, rows: int) -> Chunk:
        events.append(("fetched", rows))
        return convert(columns, values, rows)

    monkeypatch.setattr(sql, "convert", spy)
    source = {"type": "database", "connection_string": f"sqlite:///{path}", "table": "things", "batch_size": 100}
    read(source, root, progress=lambda rows: events.append(("through", rows)))
    assert [rows for kind, rows in events if kind == "fetched"] == [100] * 10 + [50]
    assert [kind for kind, _ in events] == ["fetched", "through"] * 11
