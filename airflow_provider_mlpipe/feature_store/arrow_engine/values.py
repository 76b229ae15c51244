"""A column to serialised ``feast.types.Value`` messages, byte for byte as Feast's engine makes them.

Where each fact is from, in Feast 0.67:

* Field numbers and kinds: ``protos/feast/types/Value_pb2`` (read from its descriptor below, not copied).
* Null, and NaN in a column of numbers: an empty message (``type_map._convert_scalar_values_to_proto``, which asks
  ``pandas.isnull``); so ``Value`` itself has no bytes.
* Zero, false and empty text have bytes: the fields are members of a ``oneof``, which are written when set.
* Times: whole seconds, rounded down (``type_map._python_datetime_to_int_timestamp``, by NumPy's conversion); null is
  the smallest 64-bit number, because a null time arrives there as NaT, not as None.
* Nulls within lists: false, "", or NaN (``type_map._LIST_NONE_DEFAULTS``, after pandas has made NaN of a null number);
  NaN within lists: the one that NumPy writes, whatever its bits were, because pandas takes it for a null on the way.
* Lists of numbers are packed, lists of text and bytes are not; an empty list has no field inside (protobuf, proto3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from feast.protos.feast.types.Value_pb2 import Value
from feast.value_type import ValueType

from airflow_provider_mlpipe.feature_store.arrow_engine.wire import delimited, fixed, grouped, select, varints

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["encoded", "is_known"]

_SMALL_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16())

_ARROW: dict[ValueType, Callable[[pa.DataType], bool]] = {
    ValueType.FLOAT: kinds.is_float32,
    ValueType.DOUBLE: kinds.is_float64,
    ValueType.INT32: lambda kind: kind in _SMALL_INTEGERS,
    ValueType.INT64: lambda kind: kinds.is_integer(kind) and kind != pa.uint64(),
    ValueType.BOOL: kinds.is_boolean,
    ValueType.STRING: lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind),
    ValueType.BYTES: lambda kind: kinds.is_binary(kind) or kinds.is_large_binary(kind),
    ValueType.UNIX_TIMESTAMP: kinds.is_timestamp,
}
"""The Arrow types that a declared type may come as; others Feast converts, refuses or rounds in ways of its own."""

_ITEMS = {
    ValueType.FLOAT_LIST: ValueType.FLOAT,
    ValueType.DOUBLE_LIST: ValueType.DOUBLE,
    ValueType.INT32_LIST: ValueType.INT32,
    ValueType.INT64_LIST: ValueType.INT64,
    ValueType.BOOL_LIST: ValueType.BOOL,
    ValueType.STRING_LIST: ValueType.STRING,
    ValueType.BYTES_LIST: ValueType.BYTES,
}

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types

_WIRE_TYPES = {
    ValueType.FLOAT: _FIXED32,
    ValueType.DOUBLE: _FIXED64,
    ValueType.STRING: _LENGTH,
    ValueType.BYTES: _LENGTH,
}

_ITEM_FIELD = bytes([1 << 3 | _LENGTH])
"""The only field of ``FloatList`` and its kin: number 1, packed or of text."""

NULL_TIME = np.iinfo(np.int64).min


def is_known(declared: ValueType, kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type, declared to Feast as that, are encoded here."""
    if declared in _ITEMS:
        is_list = kinds.is_list(kind) or kinds.is_large_list(kind)
        return is_list and _ARROW[_ITEMS[declared]](kind.value_type)
    return declared in _ARROW and _ARROW[declared](kind)


def encoded(array: pa.Array, declared: ValueType) -> pa.Array:
    """Return one serialised ``Value`` per element; no bytes at all for null and NaN.

    Args:
        array: a column, not chunked, for which `is_known`.
        declared: its type in Feast.
    """
    tag = _tag(declared)
    if declared in _ITEMS:
        return _where_valid(array, delimited(_lists(array, _ITEMS[declared]), tag))
    if declared in {ValueType.FLOAT, ValueType.DOUBLE}:
        numbers = array.to_numpy(zero_copy_only=False)  # nulls become NaN
        return select(~np.isnan(numbers), fixed(_behind(tag, _bytes_of(numbers))))
    if declared == ValueType.BOOL:
        return _where_valid(array, fixed(_behind(tag, _flags(array))))
    if declared in {ValueType.STRING, ValueType.BYTES}:
        return _where_valid(array, delimited(_bytes(array), tag))
    if declared == ValueType.UNIX_TIMESTAMP:
        return varints(seconds(array).view(np.uint64), tag)
    return _where_valid(array, varints(_unsigned(array), tag))


def seconds(array: pa.Array) -> npt.NDArray[np.int64]:
    """Return times as whole seconds since 1970, rounded down; the smallest number for null."""
    times = pc.cast(array, pa.timestamp(array.type.unit)).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = times.astype("datetime64[s]").astype(np.int64)
    return found


def _lists(array: pa.Array, item: ValueType) -> pa.Array:
    """Return the inside of ``FloatList`` and its kin."""
    counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy().astype(np.int64)
    items = array.flatten()
    if item in {ValueType.STRING, ValueType.BYTES}:
        return grouped(delimited(_bytes(items), _ITEM_FIELD), counts)
    packed = grouped(_packed(items, item), counts)
    return select(counts > 0, delimited(packed, _ITEM_FIELD))


def _packed(items: pa.Array, item: ValueType) -> pa.Array:
    if item == ValueType.BOOL:
        return fixed(_flags(items))
    if item in {ValueType.FLOAT, ValueType.DOUBLE}:
        numbers = items.to_numpy(zero_copy_only=False)
        return fixed(_bytes_of(np.where(np.isnan(numbers), numbers.dtype.type(np.nan), numbers)))
    return varints(_unsigned(items))


def _tag(declared: ValueType) -> bytes:
    """Return the bytes that precede a value of that type in ``Value``."""
    number = Value.DESCRIPTOR.fields_by_name[f"{declared.name.lower()}_val"].number
    wire_type = _LENGTH if declared in _ITEMS else _WIRE_TYPES.get(declared, _VARINT)
    tag: bytes = varints(np.array([number << 3 | wire_type], np.uint64))[0].as_py()
    return tag


def _behind(tag: bytes, matrix: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    found = np.empty((len(matrix), len(tag) + matrix.shape[1]), np.uint8)
    found[:, : len(tag)] = np.frombuffer(tag, np.uint8)
    found[:, len(tag) :] = matrix
    return found


def _bytes_of(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return each number's own bytes, lowest first, one number per row."""
    little = np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(len(numbers), numbers.dtype.itemsize)


def _flags(array: pa.Array) -> npt.NDArray[np.uint8]:
    flags: npt.NDArray[np.uint8] = (
        pc.fill_null(array, pa.scalar(value=False)).cast(pa.uint8()).to_numpy().reshape(-1, 1)
    )
    return flags


def _unsigned(array: pa.Array) -> npt.NDArray[np.uint64]:
    """Return whole numbers as protobuf sees them: negative ones as 64-bit numbers, of 32-bit fields too."""
    found: npt.NDArray[np.uint64] = pc.fill_null(array, 0).cast(pa.int64()).to_numpy().view(np.uint64)
    return found


def _bytes(array: pa.Array) -> pa.Array:
    return pc.fill_null(array.cast(pa.binary()), b"")


def _where_valid(source: pa.Array, result: pa.Array) -> pa.Array:
    return select(source.is_valid(), result) if source.null_count else result
