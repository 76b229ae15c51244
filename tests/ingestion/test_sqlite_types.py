"""SQLite: a value arrives as it was stored, or its row is quarantined with the reason. Nothing is changed silently."""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.errors import SourceRejectedError
from tests.ingestion.support import counts, quarantined, read, rows

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage


def ingest(folder: Path, root: Storage, declared: str, values: list[Any], **keys: Any) -> Artifact:
    """Store `values` in a column declared so, and read the table."""
    path = folder / "types.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f'CREATE TABLE types (id INTEGER, "v" {declared})')
        connection.executemany("INSERT INTO types VALUES (?, ?)", list(enumerate(values)))
        connection.commit()
    source = {"type": "database", "connection_string": f"sqlite:///{path}", "table": "types"}
    if "query" in keys:
        del source["table"]
    return read(source | keys, root)


@pytest.mark.parametrize(
    ("declared", "kind", "stored", "arrived"),
    [
        ("INTEGER", "int64", [1, -(2**63), 2**63 - 1, None], [1, -(2**63), 2**63 - 1, None]),
        ("INT", "int64", ["7", 3.0], [7, 3]),  # SQLite itself stores them as integers
        ("BIGINT", "int64", [5], [5]),
        ("FLOAT", "double", [1.5, 2, None], [1.5, 2.0, None]),
        ("REAL", "double", [0.1, 1e300], [0.1, 1e300]),
        ("DOUBLE PRECISION", "double", [0.1], [0.1]),
        ("NUMERIC(10,2)", "decimal128(10, 2)", [12.34, 3, -0.1, None], ["12.34", "3.00", "-0.10", None]),
        ("DECIMAL(20,6)", "decimal128(20, 6)", [0.000001], ["0.000001"]),
        ("TEXT", "string", ["", "é", "007", 7, None], ["", "é", "007", "7", None]),
        ("VARCHAR(3)", "string", ["longer than three"], ["longer than three"]),
        ("BOOLEAN", "bool", [0, 1, None], [False, True, None]),
        ("DATE", "date32[day]", ["2026-01-15", None], [date(2026, 1, 15), None]),
        ("TIME", "time64[us]", ["10:20:30.5"], [time(10, 20, 30, 500000)]),
        ("BLOB", "binary", [b"\x00\xff", b""], [b"\x00\xff", b""]),
        ("JSON", "string", ['{"a":  1.00}'], ['{"a":  1.00}']),
        (
            "TIMESTAMP",
            "timestamp[us]",
            ["2026-01-15 10:00:00", "2026-01-15T10:00:00.000001", "2026-01-15", "2026-01-15T10:00:00+05:30",
             "2026-01-15T10:00:00Z", None],
            [datetime(2026, 1, 15, 10), datetime(2026, 1, 15, 10, 0, 0, 1), datetime(2026, 1, 15),
             datetime(2026, 1, 15, 4, 30), datetime(2026, 1, 15, 10), None],
        ),
        ("DATETIME", "timestamp[us]", ["0001-01-01 00:00:00"], [datetime(1, 1, 1)]),
        # No declared type, or one that says nothing: the values tell.
        ("", "int64", [1, None], [1, None]),
        ("", "double", [1, 2.5], [1.0, 2.5]),
        ("", "string", [1, "x", 2.5], ["1", "x", "2.5"]),
        ("", "string", [2**53 + 1, 0.5], [str(2**53 + 1), "0.5"]),  # no double holds the first
        ("", "timestamp[us]", ["2026-01-15 10:00:00"], [datetime(2026, 1, 15, 10)]),
        ("", "string", ["2026-01-15 10:00:00", "soon"], ["2026-01-15 10:00:00", "soon"]),
        ("", "binary", [b"\x00"], [b"\x00"]),
        ("", "null", [None, None], [None, None]),
        ("NUMERIC", "double", [1.25, None], [1.25, None]),
    ],
)  # fmt: skip
def test_what_is_stored_arrives(
    tmp_path: Path, root: Storage, declared: str, kind: str, stored: list[Any], arrived: list[Any]
) -> None:
    artifact = ingest(tmp_path, root, declared, stored)
    assert str(artifact.schema.field("v").type) == kind
    wanted = [Decimal(value) if kind.startswith("decimal") and value else value for value in arrived]
    found = [row["v"] for row in sorted(rows(artifact), key=lambda row: row["id"])]
    assert found == wanted
    assert list(map(type, found)) == list(map(type, wanted))
    assert quarantined(artifact) == []


