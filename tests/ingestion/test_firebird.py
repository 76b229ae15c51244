"""Any other database: Firebird, a real server that nothing here knows, by SQLAlchemy, by driver and by Airflow's hook.

It stands for Oracle and SQL Server too, which cannot be installed here: like Oracle it stores names in upper case.
"""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import SourceError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection, ingest
from airflow_provider_mlpipe.ingestion.sql import _quoting
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import counts, read, rows
from tests.servers import free_ports
from tests.servers.firebird import firebird

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Storage

pytestmark = pytest.mark.slow  # what it needs is installed for the slow tests only

KINDS = {
    "id": ("integer", "int64", "1", 1),
    "small": ("smallint", "int64", "-32768", -32768),
    "large": ("bigint", "int64", "9223372036854775807", 2**63 - 1),
    "half": ("float", "double", "0.5", 0.5),
    "tenth": ("double precision", "double", "0.1", 0.1),
    "money": ("numeric(18,2)", "decimal128(18, 2)", "-1234567890123456.78", Decimal("-1234567890123456.78")),
    "little": ("numeric(4,1)", "decimal128(4, 1)", "999.9", Decimal("999.9")),
    "born": ("date", "date32[day]", "date '2026-01-15'", date(2026, 1, 15)),
    "at_time": ("time", "time64[us]", "time '10:20:30.5'", time(10, 20, 30, 500000)),
    "happened": ("timestamp", "timestamp[us]", "timestamp '2026-01-13 10:20:30.1234'",
                 datetime(2026, 1, 13, 10, 20, 30, 123400)),
    "name": ("varchar(40)", "string", "'Zoë 日本 🚀'", "Zoë 日本 🚀"),
    "story": ("blob sub_type text", "string", "'long é'", "long é"),
    "raw": ("blob sub_type binary", "binary", "x'00ff'", b"\x00\xff"),
    "billable": ("boolean", "bool", "true", True),
}  # fmt: skip
MANY = 25_000


@pytest.fixture(scope="module")
def arguments() -> Iterator[dict[str, Any]]:
    """What a driver connects with; there are tables of all types, of odd names, and of many rows."""
    driver = pytest.importorskip("firebirdsql", reason="no Firebird driver: pip install firebirdsql")
    with firebird() as address:
        url = urlsplit(f"firebird://{address}")
        found = {
            "host": url.hostname, "port": url.port, "database": url.path[1:], "user": url.username,
            "password": url.password, "charset": "UTF8",
        }  # fmt: skip
        connection = driver.connect(**found)
        cursor = connection.cursor()
        declared = ", ".join(f"{name} {kind}" for name, (kind, *_) in KINDS.items())
        for statement in (
            f"CREATE TABLE things ({declared})",
            'CREATE TABLE "Odd ""names""" ("Some id" integer, "when" timestamp)',
            "CREATE TABLE many (id integer, name varchar(40))",
        ):
            cursor.execute(statement)
        connection.commit()
        literals = ", ".join(literal for _, _, literal, _ in KINDS.values())
        cursor.execute(f"INSERT INTO things VALUES ({literals})")
        cursor.execute("INSERT INTO things (id) VALUES (2)")
        cursor.execute('INSERT INTO "Odd ""names""" VALUES (7, timestamp \'2026-01-13 12:00\')')
        cursor.execute(f"""EXECUTE BLOCK AS DECLARE n INTEGER = 0; BEGIN
            WHILE (n < {MANY}) DO BEGIN INSERT INTO many VALUES (:n, 'name ' || :n); n = n + 1; END END""")
        connection.commit()
        connection.close()
        yield found


def by_url(arguments: dict[str, Any], **keys: Any) -> dict[str, Any]:
    pytest.importorskip(
        "sqlalchemy_firebird",
        reason="no Firebird dialect: pip install --no-deps sqlalchemy-firebird firebird-driver firebird-base",
    )
    uri = "firebird+firebird://{user}:{password}@{host}:{port}/{database}?charset=UTF8".format(**arguments)
    return {"type": "database", "connection_string": uri, **keys}


def by_driver(arguments: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"type": "database", "driver": "firebirdsql", "connect": arguments, **keys}


def test_declared_types_of_a_table(arguments: dict[str, Any], root: Storage) -> None:
    """Its name as SQLAlchemy calls it, and as the database does."""
    artifact = read(by_url(arguments, table="things"), root)
    assert {field.name: str(field.type) for field in artifact.schema} == {name: kind[1] for name, kind in KINDS.items()}
    wanted = [{name: kind[3] for name, kind in KINDS.items()}, {**dict.fromkeys(KINDS), "id": 2}]
    assert rows(artifact) == wanted
    assert rows(read(by_url(arguments, table="THINGS"), root)) == wanted


