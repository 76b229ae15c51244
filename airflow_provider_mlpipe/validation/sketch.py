"""Rough pictures of columns for a report: a histogram of a bounded sample, the same one every time.

Up to `MAX_CELLS` values are read, from the beginnings of row groups spread over the data, whatever its size; rules
never rely on it. Where a rule compares a column with a reference, the report shows that rule's exact counts instead.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import MlpipeError
from airflow_provider_mlpipe.validation.frame import MAX_TEXT, logical_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["MAX_COLUMNS", "MAX_ROWS", "sketches"]

logger = logging.getLogger(__name__)

MAX_COLUMNS = 120
MAX_ROWS = 65_536
MAX_CELLS = 4_000_000
PLACES = 16
PLACES_IN_BUCKET = 4
"""Each place costs a request per column where the data is far away."""

BINS = 24
VALUES = 8
_NUMBERS = frozenset({"int", "float", "decimal"})
_TIMES = frozenset({"timestamp", "date"})
_WORDS = frozenset({"string", "bool"})


def sketches(artifact: Artifact, leave_out: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return by column how its values are distributed, roughly.

    Numbers and times: ``counts`` of bins of equal width, ``low`` and ``high`` of them. Texts that repeat: ``counts`` of
    the most frequent ``labels``. A column that does not repeat, or a nested one, has no picture.
    """
    import pyarrow as pa

    schema = artifact.schema
    kinds = {field.name: logical_type(field) for field in schema}
    drawn = _NUMBERS | _TIMES | _WORDS
    once = [name for name in kinds if schema.names.count(name) == 1] if len(kinds) < len(schema) else list(kinds)
    names = [name for name in once if kinds[name] in drawn and name not in leave_out][:MAX_COLUMNS]
    if not names or not artifact.manifest.rows:
        return {}
    try:
        sample = pa.Table.from_batches(_sample(artifact, names)).select(names)
        found = {name: _sketch(sample[name], kinds[name]) for name in names}
    except (OSError, pa.ArrowException, MlpipeError, ValueError):
        logger.debug("no pictures of %s", artifact.manifest.dataset, exc_info=True)
        return {}
    return {name: {**sketch, "rows": sample.num_rows} for name, sketch in found.items() if sketch}


def _sample(artifact: Artifact, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the beginnings of row groups that are spread evenly over the parts."""
    import pyarrow.parquet as pq

    local = artifact.place.is_local
    rows = min(MAX_ROWS, MAX_CELLS // len(names))
    parts = artifact.paths
    places = PLACES if local else PLACES_IN_BUCKET
    chosen = parts[:: max(1, -(-len(parts) // places))]
    per_part = max(1, places // len(chosen))
    for path in chosen:
        with (
            artifact.place.filesystem.open_input_file(path) as file,
            pq.ParquetFile(file, buffer_size=1 << 20 if local else 0, pre_buffer=not local) as parquet,
        ):
            groups = range(parquet.num_row_groups)
            some = groups[:: max(1, -(-len(groups) // per_part))]
            share = max(1, rows // (len(chosen) * max(1, len(some))))
            for group in some:
                batches = parquet.iter_batches(
                    batch_size=share, row_groups=[group], columns=list(names), use_threads=False
                )
                batch = next(iter(batches), None)
                if batch is not None:
                    yield batch


def _sketch(column: pa.ChunkedArray, kind: str) -> dict[str, Any] | None:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    column = column.drop_null()
    if not len(column):
        return None
    if kind in _WORDS:
        return _of_words(column)
    return _of_times(column) if kind in _TIMES else _of_numbers(column)


def _of_numbers(column: pa.ChunkedArray) -> dict[str, Any] | None:
    """Return bins between the 1st and the 99th percentile; what lies outside counts to the outer ones."""
    import numpy as np

    values = column.cast("float64", safe=False).to_numpy()
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = (float(edge) for edge in np.quantile(values, (0.01, 0.99)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        return None
    if high - low < BINS and bool((values == np.round(values)).all()):  # one bar per whole number
        low, high = float(np.floor(low)), float(np.ceil(high))
        counts = np.bincount((np.clip(values, low, high) - low).astype("int64"), minlength=int(high - low) + 1)
        return {"counts": [int(count) for count in counts], "low": low, "high": high}
    return {"counts": _counted(values, low, high), "low": low, "high": high}


def _of_times(column: pa.ChunkedArray) -> dict[str, Any]:
    import numpy as np

    micros = column.cast("timestamp[us]", safe=False).cast("int64").to_numpy()
    low, high = int(micros.min()), int(micros.max())
    ends = [str(np.datetime64(edge, "us").astype("datetime64[m]")) for edge in (low, high)]
    return {"counts": _counted(micros.astype("float64"), low, high), "low": ends[0], "high": ends[1]}


def _counted(values: Any, low: float, high: float) -> list[int]:  # noqa: ANN401 - a numpy array
    import numpy as np

    if low == high:
        return [len(values)]
    counts, _ = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high))
    return [int(count) for count in counts]


def _of_words(column: pa.ChunkedArray) -> dict[str, Any] | None:
    """Return the most frequent values, if they repeat at all."""
    import pyarrow.compute as pc

    counted = pc.value_counts(column)
    if len(counted) > max(len(column) / 2, VALUES):
        return None
    counts = counted.field("counts")
    order = pc.array_sort_indices(counts, order="descending")[:VALUES]
    top = counted.take(order)
    labels = [str(value)[:MAX_TEXT] for value in top.field("values").to_pylist()]
    listed = [int(count) for count in top.field("counts").to_pylist()]
    rest = len(column) - sum(listed)
    return {"counts": listed, "labels": labels, "rest": rest}
