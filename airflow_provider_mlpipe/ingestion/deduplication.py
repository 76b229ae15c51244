"""Keeping one row per key, whatever the number of rows, in bounded memory.

The rows go to a temporary file as they are. Keys, order and a hash of each row's content go to another, in forms that
DuckDB compares exactly. DuckDB, which spills when its memory is full, answers with the positions of the rows to keep;
those are then streamed from the first file. So the rows themselves never pass through another type system.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, DuckDBSettings, literal, quote
from airflow_provider_mlpipe.engines.scratch import scratch_folder
from airflow_provider_mlpipe.ingestion.spooling import no_room, spooling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Deduplicate

__all__ = ["Deduplicator"]

ROWS_AT_A_TIME = 65_536
"""Positions to take from DuckDB at a time."""

BATCH_ROWS = 131_072
BATCH_BYTES = 32 * 1024 * 1024
"""What is written to the temporary files at a time, whichever is reached first: rows may be wide."""

MEMORY = "440MB"
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

    def __enter__(self) -> Self:
        """Make the temporary files."""
        import pyarrow as pa

        with ExitStack() as stack, spooling():
            self._folder = Path(stack.enter_context(scratch_folder("mlpipe-dedup-")))
            self._path = self._folder / "rows.arrow"
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._file = stack.enter_context(_file_to_write(self._path))
            self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)
            self._keys = _KeyFile(self._folder / "keys.parquet", self._rule)
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
                self._keys.write(batch)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def kept(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows to keep, in the order in which they came."""
        import pyarrow as pa

        self._flush()
        with spooling():
            self._close()
        if not self._keys.rows:
            return
        with self._positions() as winners, _arrow_file(self._path) as rows:
            start = 0
            pending = pa.array([], pa.int64())
            for batch in rows:
                end = start + batch.num_rows
                while len(pending) == 0 or pending[-1].as_py() < end:
                    found = next(winners, None)
                    if found is None:
                        break
                    pending = pa.concat_arrays([pending, found.column(0).cast(pa.int64())])
                here = _below(pending, end)
                positions = pending.slice(0, here)
                pending = pending.slice(here)
                if here == batch.num_rows:
                    yield batch
                elif here:
                    yield batch.take(_shift(positions, start))
                start = end

    def _close(self) -> None:
        with closing(self._keys), closing(self._file):
            if not self._file.closed:
                self._writer.close()

    @contextmanager
    def _positions(self) -> Iterator[Iterator[pa.RecordBatch]]:
        """Give the positions of the rows to keep, ascending."""
        import pyarrow as pa

        sql = self._query()
        path = self._folder / "positions.arrow"
        pa.default_memory_pool().release_unused()
        # By way of a file, so that DuckDB's memory is free again before the rows are read.
        with spooling(), _spilling(), DuckDBEngine.open(self._settings) as engine:
            found = engine.connection.sql(sql).to_arrow_reader(ROWS_AT_A_TIME)
            with pa.ipc.new_stream(str(path), found.schema) as file:
                for batch in found:
                    file.write_batch(batch)
        with _arrow_file(path) as positions:
            yield iter(positions)

    def _query(self) -> str:
        count = len(self._rule.keys)
        keys = [_column(position) for position in range(count)]
        order = [_column(count + position) for position in range(len(self._rule.order_by))]
        rows = f"read_parquet({literal(str(self._keys.path))}, file_row_number = true)"
        without = " OR ".join(f"{key} IS NULL" for key in keys)
        if len(order) < 2 and all(self._keys.is_whole(name) for name in order):
            # A number per row that decides alone: an aggregate takes 2/3 of the CPU of a window.
            best = f"arg_max(file_row_number, {self._rank(order)}) AS position"
            found = f"SELECT {best} FROM {rows} WHERE NOT ({without}) GROUP BY {', '.join(keys)}"  # noqa: S608
            others = f"UNION ALL SELECT file_row_number FROM {rows} WHERE {without}"  # noqa: S608
            return f"{found} {others if self._keys.incomplete else ''} ORDER BY position"
        way = "DESC" if self._rule.keep == "latest" else "ASC"
        ordered = [*(f"{name} {way} NULLS LAST" for name in order), "content DESC", "file_row_number"]
        return f"""
            SELECT file_row_number FROM {rows}
            QUALIFY row_number() OVER (PARTITION BY {", ".join(keys)} ORDER BY {", ".join(ordered)}) = 1 OR {without}
            ORDER BY file_row_number"""  # noqa: S608 - the names are ours

    def _rank(self, order: Sequence[str]) -> str:
        """Return a number of 128 bits, the greatest for the row to keep: the order above, 62 bits of the hash below."""
        content = "(content >> 2)::HUGEINT"
        if not order:
            return content
        sign = "" if self._rule.keep == "latest" else "-"
        null = f"-({2**64}::HUGEINT * {2**62}::HUGEINT)"  # below any integer of 64 bits in its place, whatever the sign
        return f"coalesce({sign}({order[0]}::HUGEINT) * {2**62}::HUGEINT, {null}) + {content}"


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


class _KeyFile:
    """What decides between rows, a row each, in the same order: keys, order, and a hash of the whole row.

    Attributes:
        path: where it is.
        rows: how many.
        incomplete: whether a key of any row is null.
    """

    def __init__(self, path: Path, rule: Deduplicate) -> None:
        import duckdb

        self.path, self.rows = path, 0
        self.incomplete = False
        self._names = [*rule.keys, *rule.order_by]
        self._key_count = len(rule.keys)
        self._connection: Any = duckdb.connect(config={"threads": 1})
        self._writer: Any = None
        self._schema: Any = None
        self._stack = ExitStack()

    def is_whole(self, column: str) -> bool:
        """Whether a column of the file holds integers of at most 64 bits."""
        import pyarrow as pa

        return bool(pa.types.is_integer(self._schema.field(column.strip('"')).type))

    def write(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [_comparable(column) for column in batch.columns]
        chosen = [columns[batch.schema.get_field_index(name)] for name in self._names]
        names = [f"c{position}" for position in range(len(chosen))]
        keys = pa.RecordBatch.from_arrays([*chosen, self._hashes(columns)], names=[*names, "content"])
        if self._writer is None:
            self._schema = keys.schema
            self._file = self._stack.enter_context(_file_to_write(self.path))
            self._writer = pq.ParquetWriter(
                self._file, keys.schema, compression="lz4", use_dictionary=False, write_statistics=False
            )
        self._writer.write_batch(keys)
        self.rows += keys.num_rows
        self.incomplete = self.incomplete or any(column.null_count for column in chosen[: self._key_count])

    def close(self) -> None:
        writer, self._writer = self._writer, None
        with closing(self._connection), self._stack:
            if writer is not None:
                writer.close()

    def _hashes(self, columns: Sequence[pa.Array]) -> pa.Array:
        import pyarrow as pa

        names = [f"c{position}" for position in range(len(columns))]
        self._connection.register("batch", pa.Table.from_arrays(list(columns), names=names))
        found = self._connection.sql(f"SELECT hash({', '.join(names)}) AS h FROM batch")  # noqa: S608 - names of ours
        hashes = found.to_arrow_table().column("h").combine_chunks()
        self._connection.unregister("batch")
        return hashes


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


def _below(ascending: pa.Array, end: int) -> int:
    """Return how many of the ascending positions lie before `end`."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.less(ascending, end)).as_py() or 0)


def _shift(positions: pa.Array, start: int) -> pa.Array:
    import pyarrow.compute as pc

    return pc.subtract(positions, start)