def test_types_told_from_the_values_by_the_driver(arguments: dict[str, Any], root: Storage) -> None:
    keys = {"query": "SELECT * FROM things WHERE id < :top", "parameters": {"top": 2}}
    artifact = read(by_driver(arguments, **keys, types={"MONEY": "decimal(18,2)"}), root)
    [row] = rows(artifact)
    told = {name.upper(): kind[3] for name, kind in KINDS.items()}
    assert row == {**told, "LITTLE": "999.9"}  # all digits, as text where nothing declares it


@pytest.mark.parametrize("way", [by_url, by_driver])
def test_windows_and_odd_names(arguments: dict[str, Any], root: Storage, way: Any) -> None:
    name = "happened" if way is by_url else "HAPPENED"
    table = "things" if way is by_url else "THINGS"
    assert counts(read(way(arguments, table=table, incremental={"cursor_column": name}), root)) == (1, 1, 0, 0)
    odd = way(arguments, table='Odd "names"', incremental={"cursor_column": "when"})
    assert rows(read(odd, root)) == [{"Some id": 7, "when": datetime(2026, 1, 13, 12)}]


@pytest.mark.parametrize("way", [by_url, by_driver])
def test_many_rows_in_batches(arguments: dict[str, Any], root: Storage, way: Any) -> None:
    seen: list[int] = []
    source = way(arguments, table="many" if way is by_url else "MANY", batch_size=5000)
    artifact = read(source, root, progress=seen.append)
    assert counts(artifact) == (MANY, MANY, 0, 0)
    assert len(seen) >= MANY // 5000
    assert {row[artifact.schema.names[0]] for row in rows(artifact)} == set(range(MANY))


@pytest.mark.parametrize("way", [by_url, by_driver])
def test_what_goes_wrong_is_told_without_the_password(arguments: dict[str, Any], root: Storage, way: Any) -> None:
    [port] = free_ports()
    refused: tuple[tuple[dict[str, Any], dict[str, Any], type[SourceError], str], ...] = (
        ({"password": "wr0ng-one"}, {"query": "SELECT 1 FROM rdb$database"}, SourceError, "user name and password"),
        ({}, {"query": "SELECT nope FROM things"}, SourceError, "(?i)nope"),
        ({"port": port}, {"query": "SELECT 1 FROM rdb$database"}, SourceUnavailableError, "(?i)refused|network|connect"),
    )  # fmt: skip
    for change, keys, kind, message in refused:
        with pytest.raises(kind, match=message) as caught:
            read(way({**arguments, **change}, **keys), root)
        assert "wr0ng-one" not in str(caught.value)
    # That driver calls every error operational, as if another try could help.
    with pytest.raises(SourceError if way is by_driver else SourceRejectedError, match=r"(?i)\bthing\b"):
        read(way(arguments, table="thing"), root)


@pytest.mark.airflow
def test_the_hook_of_a_connection(arguments: dict[str, Any], root: Storage) -> None:
    import firebirdsql
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    from airflow_provider_mlpipe.hooks.connections import hook_driver

    class FirebirdHook(DbApiHook):
        conn_name_attr = "firebird_conn_id"
        placeholder = "?"  # type: ignore[assignment] # of the connection's extra otherwise
        escape_word_format = '"{}"'  # type: ignore[assignment]

        def get_conn(self) -> Any:
            return firebirdsql.connect(**arguments)

    driver = hook_driver(FirebirdHook(), "firebird", arguments["password"])
    source = config.source({"type": "database", "conn_id": "firebird", "table": "THINGS"}, "things")
    artifact = ingest(source, root=root, run=Run(), connection=Connection(driver=driver))
    assert {row["ID"] for row in rows(artifact)} == {1, 2}


def test_names_are_quoted_as_oracle_stores_them() -> None:
    from sqlalchemy.dialects import mssql, oracle

    assert [_quoting(oracle.dialect())(name) for name in ("orders", "ORDERS", "Orders", 'or"d', "my orders")] == [
        '"ORDERS"', '"ORDERS"', '"Orders"', '"or""d"', '"my orders"'
    ]  # fmt: skip
    assert _quoting(mssql.dialect())("my orders]") == "[my orders]]]"
