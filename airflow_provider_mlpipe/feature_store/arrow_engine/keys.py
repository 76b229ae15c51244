"""Key columns to Feast's serialised entity keys.

From ``infra/key_encoding_utils.serialize_entity_key`` of Feast 0.67. In version 3: the number of keys; for each, sorted
by name, the type of a name (text), its length, its bytes; then for each, in the same order, the value's type, its
length, its bytes. All numbers take four bytes, lowest first. Version 2 has neither the number of keys nor the names'
lengths. Redis' keys have the project's name behind (``online_stores/helpers._redis_key``).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.value_type import ValueType

from airflow_provider_mlpipe.feature_store.arrow_engine.values import is_known
from airflow_provider_mlpipe.feature_store.arrow_engine.wire import fixed, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_TYPES", "VERSIONS", "encoded_keys", "is_known_key"]

VERSIONS = frozenset({2, 3})
"""Of ``entity_key_serialization_version``, those that are encoded here."""

KEY_TYPES = frozenset({ValueType.STRING, ValueType.INT32, ValueType.INT64})

_NUMBERS = {ValueType.INT32: "<i4", ValueType.INT64: "<i8"}


def is_known_key(declared: ValueType, kind: pa.DataType) -> bool:
    """Whether key columns of this Arrow type, declared to Feast as that, are encoded here."""
    return declared in KEY_TYPES and is_known(declared, kind)


def encoded_keys(
    columns: Mapping[str, pa.Array], declared: Mapping[str, ValueType], *, version: int = 3, behind: bytes = b""
) -> pa.Array:
    """Return one serialised entity key per row.

    Args:
        columns: by name, without nulls, at least one; for which `is_known_key`.
        declared: their types in Feast.
        version: Feast's ``entity_key_serialization_version``.
        behind: bytes after each key.
    """
    names = sorted(columns)
    parts: list[pa.Array | pa.Scalar] = [pa.scalar(_names(names, version), pa.binary())]
    for name in names:
        parts += _values(columns[name], declared[name])
    return joined(*parts, pa.scalar(behind, pa.binary()))


def _names(names: list[str], version: int) -> bytes:
    found = struct.pack("<I", len(names)) if version > 2 else b""
    for name in names:
        text = name.encode()
        found += struct.pack("<I", ValueType.STRING.value)
        found += struct.pack("<I", len(text)) if version > 2 else b""
        found += text
    return found


def _values(column: pa.Array, declared: ValueType) -> list[pa.Array | pa.Scalar]:
    if declared == ValueType.STRING:
        text = column.cast(pa.binary())
        lengths = pc.binary_length(text).to_numpy().astype("<u4")
        kind = struct.pack("<I", declared.value)
        return [pa.scalar(kind, pa.binary()), fixed(lengths.view(np.uint8).reshape(-1, 4)), text]
    numbers = column.to_numpy().astype(_NUMBERS[declared])
    width = numbers.dtype.itemsize
    head = struct.pack("<II", declared.value, width)
    return [pa.scalar(head, pa.binary()), fixed(numbers.view(np.uint8).reshape(-1, width))]
