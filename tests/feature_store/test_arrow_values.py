"""The Arrow engine's encoders against Feast's own, value by value, for whatever hypothesis thinks of.

A column goes to Feast's encoders the way it gets there in a materialisation: through pandas and back, twice.
"""

from __future__ import annotations

import math
import struct
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.feature_store.translation import quiet

with quiet():
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.infra.online_stores.helpers import extract_text_and_num
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.type_map import python_values_to_proto_values
    from feast.value_type import ValueType

    from airflow_provider_mlpipe.feature_store.arrow_engine import keys, sqlite_writer, values

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
BYTES = st.binary(min_size=1, max_size=150)  # of none, Feast makes one thing or another; they are left to it
FLOATS = st.floats(allow_subnormal=True)
FLOATS32 = st.floats(width=32)
MOMENTS = st.timedeltas(timedelta(days=-60_000), timedelta(days=80_000)).map(lambda since: EPOCH + since)


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


SCALARS: dict[str, tuple[ValueType, pa.DataType, st.SearchStrategy[Any]]] = {
    "float": (ValueType.FLOAT, pa.float32(), FLOATS32),
    "double": (ValueType.DOUBLE, pa.float64(), FLOATS),
    "int8": (ValueType.INT32, pa.int8(), integers(8)),
    "uint16": (ValueType.INT32, pa.uint16(), st.integers(0, 2**16 - 1)),
    "int32": (ValueType.INT32, pa.int32(), integers(32)),
    "uint32": (ValueType.INT64, pa.uint32(), st.integers(0, 2**32 - 1)),
    "int64": (ValueType.INT64, pa.int64(), st.integers(-(2**53), 2**53)),  # beyond, beside nulls, Feast rounds
    "bool": (ValueType.BOOL, pa.bool_(), st.booleans()),
    "text": (ValueType.STRING, pa.string(), TEXTS),
    "large_text": (ValueType.STRING, pa.large_string(), TEXTS),
    "bytes": (ValueType.BYTES, pa.binary(), BYTES),
    "seconds": (ValueType.UNIX_TIMESTAMP, pa.timestamp("s"), MOMENTS),
    "milliseconds": (ValueType.UNIX_TIMESTAMP, pa.timestamp("ms", "Asia/Kolkata"), MOMENTS),
    "microseconds": (ValueType.UNIX_TIMESTAMP, pa.timestamp("us", "UTC"), MOMENTS),
    "nanoseconds": (ValueType.UNIX_TIMESTAMP, pa.timestamp("ns"), MOMENTS),
}


def listed(name: str, kind: Callable[[pa.DataType], pa.DataType] = pa.list_, *, nulls: bool = True) -> Any:
    declared, item, strategy = SCALARS[name]
    items = strategy | st.none() if nulls else strategy
    return ValueType[f"{declared.name}_LIST"], kind(item), st.lists(items, max_size=20)


COLUMNS = {
    **SCALARS,
    "floats": listed("float"),
    "doubles": listed("double"),
    "int8s": listed("int8", nulls=False),  # with nulls, Feast refuses them
    "int32s": listed("int32", nulls=False),
    "int64s": (ValueType.INT64_LIST, pa.list_(pa.int64()), st.lists(integers(64), max_size=20)),
    "bools": listed("bool"),
    "texts": listed("text"),
    "large_texts": listed("large_text", pa.large_list),
    "byteses": (ValueType.BYTES_LIST, pa.list_(pa.binary()), st.lists(st.binary(max_size=9) | st.none(), max_size=9)),
}


def protos(array: pa.Array, declared: ValueType) -> list[Any]:
    """Return Feast's messages for a column."""
    table = pa.table({"value": array, "position": range(len(array))})
    for _ in range(2):
        frame = table.to_pandas().sort_values(by=["position"])
        table = pa.Table.from_pandas(frame)
    column = table.to_batches()[0].column("value")
    return list(python_values_to_proto_values(column.to_numpy(zero_copy_only=False), declared))


def column(kind: pa.DataType, items: list[Any]) -> pa.Array:
    """Return the items as the middle of a longer array, as batches are cut."""
    around = pa.array([items[0], *items, items[-1]], kind)
    return around.slice(1, len(items))


