"""The same rows from every kind of source give the same artifact: the promises that all sources keep."""

from __future__ import annotations

import gzip
import itertools
import json
import sqlite3
from abc import ABC, abstractmethod
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion import database
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import DAY, counts, quarantined, read, rows
from tests.servers import Request, json_api, mysql_connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

NAMES = ("id", "name", "amount", "at")
Row = tuple[int | None, str | None, float | None, str | None]
NUMBER = itertools.count()

THREE: list[Row] = [
    (1, "Ann", 1.5, "2026-01-13 02:00:00"),
    (2, None, None, None),
    (3, "Zoë 日本 🚀 ' \" \\ %s :x ; --\n,", -0.25, "2026-01-14 01:59:59.999999"),
]


class Place(ABC):
    """Somewhere to put rows so that a source can read them."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> None:
        self.request, self.folder, self.stack = request, folder, stack

    @abstractmethod
    def source(self, content: list[Row]) -> dict[str, Any]:
        """Store `content` and return the configuration that reads it."""


class Sqlite(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        path = self.folder / "things.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE IF EXISTS things")
            connection.execute("CREATE TABLE things (id INTEGER, name TEXT, amount FLOAT, at TIMESTAMP)")
            connection.executemany("INSERT INTO things VALUES (?, ?, ?, ?)", content)
            connection.commit()
        return {"type": "database", "connection_string": f"sqlite:///{path}", "table": "things"}


class SqliteQuery(Sqlite):
    """No declared types: they are told from the values."""

    def source(self, content: list[Row]) -> dict[str, Any]:
        found = super().source(content)
        del found["table"]
        return found | {"query": "SELECT * FROM things -- all: of them"}


class Postgres(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        import psycopg

        uri = self.request.getfixturevalue("postgres")
        table = f"things_{next(NUMBER)}"
        with psycopg.connect(uri) as connection:
            connection.execute(f"CREATE TABLE {table} (id bigint, name text, amount float8, at timestamp)")
            connection.cursor().executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", content)
        return {"type": "database", "connection_string": uri, "table": table}


class PostgresCursor(Postgres):
    """As when the ADBC driver is not installed."""

    def source(self, content: list[Row]) -> dict[str, Any]:
        self.request.getfixturevalue("monkeypatch").setattr(database, "find_spec", lambda _: None)
        return super().source(content)


class Mariadb(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        uri = self.request.getfixturevalue("mariadb")
        table = f"things_{next(NUMBER)}"
        columns = "id bigint, name text, amount double, at datetime(6)"
        with closing(mysql_connection(uri)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} ({columns}) CHARACTER SET utf8mb4")
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", content)
        return {"type": "database", "connection_string": uri, "table": table}


class MariadbCursor(Mariadb):
    """As when connectorx is not installed."""

    def source(self, content: list[Row]) -> dict[str, Any]:
        from airflow_provider_mlpipe.ingestion.mysql import native

        self.request.getfixturevalue("monkeypatch").setattr(native, "available", lambda: False)
        return super().source(content)


class Api(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        def answer(request: Request) -> Any:
            start = int(request.query.get("cursor", "0"))
            some = [dict(zip(NAMES, row, strict=True)) for row in content[start : start + 40]]
            more = start + 40 < len(content)
            return {"result": {"items": some}, "next": str(start + 40) if more else None}

        api = self.stack.enter_context(json_api({"/things": answer}))
        return {
            "type": "api", "url": f"{api.url}/things", "data_key": "result.items", "next_key": "next",
            "next_param": "cursor",
        }  # fmt: skip


class JsonLines(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        path = self.folder / "things.jsonl.gz"
        with gzip.open(path, "wt") as file:
            file.writelines(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in content)
        return {"type": "file", "path": str(path)}


class Csv(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        def field(value: Any) -> str:
            return "" if value is None else '"' + str(value).replace('"', '""') + '"'

        path = self.folder / "things.csv"
        lines = [",".join(map(field, row)) for row in content]
        path.write_text("\n".join([",".join(NAMES), *lines]) + "\n")
        return {"type": "file", "path": str(path)}


class Parquet(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        pq.write_table(_table(content), self.folder / "things.parquet")
        return {"type": "file", "path": str(self.folder / "*.parquet")}


class S3(Place):
    """A folder in a bucket, in two files."""

    def source(self, content: list[Row]) -> dict[str, Any]:
        from airflow_provider_mlpipe.artifacts import Storage

        bucket = self.request.getfixturevalue("s3")
        place = Storage(f"{bucket.uri}/conformance-{next(NUMBER)}", bucket.options)
        half = len(content) // 2
        for number, some in enumerate((content[:half], content[half:])):
            sink = pa.BufferOutputStream()
            pq.write_table(_table(some), sink)
            place.replace(f"part-{number}.parquet", sink.getvalue().to_pybytes())
        return {"type": "file", "path": place.uri, "connection": bucket.options}


class DltRecords(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        pytest.importorskip("dlt", reason="no dlt: pip install 'airflow-provider-mlpipe[dlt]'")
        path = self.folder / "things.json"
        path.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in content]))
        return _dlt("content", path)


class DltTables(Place):
    def source(self, content: list[Row]) -> dict[str, Any]:
        pytest.importorskip("dlt", reason="no dlt: pip install 'airflow-provider-mlpipe[dlt]'")
        path = self.folder / "things.parquet"
        pq.write_table(_table(content), path)
        return _dlt("parquet", path)


def _dlt(name: str, path: Path) -> dict[str, Any]:
    return {"type": "dlt", "resource": f"tests.ingestion.dlt_resources:{name}", "arguments": {"path": str(path)}}


def _table(content: list[Row]) -> pa.Table:
    kinds = (pa.int64(), pa.string(), pa.float64(), pa.timestamp("us"))
    columns = list(zip(*content, strict=True)) if content else [[], [], [], []]
    values = [list(column) for column in columns]
    values[3] = [_time(value) for value in values[3]]
    return pa.table([pa.array(value, kind) for value, kind in zip(values, kinds, strict=True)], names=list(NAMES))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


DECLARED = (Sqlite, Postgres, PostgresCursor, Mariadb, MariadbCursor, Parquet, S3, DltTables)
TOLD = (SqliteQuery, Api, JsonLines, Csv, DltRecords)


@pytest.fixture(params=[*DECLARED, *TOLD], ids=lambda kind: kind.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield request.param(request, tmp_path, stack)


def take(source: dict[str, Any], root: Storage, run: Run = DAY, **keys: Any) -> Artifact:
    from airflow_provider_mlpipe.ingestion import Connection

    source = {**source, **keys}
    options = source.pop("connection", None)
    return read(source, root, run, connection=Connection(s3=options) if options else None)


def expected(content: list[Row]) -> list[dict[str, Any]]:
    return sorted((dict(zip(NAMES, (*row[:3], _time(row[3])), strict=True)) for row in content), key=repr)


def test_no_rows_still_give_an_artifact_with_its_schema(place: Place, root: Storage) -> None:
    artifact = take(place.source([]), root, required_columns=["id", "name"], batch_size=7)
    assert counts(artifact) == (0, 0, 0, 0)
    assert {"id", "name"} <= set(artifact.schema.names)
    if type(place) in DECLARED:
        assert [str(kind) for kind in artifact.schema.types] == ["int64", "string", "double", "timestamp[us]"]
    assert artifact.table().num_rows == 0


def test_one_row(place: Place, root: Storage) -> None:
    assert rows(take(place.source(THREE[:1]), root)) == expected(THREE[:1])


def test_nulls_unicode_and_microseconds_arrive_unchanged(place: Place, root: Storage) -> None:
    artifact = take(place.source(THREE), root)
    assert [str(kind) for kind in artifact.schema.types] == ["int64", "string", "double", "timestamp[us]"]
    assert rows(artifact) == expected(THREE)
    assert counts(artifact) == (3, 3, 0, 0)
    assert artifact.manifest.metrics["error_rate"] == 0
    assert artifact.manifest.metrics["bytes_processed"] > 0


def test_many_batches_and_a_second_run_give_the_same_content(place: Place, root: Storage) -> None:
    content: list[Row] = [
        (number, None if number % 7 == 0 else f"name {number}", number / 8, f"2026-01-13 03:{number % 60:02d}:00")
        for number in range(1, 252)
    ]
    source = place.source(content)
    seen: list[int] = []
    source_ = {**source, "batch_size": 50}
    options = source_.pop("connection", None)
    from airflow_provider_mlpipe.ingestion import Connection

    connection = Connection(s3=options) if options else None
    first = read(source_, root, progress=seen.append, connection=connection)
    assert rows(first) == expected(content)
    assert seen == sorted(seen)
    assert seen[-1] == 251
    again = take(source, root, Run(dag_id="tests", interval=DAY.interval, try_number=2), batch_size=33)
    assert again.uri == first.uri
    assert again.fingerprint == first.fingerprint
    assert rows(again) == expected(content)


def test_columns_are_mapped_and_added(place: Place, root: Storage) -> None:
    artifact = take(
        place.source(THREE), root, columns={"user_id": "id", "age": None}, required_columns=["user_id", "age"]
    )
    assert artifact.schema.names == ["user_id", "name", "amount", "at", "age"]
    assert {row["user_id"] for row in rows(artifact)} == {1, 2, 3}
    assert {row["age"] for row in rows(artifact)} == {None}


def test_a_missing_column_is_named_with_those_that_are_there(place: Place, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match=r"has no column 'amuont'. Did you mean 'amount'\? It has: id, name"):
        take(place.source(THREE), root, required_columns=["id", "amuont"])
    with pytest.raises(SourceRejectedError, match="has no column 'nome'. Did you mean 'name'"):
        take(place.source(THREE), root, columns={"label": "nome"})
    with pytest.raises(ConfigError, match="has a column of that name already"):
        take(place.source(THREE), root, columns={"name": "id"})


BOUNDARY: list[Row] = [
    (1, "before", 0.0, "2026-01-13 01:59:59.999999"),
    (2, "start", 0.0, "2026-01-13 02:00:00"),
    (3, "last", 0.0, "2026-01-14 01:59:59.999999"),
    (4, "end", 0.0, "2026-01-14 02:00:00"),
    (5, "never", 0.0, None),
    (6, "long ago", 0.0, "2025-01-01 00:00:00"),
]


@pytest.mark.parametrize(
    ("incremental", "wanted"),
    [
        ({}, {2, 3}),
        ({"window": "all"}, {1, 2, 3, 6}),
        ({"window": "2d"}, {1, 2, 3}),
        ({"on_null": "include"}, {2, 3, 5}),
    ],
)
def test_a_window_is_half_open(place: Place, root: Storage, incremental: dict[str, str], wanted: set[int]) -> None:
    artifact = take(place.source(BOUNDARY), root, incremental={"cursor_column": "at", **incremental})
    assert {row["id"] for row in rows(artifact)} == wanted
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)
    window = artifact.manifest.details["window"]
    assert window[1] == "2026-01-14T02:00:00+00:00"


def test_a_null_time_can_be_a_failure(place: Place, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match=r"1 of \d+ rows have no time"):
        take(place.source(BOUNDARY), root, incremental={"cursor_column": "at", "on_null": "fail"})


def test_the_latest_row_of_a_key_is_kept(place: Place, root: Storage) -> None:
    content: list[Row] = [
        (1, "old", 1.0, "2026-01-01 00:00:00"),
        (1, "new", 1.0, "2026-01-03 00:00:00"),
        (1, "undated", 9.0, None),
        (2, "only", 1.0, "2026-01-02 00:00:00"),
        (None, "no key", 1.0, None),
        (None, "no key either", 1.0, None),
    ]
    artifact = take(place.source(content), root, deduplicate={"keys": ["id"], "order_by": ["at"]})
    assert {row["name"] for row in rows(artifact)} == {"new", "only", "no key", "no key either"}
    assert counts(artifact) == (6, 4, 0, 2)
    assert quarantined(artifact) == []


def test_equal_rows_are_resolved_in_the_same_way_whatever_their_order(place: Place, root: Storage) -> None:
    content: list[Row] = [(1, f"name {number}", 1.0, "2026-01-01 00:00:00") for number in range(20)]
    rule = {"keys": ["id"], "order_by": ["at"]}
    first = take(place.source(content), root, deduplicate=rule)
    second = take(place.source(content[::-1]), root, deduplicate=rule)
    assert counts(first) == counts(second) == (20, 1, 0, 19)
    assert first.fingerprint == second.fingerprint
