"""PostgreSQL's types: what the server is asked for so that nothing changes on the way, and what Arrow makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.duckdb import quote
from airflow_provider_mlpipe.ingestion.conversion import ColumnType, convert
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "checked", "column_of", "declared_type"]

_AS_IT_IS = frozenset(
    ["bool", "bytea", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name", "date", "time",
     "timestamp", "timestamptz"]
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of the result: its name, what the server is asked for, and its Arrow type."""

    name: str
    expression: str
    kind: pa.DataType


def column_of(field: pa.Field) -> Column:
    """Decide how one column of the result is asked for."""
    import pyarrow as pa

    name, quoted = field.name, quote(field.name)
    declared = declared_type(field)
    if declared in _AS_IT_IS:
        return Column(name, quoted, field.type)
    if declared == "oid":
        return Column(name, f"{quoted}::bigint AS {quoted}", pa.int64())
    if declared == "numeric" and (decimal := _decimal_type(field)):
        return Column(name, quoted, decimal)
    expression = f"to_json({quoted})::text" if declared.startswith("_") else f"{quoted}::text"
    return Column(name, f"{expression} AS {quoted}", pa.string())


def declared_type(field: pa.Field) -> str:
    """Return PostgreSQL's name of the type of a result's column; of a domain, that of what it is made of."""
    metadata = field.metadata or {}
    return str((metadata.get(b"POSTGRESQL:type") or metadata.get(b"ADBC:postgresql:typname") or b"").decode())


def _decimal_type(field: pa.Field) -> pa.DataType | None:
    """Return the decimal of a numeric(p, s), None if it has no such bounds."""
    import pyarrow as pa

    typmod = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1"))
    if typmod < 4:
        return None
    precision, scale = ((typmod - 4) >> 16) & 0xFFFF, (typmod - 4) & 0x7FF
    if scale > precision or precision > 76:  # scales may also be negative, which shows as a large one
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def checked(batch: pa.RecordBatch, columns: list[Column], schema: pa.Schema) -> Chunk:
    """Give a batch its exact types; rows with a value that these cannot hold are rejected."""
    import pyarrow as pa

    arrays = []
    bad: dict[int, str] = {}
    for column, array in zip(columns, batch.columns, strict=True):
        plain = array.storage if isinstance(array, pa.ExtensionArray) else array
        if pa.types.is_decimal(column.kind):
            plain, failures = _decimals(plain, column)
        else:
            failures = _unbounded_times(plain)
        arrays.append(plain)
        for position, reason in failures.items():
            bad.setdefault(position, f"{column.name}: {reason}")
    clean = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if not bad:
        return Chunk(clean)
    rejected = tuple(Rejected(reason, _row(batch, position)) for position, reason in sorted(bad.items()))
    return Chunk(clean.filter(pa.array([position not in bad for position in range(len(clean))])), rejected)


def _decimals(texts: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
    import pyarrow as pa

    try:
        return texts.cast(column.kind), {}
    except pa.ArrowInvalid:  # NaN, which numeric(p, s) may hold
        values = texts.to_pylist()
    good = convert([ColumnType(column.name, column.kind)], {column.name: values}, len(values))
    bad = {}
    for position, value in enumerate(values):
        if value is not None and not Decimal(value).is_finite():
            bad[position] = f"{value} does not fit as {column.kind}"
    if len(good.rejected) != len(bad):
        raise pa.ArrowInvalid(f"column {column.name!r}: {good.rejected[0].reason}")
    kept = [None if position in bad else Decimal(value) if value is not None else None
            for position, value in enumerate(values)]  # fmt: skip
    return pa.array(kept, column.kind), bad


_YEARS = "an infinite time, or one outside the years 1 to 9999"
_DAYS = (-719_162, 2_932_896)
_MICROSECONDS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The years 1 to 9999. Infinite times arrive as numbers far outside."""
_OF_A_DAY = (0, 86_399_999_999)


def _unbounded_times(array: pa.Array) -> dict[int, str]:
    """Return by position why a time cannot be one: its year, or the 24:00 that PostgreSQL has and Arrow has not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(array.type):
        (low, high), reason, number = _MICROSECONDS, _YEARS, pa.int64()
    elif pa.types.is_date32(array.type):
        (low, high), reason, number = _DAYS, _YEARS, pa.int32()
    elif pa.types.is_time64(array.type):
        (low, high), reason, number = _OF_A_DAY, "24:00:00 is no time of a day", pa.int64()
    else:
        return {}
    numbers = array.view(number)
    bounds = pc.min_max(numbers).as_py()
    # Two numbers to look at; and no Arrow value is made of a Python one here, for which pyarrow would import pandas.
    if bounds["min"] is None or (bounds["min"] >= low and bounds["max"] <= high):
        return {}
    outside = pc.or_(pc.less(numbers, low), pc.greater(numbers, high))
    return dict.fromkeys(pc.indices_nonzero(outside).to_pylist(), reason)


def _row(batch: pa.RecordBatch, position: int) -> dict[str, Any]:
    """Return one row as Python values; a time that Python cannot hold as the number that the server sent."""
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[position].as_py()
        except (OverflowError, ValueError):
            row[name] = f"unbounded ({column[position].value})"
    return row
