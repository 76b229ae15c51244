"""MariaDB: what every type of MySQL becomes, by connectorx and by cursor, and what becomes of what is no value."""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

import itertools
import logging
import os
import signal
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import (
    ArtifactNotFoundError,
    ConfigError,
    SourceRejectedError,
    SourceUnavailableError,
)
from airflow_provider_mlpipe.ingestion.mysql import native
from airflow_provider_mlpipe.ingestion.mysql.session import native_uri
from tests.ingestion.support import counts, quarantined, read, rows
from tests.servers import PASSWORD, free_ports, mariadb_server, mysql_connection

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

pytest.importorskip("pymysql", reason="no MySQL driver: pip install pymysql")
pytest.importorskip("connectorx", reason="no connectorx: pip install connectorx")

NUMBER = itertools.count()


def execute(uri: str, *statements: str) -> None:
    with closing(mysql_connection(uri)) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(params=["connectorx", "pymysql"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pymysql":
        monkeypatch.setattr(native, "available", lambda: False)
    return str(request.param)


def database(uri: str, **keys: Any) -> dict[str, Any]:
    return {"type": "database", "connection_string": uri, **keys}


def ingest(uri: str, root: Storage, declared: str, literals: list[str], **keys: Any) -> Artifact:
    table = f"types_{next(NUMBER)}"
    values = ", ".join(f"({number}, {literal})" for number, literal in enumerate(literals))
    execute(uri, f"CREATE TABLE {table} (id int, v {declared}) CHARACTER SET utf8mb4",
            f"INSERT INTO {table} VALUES {values}")  # fmt: skip
    return read(database(uri, table=table, **keys), root)


LONG = "12345678901234567890123456789012345.123456789012345678901234567891"
EXACT: list[tuple[str, str, list[str], list[Any]]] = [
    ("tinyint", "int8", ["-128", "127", "NULL"], [-128, 127, None]),
    ("tinyint(1)", "int8", ["0", "1", "2"], [0, 1, 2]),  # BOOLEAN is this, and holds more than two values
    ("tinyint unsigned", "uint8", ["255"], [255]),
    ("smallint", "int16", ["-32768"], [-32768]),
    ("smallint unsigned", "uint16", ["65535"], [65535]),
    ("mediumint", "int32", ["-8388608"], [-8388608]),
    ("mediumint unsigned", "uint32", ["16777215"], [16777215]),
    ("int", "int32", ["-2147483648"], [-(2**31)]),
    ("int(5) unsigned zerofill", "uint32", ["7"], [7]),
    ("bigint", "int64", ["-9223372036854775808"], [-(2**63)]),
    ("bigint unsigned", "uint64", ["18446744073709551615"], [2**64 - 1]),
    ("float", "float", ["16777217", "0.1"], [16777216.0, 0.10000000149011612]),  # MySQL prints 16777200
    ("double", "double", ["0.1", "1.7976931348623157e308"], [0.1, 1.7976931348623157e308]),
    ("decimal(10,2)", "decimal128(10, 2)", ["12.34", "-0.1", "NULL"], [Decimal("12.34"), Decimal("-0.10"), None]),
    ("decimal(10,2) unsigned", "decimal128(10, 2)", ["99999999.99"], [Decimal("99999999.99")]),
    ("decimal(65,30)", "decimal256(65, 30)", [LONG, "-1e-30"], [Decimal(LONG), Decimal("-1e-30")]),
    ("decimal(3,3)", "decimal128(3, 3)", ["-0.999"], [Decimal("-0.999")]),
    ("decimal(20)", "decimal128(20, 0)", ["99999999999999999999"], [Decimal(99999999999999999999)]),
    ("bit(1)", "bool", ["0", "1", "NULL"], [False, True, None]),
    ("bit(10)", "uint64", ["b'1111101000'"], [1000]),
    ("bit(64)", "uint64", ["18446744073709551615"], [2**64 - 1]),
    ("year", "int16", ["2026", "1901", "0", "NULL"], [2026, 1901, 0, None]),
    ("date", "date32[day]", ["'2026-01-15'", "'9999-12-31'", "NULL"], [date(2026, 1, 15), date(9999, 12, 31), None]),
    ("datetime", "timestamp[us]", ["'2026-01-15 10:00'"], [datetime(2026, 1, 15, 10)]),
    ("datetime(6)", "timestamp[us]", ["'1000-01-01 00:00:00.000001'"], [datetime(1000, 1, 1, 0, 0, 0, 1)]),
    # The server's zone is +05:30: what is written there as 10:00 is 04:30 in UTC.
    ("timestamp(6)", "timestamp[us, tz=UTC]", ["'2026-01-15 10:00:00.5'"], [datetime(2026, 1, 15, 4, 30, 0, 500000, tzinfo=UTC)]),
    ("time", "string", ["'10:20:30'", "'-25:01:02'", "'838:59:59'"], ["10:20:30", "-25:01:02", "838:59:59"]),
    ("time(3)", "string", ["'-00:00:00.5'"], ["-00:00:00.500"]),
    ("char(4)", "string", ["'ab '", "''"], ["ab", ""]),  # MySQL pads and strips CHAR itself
    ("varchar(20)", "string", ["'Zoë 日本 🚀'", "'007'"], ["Zoë 日本 🚀", "007"]),
    ("varchar(20) character set latin1", "string", ["'Zoë'"], ["Zoë"]),
    ("longtext", "string", ["repeat('ü', 70000)"], ["ü" * 70000]),
    ("binary(4)", "binary", ["x'00ff'"], [b"\x00\xff\x00\x00"]),
    ("varbinary(10)", "binary", ["x'00ff'", "''"], [b"\x00\xff", b""]),
    ("blob", "binary", ["x'00ff'", "NULL"], [b"\x00\xff", None]),
    ("longblob", "binary", ["repeat(x'ff', 70000)"], [b"\xff" * 70000]),
    ("enum('x','é')", "string", ["'é'", "'none of them'", "NULL"], ["é", "", None]),
    ("set('x','y')", "string", ["'y,x'", "''"], ["x,y", ""]),
    ("json", "string", ["""'{"b":  1.00, "a": "é"}'"""], ['{"b":  1.00, "a": "é"}']),
    ("point", "binary", ["point(1, 2)"], [bytes.fromhex("0101000000000000000000f03f0000000000000040")]),
    ("uuid", "string", ["'00000000-0000-0000-0000-00000000000A'"], ["00000000-0000-0000-0000-00000000000a"]),
    ("inet6", "string", ["'::1'"], ["::1"]),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "kind", "literals", "wanted"), EXACT, ids=[case[0] for case in EXACT])
def test_both_ways_give_the_exact_value(
    mariadb: str, root: Storage, way: str, declared: str, kind: str, literals: list[str], wanted: list[Any]
) -> None:
    artifact = ingest(mariadb, root, declared, literals)
    assert artifact.manifest.details["driver"] == way
    assert str(artifact.schema.field("v").type) == kind
    found = [row["v"] for row in sorted(rows(artifact), key=lambda row: row["id"])]
    assert found == wanted
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)


