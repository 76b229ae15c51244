"""Labels and what was found for them, put side by side by the labels' numbers, however the streams are cut.

The labels' columns do not go through the join: they come from where they are, untouched, whatever their types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["Found", "beside"]


class Found:
    """The rows that one view has for some of the labels.

    Args:
        rows: batches of number and features, in the order of the numbers, none twice.
        kinds: the features' types.
    """

    def __init__(self, rows: Iterator[pa.RecordBatch], kinds: Sequence[pa.DataType]) -> None:
        self._rows = rows
        self._kinds = kinds
        self._waiting: list[pa.RecordBatch] = []
        self.taken = 0

    def take(self, start: int, stop: int) -> list[Any]:
        """Return the features of labels [start, stop), null where there is no row."""
        import numpy as np
        import pyarrow as pa

        while not self._waiting or self._waiting[-1].column(0)[-1].as_py() < stop - 1:
            batch = next(self._rows, None)
            if batch is None:
                break
            if batch.num_rows:
                self._waiting.append(batch)
        if not self._waiting:
            return [pa.nulls(stop - start, kind) for kind in self._kinds]
        table = pa.Table.from_batches(self._waiting)
        numbers = table.column(0).to_numpy()
        count = int(np.searchsorted(numbers, stop))
        own = numbers[:count]
        if count and (own[0] < start or (np.diff(own) <= 0).any()):
            raise FeatureError.because(
                where="training set", feature="point-in-time join", problem="a label got more than one row of a view"
            )
        rest = table.slice(count)
        self._waiting = rest.to_batches() if rest.num_rows else []
        self.taken += count
        places = np.full(stop - start, -1, dtype=np.int64)
        places[own - start] = np.arange(count)
        picked = table.slice(0, count).take(pa.array(places, mask=places < 0))
        return [_array(picked.column(position + 1), kind) for position, kind in enumerate(self._kinds)]

    def finish(self) -> int:
        """Return how many rows there were, all together."""
        return int(self.taken + sum(batch.num_rows for batch in (*self._waiting, *self._rows)))


def beside(labels: Iterator[pa.RecordBatch], found: Sequence[Found], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the labels with the features of each view beside them."""
    import pyarrow as pa

    start = 0
    for batch in labels:
        stop = start + batch.num_rows
        columns = [*batch.columns, *(column for view in found for column in view.take(start, stop))]
        typed = [c if c.type == f.type else c.cast(f.type) for c, f in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(typed, schema=schema)
        start = stop


def _array(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    one = column.combine_chunks()
    array = one if isinstance(one, pa.Array) else one.chunk(0)
    return array if array.type == kind else array.cast(kind)
