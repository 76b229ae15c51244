"""Keeping one row per key, whatever the number of rows, in bounded memory.

The rows go to a temporary file. DuckDB, which spills when its memory is full, looks at the keys and the order and
answers with the positions of the rows to keep; those are then streamed from the file. So the rows themselves never
pass through another type system.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from airflow_provider_mlpipe.engines.duckdb import DuckDBEngine, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Deduplicate
    from airflow_provider_mlpipe.engines.duckdb import DuckDBSettings

__all__ = ["Deduplicator"]

ROWS_AT_A_TIME = 65_536


class Deduplicator:
    """Collects rows, then gives back the last of each key.

    The last is the first by `order_by`, descending, nulls last. Among equals the row with the largest hash of its
    content is kept, so the choice does not depend on the order in which a database returned them. Rows with a null in
    their key are not duplicates of each other: all are kept, for validation to judge.

    Args:
        rule: keys and order, by our names.
        schema: of the rows.
        settings: what DuckDB may take.
    """

    def __init__(self, rule: Deduplicate, schema: pa.Schema, settings: DuckDBSettings | None = None) -> None:
        self._rule, self._schema, self._settings = rule, schema, settings

    def __enter__(self) -> Self:
        """Make the temporary file."""
        import pyarrow.parquet as pq

        self._folder = tempfile.TemporaryDirectory(prefix="mlpipe-dedup-")
        self._path = Path(self._folder.name) / "rows.parquet"
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="lz4", store_schema=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary file."""
        self._writer.close()
        self._folder.cleanup()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if batch.num_rows:
            self._writer.write_batch(batch)

    def kept(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows to keep, in the order in which they came."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._writer.close()
        with self._positions() as winners, pq.ParquetFile(self._path) as rows:
            start = 0
            pending = pa.array([], pa.int64())
            for batch in rows.iter_batches(batch_size=ROWS_AT_A_TIME):
                end = start + batch.num_rows
                while len(pending) == 0 or pending[-1].as_py() < end:
                    found = next(winners, None)
                    if found is None:
                        break
                    pending = pa.concat_arrays([pending, found.column(0).cast(pa.int64())])
                here = _below(pending, end)
                kept = batch.take(_shift(pending.slice(0, here), start))
                pending = pending.slice(here)
                start = end
                yield pa.RecordBatch.from_arrays(kept.columns, schema=self._schema)

    @contextmanager
    def _positions(self) -> Iterator[Iterator[pa.RecordBatch]]:
        """Give the positions of the rows to keep, ascending."""
        keys = [quote(name) for name in self._rule.keys]
        content = ", ".join(quote(name) for name in self._schema.names)
        order = [f"{quote(name)} DESC NULLS LAST" for name in self._rule.order_by]
        order += [f"hash({content}) DESC", "file_row_number"]
        sql = f"""
            SELECT file_row_number FROM read_parquet({literal(str(self._path))}, file_row_number = true)
            QUALIFY row_number() OVER (PARTITION BY {", ".join(keys)} ORDER BY {", ".join(order)}) = 1
                 OR {" OR ".join(f"{key} IS NULL" for key in keys)}
            ORDER BY file_row_number"""  # noqa: S608 - identifiers are quoted
        with DuckDBEngine.open(self._settings) as engine:
            yield iter(engine.connection.sql(sql).to_arrow_reader(ROWS_AT_A_TIME))


def _below(ascending: pa.Array, end: int) -> int:
    """Return how many of the ascending positions lie before `end`."""
    import pyarrow.compute as pc

    return int(pc.sum(pc.less(ascending, end)).as_py() or 0)


def _shift(positions: pa.Array, start: int) -> pa.Array:
    import pyarrow.compute as pc

    return pc.subtract(positions, start)
