"""Keeping one row per key, whatever the number of rows, in bounded memory.

The rows go to a temporary file as they are. DuckDB, which spills when its memory is full, reads them from there in
forms that it compares exactly, and answers with the positions of the rows to keep; those are then streamed from the
same file. So what is kept never passes through another type system.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings, quote
from airflow_provider_mlpipe.engines.scratch import scratch_folder
from airflow_provider_mlpipe.ingestion.spooling import no_room, spooling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Deduplicate

__all__ = ["Deduplicator"]

ROWS_AT_A_TIME = 65_536
"""Positions to take from DuckDB at a time. They are noted as one bit for every row."""

BATCH_ROWS = 131_072
BATCH_BYTES = 32 * 1024 * 1024
"""What is written to the temporary file at a time, whichever is reached first: rows may be wide."""

MEMORY = "320MB"
"""What DuckDB may hold: with Python, Arrow and its own code less than 700 MB at the peak, however many the rows."""


class Deduplicator:
    """Collects rows, then gives back the last (or first) of each key.

    The last is the first by `order_by`, descending, nulls last. Among equals the row with the largest hash of its
    content is kept, so the choice does not depend on the order in which a database returned them. Rows with a null in
    their key are not duplicates of each other: all are kept, for validation to judge.

    Args:
        rule: keys and order, by our names.
        schema: of the rows.
        settings: what DuckDB may take.
    """

    def __init__(self, rule: Deduplicate, schema: pa.Schema, settings: DuckDBSettings | None = None) -> None:
        self._rule, self._schema = rule, schema
        self._settings = settings or DuckDBSettings(memory_limit=MEMORY)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._rows = 0
        self._incomplete = False
        self._least: int | None = None
        self._greatest: int | None = None

    def __enter__(self) -> Self:
        """Make the temporary files."""
        import pyarrow as pa

        with ExitStack() as stack, spooling():
            self._folder = Path(stack.enter_context(scratch_folder("mlpipe-dedup-")))
            self._path = self._folder / "rows.arrow"
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._file = stack.enter_context(_file_to_write(self._path))
            self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary files."""
        with self._stack, suppress(OSError):  # what waits to be written finds no room either
            self._close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
            self._waiting_bytes += batch.nbytes
            if self._waiting_rows >= BATCH_ROWS or self._waiting_bytes >= BATCH_BYTES:
                self._flush()

    def _flush(self) -> None:
        """Write what waits: few large batches cost a fraction of many small ones."""
        import pyarrow as pa

        if not self._waiting:
            return
        with spooling():
            for batch in pa.Table.from_batches(self._waiting).combine_chunks().to_batches():
                self._writer.write_batch(batch)
                self._look_at(batch)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def _look_at(self, batch: pa.RecordBatch) -> None:
        """Note what the query depends on: whether a key of any row is null, and the ends of what orders them."""
        import pyarrow.compute as pc

        self._rows += batch.num_rows
        self._incomplete = self._incomplete or any(batch.column(name).null_count for name in self._rule.keys)
        if self._is_ranked() and self._rule.order_by:
            ends = pc.min_max(_comparable(batch.column(self._rule.order_by[0]))).as_py()
            if ends["min"] is not None:
                self._least = ends["min"] if self._least is None else min(self._least, ends["min"])
                self._greatest = ends["max"] if self._greatest is None else max(self._greatest, ends["max"])

    def kept(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows to keep, in the order in which they came."""
        self._flush()
        with spooling():
            self._close()
        if not self._rows:
            return
        winners = self._winners()
        with _arrow_file(self._path) as batches:
            start = 0
            for batch in batches:
                here = winners.slice(start, batch.num_rows)
                start += batch.num_rows
                if here.true_count == batch.num_rows:
                    yield batch
                elif here.true_count:
                    yield batch.filter(here)

    def _close(self) -> None:
        with closing(self._file):
            if not self._file.closed:
                self._writer.close()

    def _winners(self) -> pa.BooleanArray:
        """Return for each row whether it is kept."""
        import numpy as np
        import pyarrow as pa

        bits = np.zeros(self._rows // 8 + 1, np.uint8)
        pa.default_memory_pool().release_unused()
        with spooling(), _spilling(), _arrow_file(self._path) as batches, DuckDBEngine.open(self._settings) as engine:
            engine.connection.register("spooled", _numbered(batches))
            for found in engine.connection.sql(self._query()).to_arrow_reader(ROWS_AT_A_TIME):
                positions = found.column(0).to_numpy()
                np.bitwise_or.at(bits, positions >> 3, np.left_shift(1, positions & 7).astype(np.uint8))
        return pa.Array.from_buffers(pa.bool_(), self._rows, [None, pa.py_buffer(bits)])

    def _query(self) -> str:
        """Return the query for the positions of the rows to keep; it reads the rows once."""
        keys = [self._column(name) for name in self._rule.keys]
        order = [self._column(name) for name in self._rule.order_by]
        everything = ", ".join(_column(position) for position in range(len(self._schema)))
        rows = f"(SELECT *, hash({everything}) AS content FROM spooled)"  # noqa: S608 - the names are ours
        if self._incomplete:  # such a row is a group of its own
            keys.append(f"CASE WHEN {' OR '.join(f'{key} IS NULL' for key in keys)} THEN position END")
        if self._is_ranked():
            # One number per row that decides alone: an aggregate takes half of the CPU of a window.
            rank, last = self._rank(order), self._rows - 1
            best = f"({last} - (max({rank}) & {2 ** last.bit_length() - 1})::BIGINT) AS position"
            return f"SELECT {best} FROM {rows} GROUP BY {', '.join(keys)}"  # noqa: S608
        way = "DESC" if self._rule.keep == "latest" else "ASC"
        ordered = [*(f"{name} {way} NULLS LAST" for name in order), "content DESC", "position"]
        return f"""
            SELECT position FROM {rows}
            QUALIFY row_number() OVER (PARTITION BY {", ".join(keys)} ORDER BY {", ".join(ordered)}) = 1"""  # noqa: S608

    def _column(self, name: str) -> str:
        return _column(self._schema.get_field_index(name))

    def _is_ranked(self) -> bool:
        """Whether the order is by at most one column, of integers of at most 64 bits."""
        import pyarrow as pa

        kinds = [self._schema.field(name).type for name in self._rule.order_by]
        return len(kinds) < 2 and all(
            pa.types.is_integer(kind) or (pa.types.is_temporal(kind) and _comparable(pa.nulls(0, kind)).type != kind)
            for kind in kinds
        )

    def _rank(self, order: Sequence[str]) -> str:
        """Return a number of 127 bits, the greatest for the row to keep.

        Its upper bits are the place in the order, from 1 on, 0 for null; its lowest the position, the first the
        greatest; those between as much of the hash as there is room for, 64 bits unless times are centuries apart.
        """
        last, place, room = self._rows - 1, "0", 127 - (self._rows - 1).bit_length()
        if order and self._least is not None and self._greatest is not None:
            latest = self._rule.keep == "latest"
            least, greatest = f"({self._least})::HUGEINT", f"({self._greatest})::HUGEINT"
            ascending = f"{order[0]}::HUGEINT - {least}" if latest else f"{greatest} - {order[0]}::HUGEINT"
            place = f"coalesce({ascending} + 1, 0)"
            room -= (self._greatest - self._least + 1).bit_length()
        used = min(64, room)
        content = f"(content >> {64 - used})::HUGEINT"
        below = 2 ** last.bit_length()
        return f"{place}::HUGEINT * {2**used * below}::HUGEINT + {content} * {below}::HUGEINT + ({last} - position)"


@contextmanager
def _file_to_write(path: Path) -> Iterator[Any]:
    """Open a file that is closed also where its writer cannot write its last bytes."""
    import pyarrow as pa

    file = pa.OSFile(str(path), "wb")
    try:
        yield file
    finally:
        file.close()


@contextmanager
def _spilling() -> Iterator[None]:
    """Say of DuckDB's memory and files that there is no room for more."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise no_room(error) from error


@contextmanager
def _arrow_file(path: Path) -> Iterator[Any]:
    """Open a file of batches; not by its name, as then it is mapped, and what was read of it counts as memory."""
    import pyarrow as pa

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        yield batches


def _numbered(batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return all rows in forms that DuckDB compares as Arrow does, with their positions."""
    import numpy as np
    import pyarrow as pa

    kinds = [_comparable(pa.nulls(0, kind)).type for kind in batches.schema.types]
    names = [f"c{position}" for position in range(len(kinds))]
    schema = pa.schema([*zip(names, kinds, strict=True), ("position", pa.int64())])

    def numbered() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in batches:
            end = start + batch.num_rows
            columns = [*(_comparable(column) for column in batch.columns), pa.array(np.arange(start, end))]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
            start = end

    return pa.RecordBatchReader.from_batches(schema, numbered())


def _column(position: int) -> str:
    return quote(f"c{position}")


def _comparable(column: pa.Array) -> pa.Array:
    """Return a column in a type that DuckDB compares as Arrow does: it would round 256-bit decimals and nanoseconds."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind):
        return column.view(pa.int64())
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.view(pa.int32())
    if pa.types.is_decimal256(kind):
        return _sortable(column)
    if pa.types.is_decimal(kind) and kind.bit_width < 128:
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    return column


def _sortable(column: pa.Array) -> pa.Array:
    """Return 256-bit decimals as bytes that sort like the numbers: big-endian, negative ones first."""
    import numpy as np
    import pyarrow as pa

    begin, count = column.offset, len(column)
    raw = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, 32)[begin : begin + count, ::-1].copy()
    raw[:, 0] ^= 0x80
    return (
        pa.array(
            [None if null else row.tobytes() for null, row in zip(column.is_null(), raw, strict=True)], pa.binary(32)
        )
        if column.null_count
        else pa.Array.from_buffers(pa.binary(32), count, [None, pa.py_buffer(raw.tobytes())])
    )
