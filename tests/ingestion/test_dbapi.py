"""Databases without a URL: by a driver that the configuration names, or by the hook of an Airflow connection."""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.run import Run
from tests.ingestion import small_driver
from tests.ingestion.support import counts, quarantined, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage


@pytest.fixture
def duck(tmp_path: Path) -> dict[str, Any]:
    """A DuckDB, which SQLAlchemy has no dialect for here."""
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE SCHEMA "the shop"')
        connection.execute('CREATE TABLE "the shop"."or""ders" (id BIGINT, price DECIMAL(10,2), "at" TIMESTAMP)')
        connection.execute(
            """INSERT INTO "the shop"."or""ders" VALUES (1, 1.10, '2026-01-13 01:59:59'), (2, NULL, '2026-01-13 02:00'),
            (3, 3, '2026-01-14 02:00'), (4, 4, NULL)"""
        )
    return {"type": "database", "driver": "duckdb", "connect": {"database": str(path), "read_only": True}}


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "small.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE things (id INTEGER, name TEXT)")
        connection.executemany("INSERT INTO things VALUES (?, ?)", [(n, f"{n} %") for n in range(250)])
        connection.commit()
    return {"type": "database", "driver": "tests.ingestion.small_driver", "connect": {"path": str(path)}}


def test_a_table_by_its_driver(duck: dict[str, Any], root: Storage) -> None:
    source = {**duck, "table": 'the shop.or"ders', "incremental": {"cursor_column": "at", "on_null": "include"}}
    artifact = read(source, root)
    assert rows(artifact) == [
        {"id": 2, "price": None, "at": datetime(2026, 1, 13, 2)}, {"id": 4, "price": "4.00", "at": None},
    ]  # fmt: skip
    assert counts(artifact) == (2, 2, 0, 0)
    assert artifact.manifest.details["location"] == 'duckdb table the shop.or"ders'
    typed = read({**source, "types": {"price": "decimal(10,2)"}}, root)
    assert {row["price"] for row in rows(typed)} == {None, Decimal("4.00")}


def test_types_are_told_from_the_values(duck: dict[str, Any], root: Storage) -> None:
    query = """
        SELECT 1::BIGINT AS i, 18446744073709551615::UBIGINT AS u, 0.1::DOUBLE AS f, true AS b, 'é' AS s, '\\x00'::BLOB AS x,
          DATE '2026-01-15' AS d, TIME '10:20' AS t, TIMESTAMPTZ '2026-01-15 10:00+05:30' AS z, [1, 2] AS l,
          {'a': 1} AS o, NULL AS n, ':u' AS literal, :day AS p"""
    [row] = rows(read({**duck, "query": query, "parameters": {"day": "15"}}, root))
    assert row == {
        "i": 1, "u": "18446744073709551615", "f": 0.1, "b": True, "s": "é", "x": b"\x00", "d": date(2026, 1, 15),
        "t": time(10, 20), "z": datetime(2026, 1, 15, 4, 30, tzinfo=UTC), "l": "[1,2]", "o": '{"a":1}', "n": None,
        "literal": ":u", "p": "15",
    }  # fmt: skip


def test_rows_are_fetched_some_at_a_time(small: dict[str, Any], root: Storage) -> None:
    small_driver.FETCHED.clear()
    artifact = read({**small, "table": "things", "batch_size": 100}, root)
    assert counts(artifact) == (250, 250, 0, 0)
    assert small_driver.FETCHED == [100, 100, 50, 0]


def test_the_drivers_own_marks_are_used(small: dict[str, Any], root: Storage) -> None:
    query = "SELECT id, name FROM things WHERE name LIKE '%' || :digit || ' %' AND ':digit' <> :digit"
    artifact = read({**small, "query": query, "parameters": {"digit": "7"}}, root)
    assert len(rows(artifact)) == 25


def test_a_handle_to_a_large_object_is_read(small: dict[str, Any], root: Storage) -> None:
    assert rows(read({**small, "query": "SELECT 'large' AS text"}, root)) == [{"text": "large"}]


def test_values_of_several_kinds_become_text(small: dict[str, Any], root: Storage) -> None:
    artifact = read({**small, "query": "SELECT 1 AS v UNION ALL SELECT 'x' UNION ALL SELECT 2.5"}, root)
    assert [row["v"] for row in rows(artifact)] == ["1", "2.5", "x"]
    assert quarantined(artifact) == []


@pytest.mark.parametrize(
    ("keys", "kind", "message"),
    [
        ({"query": "SELECT * FROM locked"}, SourceUnavailableError, "OperationalError: the table is locked"),
        ({"table": "nothing"}, SourceRejectedError, "ProgrammingError: no such table: nothing"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, SourceRejectedError, "more than one column is named 'a'"),
        ({"table": "things", "driver": "no.such.driver"}, ConfigError, "cannot be imported: No module named 'no'"),
        ({"table": "things", "driver": "json"}, ConfigError, "has no connect()"),
    ],
)
def test_what_a_driver_refuses_is_explained(
    small: dict[str, Any], root: Storage, keys: dict[str, str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        read({**small, **keys}, root)
    assert message in str(caught.value)


def test_a_secret_argument_is_told_to_nobody(small: dict[str, Any], root: Storage) -> None:
    small["connect"]["password"] = "wrong"
    with pytest.raises(SourceUnavailableError, match=r"login failed with \*\*\*") as caught:
        read({**small, "table": "things"}, root)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("other", [{"connection_string": "sqlite:///x"}, {"conn_id": "x"}])
def test_one_way_to_the_database_is_enough(small: dict[str, Any], other: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="driver stands in place of"):
        config.source({**small, "table": "things", **other}, "things")


@pytest.mark.airflow
def test_the_hook_of_an_airflow_connection_is_a_driver(tmp_path: Path, root: Storage, small: dict[str, Any]) -> None:
    """For a type of connection that SQLAlchemy has no dialect for, its DbApiHook opens the connection."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_mlpipe.hooks import connections
    from airflow_provider_mlpipe.ingestion import Connection

    class SmallHook(DbApiHook):
        conn_name_attr = "small_conn_id"
        placeholder = "?"  # type: ignore[assignment] # of the connection's extra otherwise
        escape_word_format = '"{}"'  # type: ignore[assignment]

        def get_conn(self) -> Any:
            return sqlite3.connect(tmp_path / "small.db")

    driver = connections.hook_driver(SmallHook(), "small", "s3cret")
    query = {"query": "SELECT * FROM things WHERE id < :top", "parameters": {"top": 3}}
    source = config.source({"type": "database", "conn_id": "small", **query}, "things")
    artifact = ingest(source, root=root, run=Run(), connection=Connection(driver=driver))
    assert [row["id"] for row in rows(artifact)] == [0, 1, 2]
    assert artifact.manifest.details["location"] == "Airflow connection small (query)"
    assert driver.secrets == {"s3cret"}
    assert "s3cret" not in repr(driver)
