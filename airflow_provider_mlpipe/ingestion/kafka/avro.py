"""From an Avro schema to columns: every type exactly, or as text where Arrow has none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

__all__ = ["columns_of", "nested_text"]

Fit = "Callable[[Any], Any] | None"
MOST_LEVELS = 32


def columns_of(schema: Any, *, nested: str) -> list[ColumnType]:  # noqa: ANN401 - what fastavro has parsed
    """Return a column per field of a record; one column ``value`` for a schema that is none.

    Args:
        schema: as `fastavro.parse_schema` gives it.
        nested: ``struct``, ``json`` or ``flatten``: what becomes of records, arrays and maps inside.
    """
    named: dict[str, Any] = {}
    _collect(schema, named)
    if not (isinstance(schema, dict) and schema.get("type") == "record"):
        return [_column("value", schema, named, nested)]
    columns: list[ColumnType] = []
    for item in schema["fields"]:
        columns += _field(item["name"], item["type"], named, nested, 0)
    return columns


def _field(name: str, schema: Any, named: Mapping[str, Any], nested: str, level: int) -> list[ColumnType]:  # noqa: ANN401
    inner = _resolved(_only(schema), named)
    is_record = isinstance(inner, dict) and inner.get("type") == "record"
    if nested != "flatten" or not is_record or level >= MOST_LEVELS:
        return [_column(name, schema, named, nested)]
    return [
        column
        for item in inner["fields"]
        for column in _field(f"{name}__{item['name']}", item["type"], named, nested, level + 1)
    ]


def _column(name: str, schema: Any, named: Mapping[str, Any], nested: str) -> ColumnType:  # noqa: ANN401
    import pyarrow as pa

    kind, fit = _kind(schema, named, 0)
    if pa.types.is_nested(kind) and nested != "struct":
        return ColumnType(name, pa.string(), fit=nested_text)
    return ColumnType(name, kind, fit=fit)


def nested_text(value: Any) -> str | None:  # noqa: ANN401 - any value
    """Return a value as JSON text; bytes as hexadecimal digits."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _collect(schema: Any, named: dict[str, Any]) -> None:  # noqa: ANN401
    """Note every named type."""
    if isinstance(schema, list):
        for each in schema:
            _collect(each, named)
    elif isinstance(schema, dict):
        if "name" in schema and schema.get("type") in {"record", "enum", "fixed", "error"}:
            named[schema["name"]] = schema
        for each in schema.get("fields", ()):
            _collect(each["type"], named)
        for key in ("items", "values"):
            if key in schema:
                _collect(schema[key], named)
        if isinstance(schema.get("type"), (dict, list)):
            _collect(schema["type"], named)


def _only(schema: Any) -> Any:  # noqa: ANN401
    """Return what stands beside null in a union of two."""
    if not isinstance(schema, list):
        return schema
    others = [each for each in schema if each != "null"]
    return others[0] if len(others) == 1 else schema


def _resolved(schema: Any, named: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return named.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any, named: Mapping[str, Any], level: int) -> tuple[pa.DataType, Any]:  # noqa: ANN401
    """Return the Arrow type, and what makes a value of fastavro's one that it takes."""
    import pyarrow as pa

    schema = _resolved(_only(schema), named)
    if isinstance(schema, list) or level > MOST_LEVELS:  # a real union, or a type that holds itself
        return pa.string(), nested_text
    if isinstance(schema, str):
        schema = {"type": schema}
    if isinstance(schema["type"], (dict, list)):
        return _kind(schema["type"], named, level)
    logical = _logical(schema)
    if logical is not None:
        return logical
    nested: dict[str, Callable[[Any, Mapping[str, Any], int], tuple[pa.DataType, Any]]] = {
        "record": _record, "array": _array, "map": _map
    }  # fmt: skip
    if schema["type"] in nested:
        return nested[schema["type"]](schema, named, level + 1)
    kinds = {
        "null": pa.null(), "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float64(),
        "double": pa.float64(), "bytes": pa.binary(), "fixed": pa.binary(), "string": pa.string(), "enum": pa.string(),
    }  # fmt: skip
    return kinds.get(schema["type"], pa.string()), None


def _logical(schema: Mapping[str, Any]) -> tuple[pa.DataType, Any] | None:
    import pyarrow as pa

    name = schema.get("logicalType")
    if name == "decimal":
        precision, scale = schema["precision"], schema.get("scale", 0)
        kind = pa.decimal128 if precision <= 38 else pa.decimal256
        return (kind(precision, scale), None) if precision <= 76 else (pa.string(), str)
    kinds = {
        "date": pa.date32(), "time-millis": pa.time64("us"), "time-micros": pa.time64("us"),
        "timestamp-millis": pa.timestamp("us", "UTC"), "timestamp-micros": pa.timestamp("us", "UTC"),
        "local-timestamp-millis": pa.timestamp("us"), "local-timestamp-micros": pa.timestamp("us"),
    }  # fmt: skip
    if name == "uuid" and schema["type"] == "string":
        return pa.string(), str
    return (kinds[name], None) if name in kinds else None


def _record(schema: Mapping[str, Any], named: Mapping[str, Any], level: int) -> tuple[pa.DataType, Any]:
    import pyarrow as pa

    parts = {item["name"]: _kind(item["type"], named, level) for item in schema["fields"]}
    kind = pa.struct([pa.field(name, inner) for name, (inner, _) in parts.items()])
    return kind, lambda value: {name: _fitted(fit, value.get(name)) for name, (_, fit) in parts.items()}


def _array(schema: Mapping[str, Any], named: Mapping[str, Any], level: int) -> tuple[pa.DataType, Any]:
    import pyarrow as pa

    kind, fit = _kind(schema["items"], named, level)
    return pa.list_(kind), lambda value: [_fitted(fit, item) for item in value]


def _map(schema: Mapping[str, Any], named: Mapping[str, Any], level: int) -> tuple[pa.DataType, Any]:
    import pyarrow as pa

    kind, fit = _kind(schema["values"], named, level)
    return pa.map_(pa.string(), kind), lambda value: [(key, _fitted(fit, item)) for key, item in value.items()]


def _fitted(fit: Any, value: Any) -> Any:  # noqa: ANN401
    return value if fit is None or value is None else fit(value)