@pytest.mark.parametrize("name", COLUMNS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_values_are_encoded_as_feast_encodes_them(name: str, data: st.DataObject) -> None:
    declared, kind, strategy = COLUMNS[name]
    array = column(kind, data.draw(st.lists(strategy | st.none(), min_size=1, max_size=12)))
    assert values.is_known(declared, kind)
    assert values.encoded(array, declared).to_pylist() == [
        message.SerializeToString() for message in protos(array, declared)
    ]


@pytest.mark.parametrize("name", SCALARS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_values_are_printed_as_feast_prints_them(name: str, data: st.DataObject) -> None:
    declared, kind, strategy = SCALARS[name]
    array = column(kind, data.draw(st.lists(strategy | st.none(), min_size=1, max_size=12)))
    printed = [text for text, _ in zip(sqlite_writer._texts(array, declared), range(len(array)), strict=False)]
    assert printed == [extract_text_and_num(message, False)[0] for message in protos(array, declared)]


@pytest.mark.parametrize("size", range(0, 64, 7))
def test_whole_numbers_at_the_edges_of_a_byte(size: int) -> None:
    edges = [sign * 2**size + step for sign in (1, -1) for step in (-1, 0, 1)]
    array = pa.array([edge for edge in edges if -(2**63) <= edge < 2**63], pa.int64())
    expected = [message.SerializeToString() for message in protos(array, ValueType.INT64)]
    assert values.encoded(array, ValueType.INT64).to_pylist() == expected


def test_a_nan_within_a_list_loses_its_bits() -> None:
    """As in Feast, where pandas takes it for a null on the way."""
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0123))[0]
    array = pa.array([[odd, 1.0], [math.nan, None], None, []])
    expected = [message.SerializeToString() for message in protos(array, ValueType.DOUBLE_LIST)]
    assert values.encoded(array, ValueType.DOUBLE_LIST).to_pylist() == expected


KEY_COLUMNS = {
    "text": (ValueType.STRING, pa.string(), TEXTS),
    "int32": (ValueType.INT32, pa.int32(), integers(32)),
    "int64": (ValueType.INT64, pa.int64(), integers(64)),
}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), version=st.sampled_from(sorted(keys.VERSIONS)))
def test_entity_keys_are_encoded_as_feast_encodes_them(data: st.DataObject, version: int) -> None:
    """Of one column or several, whatever their names and order."""
    names = data.draw(st.lists(TEXTS.filter(bool), min_size=1, max_size=3, unique=True))
    kinds = {name: KEY_COLUMNS[data.draw(st.sampled_from(sorted(KEY_COLUMNS)))] for name in names}
    rows = data.draw(st.integers(1, 5))
    columns = {
        name: column(kind, data.draw(st.lists(strategy, min_size=rows, max_size=rows)))
        for name, (_, kind, strategy) in kinds.items()
    }
    declared = {name: kind for name, (kind, _, _) in kinds.items()}
    encoded = keys.encoded_keys(columns, declared, version=version, behind=b"project").to_pylist()
    messages = [python_values_to_proto_values(columns[name].to_pylist(), declared[name]) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # version 2 is deprecated
        assert encoded == [
            serialize_entity_key(EntityKey(join_keys=names, entity_values=row), version) + b"project"
            for row in zip(*messages, strict=True)
        ]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        (ValueType.DOUBLE, pa.float32()),
        (ValueType.FLOAT, pa.float64()),
        (ValueType.INT32, pa.int64()),
        (ValueType.INT64, pa.uint64()),
        (ValueType.STRING, pa.binary()),
        (ValueType.BYTES, pa.string()),
        (ValueType.UNIX_TIMESTAMP, pa.date32()),
        (ValueType.DOUBLE_LIST, pa.list_(pa.float32())),
        (ValueType.DOUBLE_LIST, pa.list_(pa.float64(), 3)),
        (ValueType.UNIX_TIMESTAMP_LIST, pa.list_(pa.timestamp("us"))),
        (ValueType.STRING_LIST, pa.string()),
        (ValueType.JSON, pa.string()),
        (ValueType.DECIMAL, pa.decimal128(9, 2)),
        (ValueType.STRING_SET, pa.list_(pa.string())),
    ],
)
def test_what_feast_converts_in_its_own_ways_is_not_known(declared: ValueType, kind: pa.DataType) -> None:
    assert not values.is_known(declared, kind)


def test_keys_that_the_room_does_not_accept_are_not_known() -> None:
    assert keys.is_known_key(ValueType.INT64, pa.uint32())
    assert not keys.is_known_key(ValueType.BYTES, pa.binary())
    assert not keys.is_known_key(ValueType.UNIX_TIMESTAMP, pa.timestamp("us"))