@pytest.mark.parametrize(
    ("declared", "stored", "reason"),
    [
        ("INTEGER", "old", "v: 'old' does not fit as int64"),
        ("INTEGER", 3.5, "v: 3.5 does not fit as int64"),
        ("INTEGER", b"\x01", r"v: b'\x01' does not fit as int64"),
        ("FLOAT", "much", "v: 'much' does not fit as double"),
        ("NUMERIC(10,2)", 1.005, "v: 1.005 does not fit as decimal128(10, 2)"),
        ("NUMERIC(4,2)", 100, "v: 100 does not fit as decimal128(4, 2)"),
        ("NUMERIC(4,2)", "much", "v: 'much' does not fit as decimal128(4, 2)"),
        ("TEXT", b"\xff", r"v: b'\xff' does not fit as string"),
        ("BOOLEAN", 2, "v: 2 does not fit as bool"),
        ("DATE", "2026-01-15 10:00:00", "v: '2026-01-15 10:00:00' has a time of day as date32[day]"),
        ("DATE", "2026-02-30", "v: '2026-02-30' cannot be held as date32[day]"),
        ("TIME", "noon", "v: 'noon' is no time of day as time64[us]"),
        ("TIMESTAMP", "soon", "v: 'soon' is no ISO 8601 time as timestamp[us]"),
        ("TIMESTAMP", 1736935200, "v: 1736935200 is no time as timestamp[us]"),
        ("TIMESTAMP", "2026-01-15 10:00:00.1234567", "v: '2026-01-15 10:00:00.1234567' is no ISO 8601 time as timestamp[us]"),
        ("BLOB", "text", "v: 'text' does not fit as binary"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_quarantined_with_its_reason(
    tmp_path: Path, root: Storage, declared: str, stored: Any, reason: str
) -> None:
    artifact = ingest(tmp_path, root, declared, [None, stored, None])
    shown = stored.hex() if isinstance(stored, bytes) else stored
    assert quarantined(artifact) == [(reason, {"id": 1, "v": shown})]
    assert counts(artifact) == (3, 2, 1, 0)
    assert artifact.manifest.metrics["error_rate"] == pytest.approx(1 / 3)
    assert [row["id"] for row in rows(artifact)] == [0, 2]


def test_a_quarantine_disappears_when_a_retry_finds_the_rows_repaired(tmp_path: Path, root: Storage) -> None:
    first = ingest(tmp_path, root, "INTEGER", ["old"])
    place = first.manifest.details["quarantine"]
    with closing(sqlite3.connect(tmp_path / "types.db")) as connection:
        connection.execute("UPDATE types SET v = 60")
        connection.commit()
    source = {"type": "database", "connection_string": f"sqlite:///{tmp_path}/types.db", "table": "types"}
    second = read(source, root)
    assert counts(second) == (1, 1, 0, 0)
    assert second.manifest.details["quarantine"] is None
    assert first.open(place).manifest.rows == 0


def test_bad_rows_outside_the_window_are_not_of_this_run(tmp_path: Path, root: Storage) -> None:
    path = tmp_path / "window.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE types (id INTEGER, at TIMESTAMP)")
        content = [
            ("x", "2026-01-13 01:00:00"),
            ("y", "2026-01-13 12:00:00"),
            (1, "2026-01-13T12:00:00"),
            (2, "gibberish"),
        ]
        connection.executemany("INSERT INTO types VALUES (?, ?)", content)
        connection.commit()
    source = {"type": "database", "connection_string": f"sqlite:///{path}", "table": "types"}
    artifact = read(source | {"incremental": {"cursor_column": "at"}}, root)
    assert [row["id"] for row in rows(artifact)] == [1]
    assert sorted(row["at"] for _, row in quarantined(artifact)) == ["2026-01-13 12:00:00", "gibberish"]


def test_parameters_are_bound(tmp_path: Path, root: Storage) -> None:
    query = "SELECT * FROM types WHERE v = :name AND v <> ':name' -- :nothing"
    artifact = ingest(
        tmp_path,
        root,
        "TEXT",
        ["a", "'; DROP TABLE types; --"],
        query=query,
        parameters={"name": "'; DROP TABLE types; --"},
    )
    assert rows(artifact) == [{"id": 1, "v": "'; DROP TABLE types; --"}]


def test_names_are_quoted(tmp_path: Path, root: Storage) -> None:
    path = tmp_path / "odd.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "select; ""x""" ("a:b %s" INTEGER, "order" TIMESTAMP)')
        connection.execute('INSERT INTO "select; ""x""" VALUES (1, \'2026-01-13 12:00:00\')')
        connection.commit()
    source = {"type": "database", "connection_string": f"sqlite:///{path}", "table": 'select; "x"'}
    artifact = read(source | {"incremental": {"cursor_column": "order"}}, root)
    assert rows(artifact) == [{"a:b %s": 1, "order": datetime(2026, 1, 13, 12)}]


def test_a_missing_table_and_a_missing_file_are_named(tmp_path: Path, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match=r"no table 'typs'. Did you mean 'types'\? It has: types"):
        ingest(tmp_path, root, "TEXT", ["x"], table="typs")
    missing = tmp_path / "nothing.db"
    with pytest.raises(SourceRejectedError, match="there is no such file"):
        read({"type": "database", "connection_string": f"sqlite:///{missing}", "table": "t"}, root)
    assert not missing.exists()
    with pytest.raises(SourceRejectedError, match="no such column: nope"):
        ingest(tmp_path / "..", root, "TEXT", [], query="SELECT nope")
