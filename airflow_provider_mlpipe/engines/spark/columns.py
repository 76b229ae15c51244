"""Types: how a column of an artifact is read by Spark so that it means the same.

What Spark's parquet reader gets wrong or refuses is read in another form and put right by an expression: nanoseconds as
whole numbers, rounded to Spark's microseconds; a column of nulls without a type as nothing at all. What it cannot hold
(times of day, half floats, durations, decimals of more than 38 digits) is left out, so that a query that needs such a
column says that it is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Column", "columns_of", "quoted"]

_NANOSECONDS = (
    "timestamp_micros({0} div 1000 + CASE WHEN {0} % 1000 >= 500 THEN 1L WHEN {0} % 1000 <= -500 THEN -1L ELSE 0L END)"
)
"""Rounded half away from zero, as DuckDB rounds."""


@dataclass(frozen=True)
class Column:
    """One column as Spark reads it.

    Attributes:
        name: its name.
        stored: the type to read it as, in Spark's words; empty if it is not read at all.
        value: the expression that makes the value.
    """

    name: str
    stored: str
    value: str


def columns_of(schema: pa.Schema) -> tuple[list[Column], list[str]]:
    """Return the columns that Spark can hold, and the names of those that it cannot."""
    readable, left_out = [], []
    for item in schema:
        column = _column(item.name, item.type)
        if column is None:
            left_out.append(item.name)
        else:
            readable.append(column)
    return readable, left_out


def quoted(identifier: str) -> str:
    """Return an identifier as Spark's SQL writes it.

    >>> quoted("a`b")
    '`a``b`'
    """
    return "`" + identifier.replace("`", "``") + "`"


def _column(name: str, kind: pa.DataType) -> Column | None:
    import pyarrow as pa

    if pa.types.is_null(kind):
        return Column(name, "", "CAST(NULL AS VOID)")
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        value = _NANOSECONDS.format(quoted(name))
        return Column(name, "BIGINT", value if kind.tz else f"CAST({value} AS TIMESTAMP_NTZ)")
    stored = _stored(kind)
    return None if stored is None else Column(name, stored, quoted(name))


def _stored(kind: pa.DataType) -> str | None:
    """Return the type that Spark reads as it is; None if there is none."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _stored(kind.value_type)
    if pa.types.is_timestamp(kind):
        return None if kind.unit == "ns" else ("TIMESTAMP" if kind.tz else "TIMESTAMP_NTZ")
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})" if kind.precision <= 38 and kind.scale >= 0 else None
    if pa.types.is_nested(kind):
        return _nested(kind)
    simple = {
        "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT",
        "uint8": "SMALLINT", "uint16": "INT", "uint32": "BIGINT", "uint64": "DECIMAL(20, 0)",
        "float": "FLOAT", "double": "DOUBLE", "string": "STRING", "large_string": "STRING", "string_view": "STRING",
        "binary": "BINARY", "large_binary": "BINARY", "binary_view": "BINARY",
        "date32[day]": "DATE", "date64[ms]": "DATE",
    }  # fmt: skip
    return "BINARY" if pa.types.is_fixed_size_binary(kind) else simple.get(str(kind))


def _nested(kind: pa.DataType) -> str | None:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        fields = [(item.name, _stored(item.type)) for item in kind]
        if not fields or any(stored is None for _, stored in fields):
            return None
        return f"STRUCT<{', '.join(f'{quoted(name)}: {stored}' for name, stored in fields)}>"
    parts = [_stored(kind.key_type), _stored(kind.item_type)] if pa.types.is_map(kind) else [_stored(kind.value_type)]
    if any(part is None for part in parts):
        return None
    return f"{'MAP' if pa.types.is_map(kind) else 'ARRAY'}<{', '.join(map(str, parts))}>"
