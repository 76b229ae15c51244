"""Every kind of source, ready to be filled: what the conformance suite and the tests of faults read from.

A `Place` stores rows and returns the configuration that reads them. It may be filled again, with more rows after the
same first ones: what reads it then sees the rows of both times, as a table or topic that grows.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sqlite3
import uuid
from abc import ABC, abstractmethod
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.ingestion import Connection, ingest
from tests.ingestion.support import DAY
from tests.servers import Request, json_api, mysql_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, S3Options, Storage
    from airflow_provider_mlpipe.run import Run

__all__ = ["COLUMNS", "DECLARED", "NAMES", "PLACES", "TOLD", "Column", "Kafka", "Place", "Row", "expected", "take"]

Row = tuple[Any, ...]
NUMBER = itertools.count()


@dataclass(frozen=True)
class Column:
    """A column of a place; `kind` is ``id``, ``text``, ``number`` or ``time`` (as text in ISO format)."""

    name: str
    kind: str

    @property
    def arrow(self) -> pa.DataType:
        """What it has to arrive as."""
        return {"id": pa.int64(), "text": pa.string(), "number": pa.float64(), "time": pa.timestamp("us")}[self.kind]


COLUMNS = (Column("id", "id"), Column("name", "text"), Column("amount", "number"), Column("at", "time"))
NAMES = tuple(column.name for column in COLUMNS)


class Place(ABC):
    """Somewhere to put rows so that a source can read them.

    Attributes:
        server: which server has to be there, for the table of cells.
        absent: what to replace, and by what, so that a package seems not to be installed.
    """

    server: ClassVar[str] = ""
    absent: ClassVar[tuple[tuple[str, Any], ...]] = ()

    def __init__(self, request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> None:
        self.request, self.folder, self.stack = request, folder, stack
        self.hide(request.getfixturevalue("monkeypatch").setattr)

    @classmethod
    def hide(cls, replace: Callable[[str, Any], None]) -> None:
        """Make absent what has to be."""
        for name, stand_in in cls.absent:
            replace(name, stand_in)

    @abstractmethod
    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        """Store `content` and return the configuration that reads it."""


class Sqlite(Place):
    """A table, through SQLAlchemy."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        path = self.folder / "things.db"
        types = {"id": "INTEGER", "text": "TEXT", "number": "FLOAT", "time": "TIMESTAMP"}
        declared = ", ".join(f"{column.name} {types[column.kind]}" for column in columns)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE IF EXISTS things")
            connection.execute(f"CREATE TABLE things ({declared})")
            connection.executemany(f"INSERT INTO things VALUES ({', '.join('?' * len(columns))})", content)
            connection.commit()
        return {"type": "database", "connection_string": f"sqlite:///{path}", "table": "things"}


class SqliteQuery(Sqlite):
    """No declared types: they are told from the values."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        found = super().source(content, columns)
        del found["table"]
        return found | {"query": "SELECT * FROM things -- all: of them"}


class Driver(Sqlite):
    """Through a DB-API driver that the configuration names."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        import duckdb

        path = self.folder / "things.duckdb"
        types = {"id": "BIGINT", "text": "VARCHAR", "number": "DOUBLE", "time": "TIMESTAMP"}
        declared = ", ".join(f'"{column.name}" {types[column.kind]}' for column in columns)
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE things ({declared})")
            if content:
                connection.register("given", _table(content, columns))
                connection.execute("INSERT INTO things SELECT * FROM given")
        arguments = {"database": str(path), "read_only": True}
        return {"type": "database", "driver": "duckdb", "connect": arguments, "table": "things"}


class Postgres(Place):
    """A table, by ADBC."""

    server = "PostgreSQL"

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        import psycopg

        uri = self.request.getfixturevalue("postgres")
        table = f"things_{next(NUMBER)}"
        types = {"id": "bigint", "text": "text", "number": "float8", "time": "timestamp"}
        declared = ", ".join(f"{column.name} {types[column.kind]}" for column in columns)
        with psycopg.connect(uri) as connection:
            connection.execute(f"CREATE TABLE {table} ({declared})".encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in content:
                    copy.write_row(row)
        return {"type": "database", "connection_string": uri, "table": table}


class PostgresCursor(Postgres):
    """As when the ADBC driver is not installed."""

    absent = (("airflow_provider_mlpipe.ingestion.database.find_spec", lambda _: None),)


class Mariadb(Place):
    """A table, by connectorx."""

    server = "MariaDB"

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        uri = self.request.getfixturevalue("mariadb")
        table = f"things_{next(NUMBER)}"
        types = {"id": "bigint", "text": "text", "number": "double", "time": "datetime(6)"}
        declared = ", ".join(f"{column.name} {types[column.kind]}" for column in columns)
        with closing(mysql_connection(uri)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} ({declared}) CHARACTER SET utf8mb4")
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(columns))})", content)
        return {"type": "database", "connection_string": uri, "table": table}


class MariadbCursor(Mariadb):
    """As when connectorx is not installed."""

    absent = (("airflow_provider_mlpipe.ingestion.mysql.native.available", lambda: False),)


class Api(Place):
    """A REST endpoint in pages of 40."""

    server = "HTTP"

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        names = [column.name for column in columns]

        def answer(request: Request) -> Any:
            start = int(request.query.get("cursor", "0"))
            some = [dict(zip(names, row, strict=True)) for row in content[start : start + 40]]
            more = start + 40 < len(content)
            return {"result": {"items": some}, "next": str(start + 40) if more else None}

        api = self.stack.enter_context(json_api({"/things": answer}))
        return {
            "type": "api", "url": f"{api.url}/things", "data_key": "result.items", "next_key": "next",
            "next_param": "cursor",
        }  # fmt: skip