def _wkb(kind: int, body: str) -> bytes:
    return bytes.fromhex(f"01{kind:02x}000000{body}")


_12 = "000000000000f03f0000000000000040"
ENDS: list[tuple[str, str, Any]] = [
    ("geometry", "point(1, 2)", _wkb(1, _12)),
    ("geometry", "NULL", None),
    ("linestring", "linestring(point(1, 2), point(1, 2))", _wkb(2, f"02000000{_12}{_12}")),
    ("multipoint", "multipoint(point(1, 2))", _wkb(4, f"010000000101000000{_12}")),
    ("geometrycollection", "geometrycollection(point(1, 2))", _wkb(7, f"010000000101000000{_12}")),
    ("tinytext", "repeat('ü', 127)", "ü" * 127),
    ("mediumtext", "'\\0\\Z\\\\\\n'", "\0\x1a\\\n"),
    ("tinyblob", "x'00'", b"\0"),
    ("mediumblob", "''", b""),
    ("varchar(5) character set utf8mb4", "'🚀🚀'", "🚀🚀"),
    ("char(5) character set ucs2", "'é日'", "é日"),
    ("date", "'1000-01-01'", date(1000, 1, 1)),
    ("datetime(6)", "'9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("timestamp(6) null", "'2038-01-01 00:00:00.999999'", datetime(2037, 12, 31, 18, 30, 0, 999999, tzinfo=UTC)),
    ("time(6)", "'-838:59:59'", "-838:59:59.000000"),
    ("bit(8)", "b'11111111'", 255),
    ("decimal(65,0)", "-1", Decimal(-1)),
    ("decimal(38,38)", "0." + "9" * 38, Decimal("0." + "9" * 38)),
    ("bigint unsigned", "9223372036854775808", 2**63),
    ("year", "2155", 2155),
    ("set('a','b','c')", "7", "a,b,c"),
    ("enum('','x')", "1", ""),
    ("json", "NULL", None),
    ("bool", "true", 1),
]  # fmt: skip
"""What lies at the ends of a type: all in one table."""


def test_the_ends_of_every_type(mariadb: str, root: Storage, way: str) -> None:
    declared = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(ENDS))
    table = f"ends_{next(NUMBER)}"
    values = ", ".join(literal for _, literal, _ in ENDS)
    execute(
        mariadb, f"CREATE TABLE {table} ({declared}) CHARACTER SET utf8mb4", f"INSERT INTO {table} VALUES ({values})"
    )
    artifact = read(database(mariadb, table=table), root)
    assert artifact.manifest.details["driver"] == way
    assert rows(artifact) == [{f"c{number}": wanted for number, (_, _, wanted) in enumerate(ENDS)}]


