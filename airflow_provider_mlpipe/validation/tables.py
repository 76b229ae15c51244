"""pandas frames as Arrow tables, with what pandas cannot say put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.writer import plain_batch, plain_schema
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.frame import MIXED

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    import pyarrow as pa

__all__ = ["arrow_table"]


def arrow_table(data: pd.DataFrame | pa.Table, whole: Collection[str] = ()) -> pa.Table:
    """Return `data` as an Arrow table without its index.

    NaN becomes null. A column of values of several types becomes text and is marked as mixed.

    Args:
        data: a DataFrame, or a table, which stays as it is.
        whole: columns that should hold integers. pandas turns an integer column with a missing value into floats, so
            such a float column is taken as integers if every value is whole.

    Raises:
        ConfigError: two columns have the same name.
    """
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return _plain(data)
    names = [str(name) for name in data.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError.invalid(
            where="data_frame", key=twice, problem="two columns have this name", hint="Rename one of them."
        )
    fields, columns = [], []
    for position, name in enumerate(names):
        array, metadata = _array(data.iloc[:, position])
        if name in whole:
            array = _as_integers(array)
        fields.append(pa.field(name, array.type, metadata=metadata))
        columns.append(array)
    if not columns:
        return pa.table({"": pa.nulls(len(data))}).select([])  # keeps the number of rows
    return _plain(pa.table(columns, schema=pa.schema(fields)))


def _plain(table: pa.Table) -> pa.Table:
    """Return the table without dictionaries and extension types, as an artifact would hold it."""
    import pyarrow as pa

    plain = plain_schema(table.schema)
    marked = pa.schema([field.with_metadata(given.metadata) for field, given in zip(plain, table.schema, strict=True)])
    batches = [plain_batch(batch) for batch in table.to_batches()]
    return pa.Table.from_batches(batches, schema=plain).cast(marked) if table.num_columns else table


def _array(series: Any) -> tuple[pa.Array, dict[bytes, bytes] | None]:  # noqa: ANN401 - a pandas Series of any type
    import pyarrow as pa

    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        texts = [None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)]
        return pa.array(texts, pa.string()), {MIXED: b"1"}
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array, None


def _as_integers(array: pa.Array) -> pa.Array:
    """Return a float array with nulls as integers if that changes no value."""
    import pyarrow as pa

    if not pa.types.is_floating(array.type) or not array.null_count or array.null_count == len(array):
        return array
    try:
        return array.cast(pa.int64(), safe=True)
    except pa.ArrowInvalid:
        return array
