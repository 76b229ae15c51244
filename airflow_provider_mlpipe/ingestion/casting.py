"""Columns in another type: a value that the type cannot hold exactly is reported, never changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import ColumnType, convert_one_by_one

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_type", "cast"]

_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


def arrow_type(word: str) -> pa.DataType:
    """Return the type that a word of the YAML stands for.

    >>> str(arrow_type("decimal(10,2)"))
    'decimal128(10, 2)'

    Raises:
        ValueError: it stands for none.
    """
    import pyarrow as pa

    known = {
        "string": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "binary": pa.binary(),
    }
    match = _DECIMAL.fullmatch(word)
    if match:
        precision, scale = int(match[1]), int(match[2])
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return known[word]


def cast(column: pa.Array, kind: pa.DataType) -> tuple[pa.Array, dict[int, str]]:
    """Return a column as `kind`, and by position why a value does not fit; such a value is null.

    Text is read as what it writes ("12.50" as a number, ISO 8601 as a time). Everything else has to come back the same
    from the new type: 1.0 is an int, 1.5 is not; a timestamp at midnight UTC is a date.
    """
    import pyarrow as pa

    if column.type == kind:
        return column, {}
    try:
        together = _exactly(column, kind)
    except pa.ArrowException:
        together = None
    if together is not None:
        return together, {}
    if pa.types.is_temporal(kind) or pa.types.is_nested(column.type) or not _is_text(column.type):
        return convert_one_by_one(ColumnType("", kind, text=pa.types.is_string(kind)), column.to_pylist())
    return _in_halves(column, kind)


def _exactly(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Cast as a whole; None if a value would not come back the same."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type) and not pa.types.is_nested(kind):
        return None
    if pa.types.is_temporal(kind) and not (_is_text(column.type) or pa.types.is_temporal(column.type)):
        return None  # a number says nothing of its unit
    if pa.types.is_decimal(column.type) and pa.types.is_floating(kind):
        return None  # Arrow's result may be the neighbour of the nearest float
    if pa.types.is_string(kind) and not _is_number(column.type):
        return None  # times in ISO 8601 and bytes refused: not as Arrow writes them
    result = column.cast(kind)
    if _is_text(column.type) or column.null_count == len(column):
        return result
    back = result.cast(column.type)
    same = pc.fill_null(pc.equal(back, column), fill_value=True)
    if pa.types.is_floating(column.type):
        same = pc.or_(same, pc.fill_null(pc.is_nan(column), fill_value=True))
        if not pa.types.is_floating(kind) and not pa.types.is_string(kind):
            same = pc.and_(same, pc.fill_null(pc.is_finite(column), fill_value=True))
    return result if pc.all(same, min_count=0).as_py() else None


def _in_halves(column: pa.Array, kind: pa.DataType, start: int = 0) -> tuple[pa.Array, dict[int, str]]:
    """Cast text, looking for what does not fit where it is: few bad values cost few steps."""
    import pyarrow as pa

    try:
        return column.cast(kind), {}
    except pa.ArrowException:
        if len(column) == 1:
            return pa.nulls(1, kind), {start: f"{column[0].as_py()!r} cannot be read as {kind}"[:200]}
    middle = len(column) // 2
    left, bad = _in_halves(column.slice(0, middle), kind, start)
    right, more = _in_halves(column.slice(middle), kind, start + middle)
    return pa.concat_arrays([left, right]), bad | more


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
