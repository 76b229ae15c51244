"""Rows that a function of Python gives: ``ingest(..., rows=...)``, in every form, by the same contract as any source."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.items import tables_of
from tests.ingestion.support import counts, quarantined, read, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage

FUNCTION = {"type": "function"}
TWO = [{"id": 1, "name": "ann"}, {"id": 2, "name": "ben"}]


class Model:
    """What a client's library gives: an object that knows its fields."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self) -> dict[str, Any]:
        return self.fields


class Streamed:
    """Anything of another library that gives Arrow's C stream, such as a DataFrame of Polars or a relation of DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.Table.from_pylist(TWO).__arrow_c_stream__(requested_schema)


FORMS: dict[str, Callable[[], Any]] = {
    "a list of rows": lambda: TWO,
    "a generator of rows": lambda: iter(TWO),
    "pages": lambda: ([row] for row in TWO),
    "objects": lambda: [Model(**row) for row in TWO],
    "a table": lambda: pa.Table.from_pylist(TWO),
    "a batch": lambda: pa.RecordBatch.from_pylist(TWO),
    "batches": lambda: (pa.RecordBatch.from_pylist([row]) for row in TWO),
    "a reader": lambda: pa.Table.from_pylist(TWO).to_reader(max_chunksize=1),
    "a DataFrame": lambda: pd.DataFrame(TWO),
    "a DataFrame with an index": lambda: pd.DataFrame(TWO).set_index("id"),
    "DataFrames": lambda: (pd.DataFrame([row], index=[7]) for row in TWO),
    "another library's table": Streamed,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(root: Storage, form: str) -> None:
    artifact = read(FUNCTION, root, rows=FORMS[form]())

    assert rows(artifact) == TWO
    assert artifact.manifest.details["type"] == "function"


def test_types_keys_and_quarantine_are_those_of_any_source(root: Storage) -> None:
    source = FUNCTION | {
        "types": {"id": "int", "at": "timestamp"},
        "columns": {"at": "updated"},
        "required_columns": ["id"],
        "deduplicate": {"keys": ["id"], "order_by": ["at"]},
    }
    given = [
        {"id": "1", "updated": "2026-01-13T05:00:00Z"},
        {"id": 1, "updated": datetime(2026, 1, 13, 6, tzinfo=UTC)},
        {"id": "one", "updated": None},
        "no row",
    ]

    artifact = read(source, root, rows=given)

    assert rows(artifact) == [{"id": 1, "at": datetime(2026, 1, 13, 6, tzinfo=UTC)}]
    assert counts(artifact) == (4, 1, 2, 1)
    assert sorted(reason.split(":")[0] for reason, _ in quarantined(artifact)) == [
        "id",
        "record 4 is a str, not an object",
    ]


class Level(enum.Enum):
    HIGH = "high"


def test_values_of_other_libraries_are_what_they_are_in_python(root: Storage) -> None:
    row = {
        "integer": np.int64(5), "float": np.float32(0.5), "flag": np.bool_(True), "text": np.str_("x"),
        "time": np.datetime64("2026-01-13T05:00:00.000000009"), "stamp": pd.Timestamp("2026-01-13 05:00", tz="UTC"),
        "none": pd.NaT, "nothing": pd.NA, "level": Level.HIGH, "bytes": bytearray(b"x"),
        "list": (1, np.int64(2)), "object": MappingProxyType({"a": Level.HIGH}), "id": UUID(int=5), "path": PurePosixPath("/a"),
    }  # fmt: skip

    [found] = rows(read(FUNCTION, root, rows=[MappingProxyType(row)]))

    assert found == {
        "integer": 5, "float": 0.5, "flag": True, "text": "x",
        "time": datetime(2026, 1, 13, 5),  # noqa: DTZ001 - NumPy knows no zones
        "stamp": datetime(2026, 1, 13, 5, tzinfo=UTC),
        "none": None, "nothing": None, "level": "high", "bytes": b"x",
        "list": "[1,2]", "object": '{"a":"high"}', "id": str(UUID(int=5)), "path": "/a",
    }  # fmt: skip


def test_what_has_no_text_or_no_order_goes_to_the_quarantine(root: Storage) -> None:
    given = [{"id": 1, "x": {1, 2}}, {"id": 2, "x": object()}, {"id": 3, "x": {"y": {1}}}, {"id": 4, "x": "fine"}]

    artifact = read(FUNCTION, root, rows=given)

    assert rows(artifact) == [{"id": 4, "x": "fine"}]
    reasons = [reason for reason, _ in quarantined(artifact)]
    assert sorted(reason.partition(" is or holds ")[2].partition(" and ")[0] for reason in reasons) == [
        "a set, which has no order", "a set, which has no order", "an object of type object, which has no text",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([{1: 2}], "a record has the key 1, of type int; the names of columns are texts"),
        ([{"a": lambda: 1}], "among the values is something that is no data: .*lambda"),
        (pa.table({"a": pa.array([pa.MonthDayNano([1, 2, 3])])}), "parquet cannot hold 'a' .month_day_nano_interval."),
        (pa.table({"a": pa.array([{}], pa.struct([])), "b": [1]}), "parquet cannot hold 'a' .struct<>."),
    ],
)
def test_what_no_table_holds_is_an_error(root: Storage, given: Any, problem: str) -> None:
    with pytest.raises(SourceRejectedError, match=problem):
        read(FUNCTION, root, rows=given)


def test_a_window_cuts_what_the_function_gives(root: Storage) -> None:
    source = FUNCTION | {"incremental": {"cursor_column": "at", "window": "interval"}}
    times = [datetime(2026, 1, 13, hour, tzinfo=UTC) for hour in (1, 2, 23)] + [datetime(2026, 1, 14, 2, tzinfo=UTC)]

    artifact = read(source, root, rows=({"at": time} for time in times))

    assert [row["at"] for row in rows(artifact)] == times[1:3]


def test_no_rows_are_an_artifact_with_the_columns_that_were_named(root: Storage) -> None:
    artifact = read(FUNCTION | {"required_columns": ["id"]}, root, rows=[])
    empty = pa.table({"id": pa.array([], pa.int64())})
    of_table = read(FUNCTION, root, rows=empty.to_reader())

    assert (artifact.manifest.rows, artifact.schema.names) == (0, ["id"])
    assert (of_table.manifest.rows, of_table.schema) == (0, empty.schema)


def test_a_generator_is_read_as_it_yields(root: Storage) -> None:
    """Rows are handed on in batches: when a batch is full, the one before it is held by nobody."""
    import weakref

    class Row(dict[str, Any]):
        """A row that can be watched."""

    alive: weakref.WeakSet[Row] = weakref.WeakSet()
    most = 0

    def watched() -> Any:
        nonlocal most
        for number in range(5_000):
            row = Row(id=number)
            alive.add(row)
            most = max(most, len(alive))
            yield row
            del row

    # A set compares by equality, and rows are dictionaries: watch them by identity.
    Row.__hash__ = object.__hash__  # type: ignore[method-assign]
    Row.__eq__ = object.__eq__  # type: ignore[method-assign]
    artifact = read(FUNCTION | {"batch_size": 100}, root, rows=watched())

    assert artifact.manifest.rows == 5_000
    assert most <= 200


def test_an_error_of_the_function_is_raised_as_it_is_and_nothing_is_published(root: Storage) -> None:
    closed = []

    def broken() -> Any:
        try:
            yield TWO
            raise OSError("page 2 is gone") from ValueError("why")
        finally:
            closed.append(True)

    with pytest.raises(OSError, match=r"^page 2 is gone$") as raised:
        read(FUNCTION, root, rows=broken())
    assert isinstance(raised.value.__cause__, ValueError)
    assert closed
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/20260113T020000Z-20260114T020000Z")


def test_what_the_generator_holds_is_let_go_of_when_a_row_is_refused(root: Storage) -> None:
    closed = []

    def opened() -> Any:
        try:
            yield from ({"id": number} for number in range(1000))
        finally:
            closed.append(True)

    with pytest.raises(SourceRejectedError, match="no column 'key'"):
        read(FUNCTION | {"required_columns": ["key"]}, root, rows=opened())
    assert closed


@pytest.mark.parametrize(
    ("given", "source", "said"),
    [
        (None, FUNCTION, "nobody gave its rows"),
        ("users.csv", FUNCTION, "a str is no rows"),
        ({"id": 1}, FUNCTION, "a dict is no rows"),
        (3, FUNCTION, "a int is no rows"),
        (TWO, {"type": "file", "path": "x.csv"}, "type: file reads its rows by itself"),
    ],
)
def test_what_is_no_rows_is_refused(root: Storage, given: Any, source: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(source, root, rows=given)


def test_tables_and_records_do_not_mix(root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match="it yields tables and records"):
        read(FUNCTION, root, rows=iter([pa.Table.from_pylist(TWO), TWO[0]]))
    with pytest.raises(SourceRejectedError, match="a later table has other columns"):
        read(FUNCTION, root, rows=(pa.table({name: [1]}) for name in ("a", "b")))


def test_an_index_without_a_name_is_no_column() -> None:
    frame = pd.DataFrame({"v": [1, 2]}, index=["x", "y"])

    (plain,), (named,) = list(tables_of(frame)), list(tables_of(frame.rename_axis("key")))

    assert (plain.column_names, named.column_names) == (["v"], ["v", "key"])