@pytest.mark.parametrize(("declared", "value"), [
    ("date", "0000-00-00"), ("date", "2026-00-10"), ("datetime", "0000-00-00 00:00:00"),
    ("datetime", "2026-01-00 00:00:00"), ("timestamp null", "0000-00-00 00:00:00"), ("date", "0000-01-01"),
])  # fmt: skip
def test_a_date_that_is_none_is_rejected_or_null_or_text(
    mariadb: str, root: Storage, way: str, declared: str, value: str
) -> None:
    literals = ["'2026-01-15'", f"'{value}'", "NULL"]
    artifact = ingest(mariadb, root, declared, literals)
    assert quarantined(artifact) == [(f"v: {value!r} is no date of the calendar", {"id": 1, "v": value})]
    assert counts(artifact) == (3, 2, 1, 0)

    artifact = ingest(mariadb, root, declared, literals, zero_dates="null")
    assert [row["v"] is None for row in sorted(rows(artifact), key=lambda row: row["id"])] == [False, True, True]
    assert artifact.manifest.details["zero_dates_as_null"] == {"v": 1}

    artifact = ingest(mariadb, root, declared, literals, zero_dates="text")
    assert [row["v"] for row in sorted(rows(artifact), key=lambda row: row["id"])][1:] == [value, None]
    assert str(artifact.schema.field("v").type) == "string"


def test_a_length_of_time_can_be_declared_a_time_of_day(mariadb: str, root: Storage) -> None:
    artifact = ingest(mariadb, root, "time", ["'10:20:30'", "'25:00:00'"], types={"v": "time"})
    [(reason, row)] = quarantined(artifact)
    assert reason == "v: '25:00:00' cannot be held as time64[us]"
    assert row["id"] == 1


def test_a_flag_can_be_declared_a_boolean(mariadb: str, root: Storage) -> None:
    artifact = ingest(mariadb, root, "boolean", ["TRUE", "FALSE", "2"], types={"v": "bool"})
    assert {row["v"] for row in rows(artifact)} == {True, False}
    assert [row["id"] for _, row in quarantined(artifact)] == [2]


def test_expressions_of_a_query_are_exact(mariadb: str, root: Storage, way: str) -> None:
    query = (
        "SELECT sum(seq) AS s, count(*) AS n, avg(seq) AS a, NULL AS nothing, 1/3 AS third, sqrt(2) AS root, 0.05 AS c,"
        " concat(1, 'x') AS t, true AS yes, cast('2026-01-15' AS date) AS d, timediff('10:00', '12:30') AS back"
        " FROM seq_1_to_4"
    )
    [row] = rows(read(database(mariadb, query=query), root))
    assert row == {
        "s": Decimal(10), "n": 4, "a": Decimal("2.5"), "nothing": None, "third": Decimal("0.3333"),
        "root": 2**0.5, "c": Decimal("0.05"), "t": "1x", "yes": 1, "d": date(2026, 1, 15), "back": "-02:30:00",
    }  # fmt: skip


