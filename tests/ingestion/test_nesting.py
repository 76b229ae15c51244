"""Objects and lists inside records: as JSON text, as structs, flattened; from an API and from files alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from airflow_provider_mlpipe.errors import SourceRejectedError
from airflow_provider_mlpipe.ingestion.nesting import MOST_KEYS, MOST_LEVELS, Shape
from tests.ingestion.support import quarantined, read, rows
from tests.servers import json_api

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

RECORDS = [
    {"id": 1, "by": {"name": "Ann", "team": {"id": 7}}, "tags": ["x", "y"], "sizes": [{"w": 1}, {"h": 2.5}]},
    {"id": 2, "by": {"name": None, "age": 40}, "tags": [], "sizes": None},
    {"id": 3, "by": None, "sizes": []},
]


def from_api(records: list[Any], root: Storage, nested: str, tmp_path: Path) -> Artifact:
    with json_api({"/": {"items": records}}) as api:
        return read({"type": "api", "url": api.url, "data_key": "items", "nested": nested}, root)


def from_lines(records: list[Any], root: Storage, nested: str, tmp_path: Path) -> Artifact:
    file = tmp_path / "records.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    return read({"type": "file", "path": str(file), "nested": nested}, root)


def from_document(records: list[Any], root: Storage, nested: str, tmp_path: Path) -> Artifact:
    file = tmp_path / "records.json"
    file.write_text(json.dumps(records))
    return read({"type": "file", "path": str(file), "nested": nested}, root)


SOURCES = pytest.mark.parametrize("source", [from_api, from_lines, from_document])


@SOURCES
def test_structs_hold_what_all_records_have_in_common(source: Any, root: Storage, tmp_path: Path) -> None:
    artifact = source(RECORDS, root, "struct", tmp_path)
    assert {name: str(artifact.schema.field(name).type) for name in artifact.schema.names} == {
        "id": "int64",
        "by": "struct<name: string, team: struct<id: int64>, age: int64>",
        "tags": "list<item: string>",
        "sizes": "list<item: struct<w: int64, h: double>>",
    }
    assert rows(artifact) == [
        {"id": 1, "by": {"name": "Ann", "team": {"id": 7}, "age": None}, "tags": ["x", "y"],
         "sizes": [{"w": 1, "h": None}, {"w": None, "h": 2.5}]},
        {"id": 2, "by": {"name": None, "team": None, "age": 40}, "tags": [], "sizes": None},
        {"id": 3, "by": None, "tags": None, "sizes": []},
    ]  # fmt: skip


@SOURCES
def test_flattened_records_have_a_column_per_inner_key(source: Any, root: Storage, tmp_path: Path) -> None:
    artifact = source(RECORDS, root, "flatten", tmp_path)
    first = rows(artifact)[0]
    assert (first["by__name"], first["by__team__id"], first["tags"]) == ("Ann", 7, '["x","y"]')
    assert rows(artifact)[1]["by__age"] == 40
    with pytest.raises(SourceRejectedError, match="makes two columns 'a__b' of one record"):
        source([{"a": {"b": 1}, "a__b": 2}], root, "flatten", tmp_path)


@SOURCES
def test_json_text_is_the_default_way(source: Any, root: Storage, tmp_path: Path) -> None:
    artifact = source(RECORDS, root, "json", tmp_path)
    assert json.loads(rows(artifact)[0]["by"]) == {"name": "Ann", "team": {"id": 7}}


def test_what_has_no_common_shape_becomes_text_where_it_differs(root: Storage, tmp_path: Path) -> None:
    records = [{"a": {"x": 1, "y": [1]}, "b": {"c": {}}, "d": {"big": 2**70}, "e": [1]},
               {"a": {"x": "one", "y": {"z": 2}}, "b": {"c": {}}, "d": {"big": 1}, "e": {"k": 1}}]  # fmt: skip
    artifact = from_document(records, root, "struct", tmp_path)
    assert {name: str(artifact.schema.field(name).type) for name in artifact.schema.names} == {
        "a": "struct<x: string, y: string>", "b": "struct<c: string>", "d": "struct<big: string>", "e": "string",
    }  # fmt: skip
    assert rows(artifact)[0] == {"a": {"x": "1", "y": "[1]"}, "b": {"c": "{}"}, "d": {"big": str(2**70)}, "e": "[1]"}
    assert rows(artifact)[1]["a"] == {"x": "one", "y": '{"z":2}'}


def test_data_for_keys_and_bottomless_nesting_become_text() -> None:
    wide = Shape()
    wide.see([{f"k{number}": number} for number in range(MOST_KEYS + 1)])
    assert str(wide.type()) == "string"
    assert wide.fit({"k1": 1}) == '{"k1":1}'
    deep: Any = 1
    for _ in range(MOST_LEVELS + 50):
        deep = {"a": deep}
    bottomless = Shape()
    bottomless.see([deep])
    assert str(bottomless.type()).count("struct") == MOST_LEVELS
    bottomless.fit(deep)


def test_a_value_that_its_struct_cannot_hold_is_quarantined_not_changed(root: Storage, tmp_path: Path) -> None:
    records = [{"a": {"x": 0.5}}, {"a": {"x": 2**53 + 1}}]
    artifact = from_document(records, root, "struct", tmp_path)
    assert rows(artifact) == [{"a": {"x": 0.5}}]
    [(reason, row)] = quarantined(artifact)
    assert reason.startswith("a: {'x': 9007199254740993} cannot be held as struct")
    assert row == {"a": {"x": 2**53 + 1}}


@SOURCES
@pytest.mark.parametrize("nested", ["json", "struct"])
def test_integers_of_any_length_stay_exact(source: Any, root: Storage, tmp_path: Path, nested: str) -> None:
    long = 123456789012345678901
    [row] = rows(source([{"id": long, "inner": {"id": long}, "many": [2**64, long]}], root, nested, tmp_path))
    assert row["id"] == str(long)
    inner = row["inner"] if nested == "struct" else json.loads(row["inner"])
    many = row["many"] if nested == "struct" else json.loads(row["many"])
    assert (str(inner["id"]), [*map(str, many)]) == (str(long), [str(2**64), str(long)])


json_values = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.text(max_size=4),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text("abc", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(some.lists(json_values, min_size=1, max_size=6))
def test_every_value_fits_the_shape_of_all(values: list[Any]) -> None:
    import pyarrow as pa

    shape = Shape()
    shape.see(values)
    try:
        fitted = [shape.fit(value) for value in values]
    except UnicodeEncodeError:
        return  # a lone surrogate: quarantined, as everywhere
    array = pa.array(fitted, shape.type())
    assert array.null_count == values.count(None)
    assert array.to_pylist() == fitted