class JsonLines(Place):
    """A packed file of objects."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        path = self.folder / "things.jsonl.gz"
        with gzip.open(path, "wt", compresslevel=1) as file:
            file.writelines(json.dumps(record) + "\n" for record in _records(content, columns))
        return {"type": "file", "path": str(path)}


class Csv(Place):
    """A file of lines."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        def field(value: Any) -> str:
            return "" if value is None else '"' + str(value).replace('"', '""') + '"'

        path = self.folder / "things.csv"
        lines = [",".join(map(field, row)) for row in content]
        path.write_text("\n".join([",".join(column.name for column in columns), *lines]) + "\n")
        return {"type": "file", "path": str(path)}


class Parquet(Place):
    """A file, found by a glob."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        pq.write_table(_table(content, columns), self.folder / "things.parquet")
        return {"type": "file", "path": str(self.folder / "*.parquet")}


class S3(Place):
    """A folder in a bucket, in two files."""

    server = "S3"

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        from airflow_provider_mlpipe.artifacts import Storage

        bucket = self.request.getfixturevalue("s3")
        place = Storage(f"{bucket.uri}/conformance-{next(NUMBER)}", bucket.options)
        half = len(content) // 2
        for number, some in enumerate((content[:half], content[half:])):
            sink = pa.BufferOutputStream()
            pq.write_table(_table(some, columns), sink)
            place.replace(f"part-{number}.parquet", sink.getvalue().to_pybytes())
        return {"type": "file", "path": place.uri, "connection": bucket.options}


class Kafka(Place):
    """A topic of JSON messages; a run reads what came since the one before, by offsets."""

    server = "Kafka"
    topic: str | None = None
    produced = 0

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        kafka = self.request.getfixturevalue("kafka")
        self.topic = self.topic or f"things-{uuid.uuid4().hex[:8]}"
        start = {"offsets": dict.fromkeys(range(4), 0)}
        if not content:  # it is there only when somebody has written to it
            kafka.produce(self.topic, [{"value": b"{}"}])
            start["offsets"][0] = 1
        records = _records(content[self.produced :], columns)
        kafka.produce(self.topic, [{"value": json.dumps(record).encode()} for record in records])
        self.produced = len(content)
        return {
            "type": "kafka", "topic": self.topic, "bootstrap_servers": kafka.address, "timeout_seconds": 10,
            "start": start,
        }  # fmt: skip


class DltRecords(Place):
    """A dlt resource that yields objects."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        pytest.importorskip("dlt", reason="no dlt: pip install 'airflow-provider-mlpipe[dlt]'")
        path = self.folder / "things.json"
        path.write_text(json.dumps(_records(content, columns)))
        return _dlt("content", path)


class DltTables(Place):
    """A dlt resource that yields tables."""

    def source(self, content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> dict[str, Any]:
        pytest.importorskip("dlt", reason="no dlt: pip install 'airflow-provider-mlpipe[dlt]'")
        path = self.folder / "things.parquet"
        pq.write_table(_table(content, columns), path)
        return _dlt("parquet", path)


DECLARED: tuple[type[Place], ...] = (
    Sqlite, Postgres, PostgresCursor, Mariadb, MariadbCursor, Parquet, S3, DltTables,
)  # fmt: skip
"""They bring types."""
TOLD: tuple[type[Place], ...] = (SqliteQuery, Driver, Api, JsonLines, Csv, Kafka, DltRecords)
"""Their types are told from the values."""
PLACES = (*DECLARED, *TOLD)


def _dlt(name: str, path: Path) -> dict[str, Any]:
    return {"type": "dlt", "resource": f"tests.ingestion.dlt_resources:{name}", "arguments": {"path": str(path)}}


def _records(content: Sequence[Row], columns: Sequence[Column]) -> list[dict[str, Any]]:
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in content]


def _table(content: Sequence[Row], columns: Sequence[Column]) -> pa.Table:
    values = list(zip(*content, strict=True)) if content else [()] * len(columns)
    arrays = [
        pa.array([_value(value, column.kind) for value in found], column.arrow)
        for found, column in zip(values, columns, strict=True)
    ]
    return pa.table(arrays, names=[column.name for column in columns])


def _value(value: Any, kind: str) -> Any:
    return datetime.fromisoformat(value) if kind == "time" and value is not None else value


def expected(content: Sequence[Row], columns: Sequence[Column] = COLUMNS) -> list[dict[str, Any]]:
    """Return the rows as they have to arrive, in the order of `contents`."""
    return sorted(
        ({column.name: _value(value, column.kind) for column, value in zip(columns, row, strict=True)} for row in content),
        key=repr,
    )  # fmt: skip


def contents(artifact: Artifact) -> list[dict[str, Any]]:
    """Return the rows without what only a topic says of them, in an order of their own."""
    names = [name for name in artifact.schema.names if not name.startswith("_kafka_")]
    return sorted(artifact.table(names).to_pylist(), key=repr)


def take(source: dict[str, Any], root: Storage, run: Run = DAY, progress: Any = None, **keys: Any) -> Artifact:
    """Ingest a place."""
    source = {**source, **keys}
    options: S3Options | None = source.pop("connection", None)
    connection = Connection(s3=options) if options else None
    return ingest(config.source(source, "things"), root=root, run=run, connection=connection, progress=progress)