def test_parameters_are_values_whatever_stands_in_them(mariadb: str, root: Storage, way: str) -> None:
    query = (
        "SELECT :text AS t, ':text' AS literal, 'it\\'s :text' AS slash, `id` AS `:text`, :count + 1 AS c, date(:day) AS d,"
        " :none AS n, :share AS s -- :text\n FROM (SELECT 1 AS id) AS x # :text\n WHERE :text = :text;"
    )
    parameters = {"text": "\\'; DROP TABLE users; -- 🚀", "count": 41, "day": "2026-01-15", "none": None, "share": 0.5}
    [row] = rows(read(database(mariadb, query=query, parameters=parameters), root))
    assert row == {
        "t": parameters["text"], "literal": ":text", "slash": "it's :text", ":text": 1, "c": 42,
        "d": date(2026, 1, 15), "n": None, "s": Decimal("0.5"),
    }  # fmt: skip


@pytest.mark.parametrize("value", [[1], {"a": 1}, float("inf")])
def test_what_sql_does_not_know_is_no_parameter(mariadb: str, root: Storage, value: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be a query parameter"):
        read(database(mariadb, query="SELECT :ids", parameters={"ids": value}), root)


def test_windows_are_cut_in_utc_whatever_the_servers_zone(mariadb: str, root: Storage, way: str) -> None:
    table = f"zoned_{next(NUMBER)}"
    execute(
        mariadb,
        "SET time_zone = '+00:00'",
        f"CREATE TABLE {table} (id int, at timestamp(6) NULL)",
        f"INSERT INTO {table} VALUES (1, '2026-01-13 01:59:59.999999'), (2, '2026-01-13 02:00:00'), "
        "(3, '2026-01-14 01:59:59.999999'), (4, '2026-01-14 02:00:00'), (5, NULL)",
    )
    artifact = read(database(mariadb, table=table, incremental={"cursor_column": "at"}), root)
    assert [row["id"] for row in rows(artifact)] == [2, 3]
    assert str(artifact.schema.field("at").type) == "timestamp[us, tz=UTC]"


def test_names_are_quoted_and_schemas_understood(mariadb: str, root: Storage, way: str) -> None:
    execute(
        mariadb,
        "CREATE DATABASE IF NOT EXISTS `odd-one`",
        "CREATE TABLE IF NOT EXISTS `odd-one`.`Select ``X``` (`a %%s :b` int, `order` datetime)".replace("%%", "%"),
        "TRUNCATE `odd-one`.`Select ``X```",
        "INSERT INTO `odd-one`.`Select ``X``` VALUES (1, '2026-01-13 12:00')",
    )
    source = database(mariadb, table="odd-one.Select `X`", incremental={"cursor_column": "order"})
    assert rows(read(source, root)) == [{"a %s :b": 1, "order": datetime(2026, 1, 13, 12)}]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"table": "generel_ledger_of_the_test"}, "no table 'generel_ledger_of_the_test'. Did you mean 'general_ledger_of_the_test'"),
        ({"query": "SELECT * FROM nowhere"}, "Table 'shop.nowhere' doesn't exist"),
        ({"query": "SELECT nope FROM general_ledger_of_the_test"}, "Unknown column 'nope'"),
        ({"query": "SELEC 1"}, "You have an error in your SQL syntax"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "Duplicate column name 'a'"),
        # Both fail in the middle of the rows.
        ({"query": "SELECT (SELECT 1 UNION SELECT 2 WHERE seq = 90000) AS x FROM seq_1_to_100000"}, "Subquery returns more than 1 row"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_terminal_and_explained(
    mariadb: str, root: Storage, way: str, keys: dict[str, str], message: str
) -> None:
    execute(mariadb, "CREATE TABLE IF NOT EXISTS general_ledger_of_the_test (id int)")
    with pytest.raises(SourceRejectedError) as caught:
        read(database(mariadb, **keys), root)
    assert message in str(caught.value)
    assert caught.value.hint
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/2026-01-13T020000Z")


def test_what_connectorx_cannot_read_a_cursor_reads(
    mariadb: str, root: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class PanicException(BaseException):
        """As pyo3's: no Exception."""

    def panics(*_: Any, **__: Any) -> None:
        raise PanicException("not implemented: MYSQL_TYPE_OF_TOMORROW")

    monkeypatch.setattr("connectorx.read_sql", panics)
    with caplog.at_level(logging.WARNING):
        artifact = ingest(mariadb, root, "int", ["1"])
    assert artifact.manifest.details["driver"] == "pymysql"
    assert "connectorx cannot read this" in caplog.text
    assert [row["v"] for row in rows(artifact)] == [1]


def test_options_that_only_one_driver_honours_choose_it(mariadb: str, root: Storage) -> None:
    query = {"query": "SELECT 1 AS a"}
    plain = read(database(f"{mariadb}?charset=utf8mb4&connect_timeout=5", **query), root)
    assert plain.manifest.details["driver"] == "connectorx"
    secured = read(database(f"{mariadb}?ssl_disabled=true", **query), root)
    assert secured.manifest.details["driver"] == "pymysql"
    bounded = read(database(f"{mariadb}?read_ahead=false", **query), root)
    assert bounded.manifest.details["driver"] == "pymysql"
    with pytest.raises(ConfigError, match="no such option of a MySQL connection.* Did you mean 'ssl_ca'"):
        read(database(f"{mariadb}?ssl_cs=x", **query), root)
    assert native_uri("mysql://a%40b:p%2Fw@db/shop") == "mysql://a%40b:p%2Fw@db:3306/shop"


# ------------------------------------------------------------------ faults


def test_a_refused_connection_is_worth_a_retry(root: Storage, way: str) -> None:
    [port] = free_ports()
    with pytest.raises(SourceUnavailableError) as caught:
        read(database(f"mysql://shop:{PASSWORD}@127.0.0.1:{port}/shop", table="things"), root)
    assert "Connection refused" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_wrong_password_is_not(mariadb: str, root: Storage, way: str) -> None:
    wrong = mariadb.replace(PASSWORD, "wr0ng-password")
    with pytest.raises(SourceRejectedError, match="Access denied for user 'shop'") as caught:
        read(database(wrong, table="things"), root)
    assert "wr0ng" not in str(caught.value)
    assert "Check user, password" in str(caught.value.hint)


def test_a_server_that_dies_in_the_middle_publishes_nothing(root: Storage, way: str) -> None:
    query = "SELECT seq AS id, repeat('x', 200) AS text FROM seq_1_to_1000000"
    with mariadb_server() as server:
        done: list[int] = []

        def kill(rows_so_far: int) -> None:
            if not done:
                os.kill(server.process.pid, signal.SIGKILL)
                server.process.wait()
            done.append(rows_so_far)

        with pytest.raises(SourceUnavailableError) as caught:
            read(database(server.uri, query=query, batch_size=2000), root, progress=kill)
    assert done
    assert PASSWORD not in str(caught.value)
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/2026-01-13T020000Z")


def test_an_interrupted_query_is_worth_a_retry(mariadb: str, root: Storage, way: str) -> None:
    """As by an administrator who kills it, or by a limit of the server."""
    seen: list[int] = []

    def interrupt(rows_so_far: int) -> None:
        if not seen:
            with closing(mysql_connection(mariadb)) as connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT id FROM information_schema.processlist WHERE info LIKE '%interrupted_test%' AND id <> connection_id()"
                )
                for (number,) in cursor.fetchall():
                    cursor.execute(f"KILL QUERY {number}")
        seen.append(rows_so_far)

    query = "SELECT seq AS id, repeat('x', 200) AS interrupted_test FROM seq_1_to_1000000"
    with pytest.raises(SourceUnavailableError, match="interrupted"):
        read(database(mariadb, query=query, batch_size=2000), root, progress=interrupt)
