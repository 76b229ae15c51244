"""Two streams of rows in one order, put side by side however they are cut into batches.

The labels' columns do not go through the join: they come from where they are, untouched, whatever their types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["beside"]


def beside(
    left: Iterator[pa.RecordBatch], right: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield rows of `left` with those of `right` beside them, however the two are cut into batches."""
    waiting: pa.RecordBatch | None = None
    for batch in left:
        start = 0
        while start < batch.num_rows:
            while waiting is None or waiting.num_rows == 0:
                waiting = next(right, None)
                if waiting is None:
                    return  # fewer rows than labels: the proof says so
            count = min(batch.num_rows - start, waiting.num_rows)
            columns = [*batch.slice(start, count).columns, *waiting.slice(0, count).columns]
            yield _cast(columns, schema)
            waiting, start = waiting.slice(count), start + count
    while waiting is not None:
        if waiting.num_rows:
            raise FeatureError.because(
                where="training set", feature="point-in-time join", problem="more rows came out than there are labels"
            )
        waiting = next(right, None)


def _cast(columns: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    typed = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(typed, schema=schema)
