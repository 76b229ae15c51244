"""PostgreSQL: what every type becomes, by ADBC and by cursor, and what cannot be held."""

# ruff: noqa: DTZ001 - columns without a zone hold times without a zone

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion import database
from tests.ingestion.support import DAY, counts, quarantined, read, rows

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

NUMBER = itertools.count()


def execute(uri: str, *statements: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture(params=["adbc", "cursor"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "cursor":
        monkeypatch.setattr(database, "find_spec", lambda _: None)
    return str(request.param)


def ingest(uri: str, root: Storage, declared: str, literals: list[str]) -> Artifact:
    table = f"types_{next(NUMBER)}"
    values = ", ".join(f"({number}, {literal})" for number, literal in enumerate(literals))
    execute(uri, f"CREATE TABLE {table} (id int, v {declared})", f"INSERT INTO {table} VALUES {values}")
    return read({"type": "database", "connection_string": uri, "table": table}, root)


EXACT: list[tuple[str, str, list[str], list[Any]]] = [
    ("real", "float|double", ["1.5", "NULL"], [1.5, None]),
    ("double precision", "double", ["0.1", "'-Infinity'"], [0.1, float("-inf")]),
    ("numeric(10,2)", "decimal128(10, 2)", ["12.34", "NULL"], [Decimal("12.34"), None]),
    ("numeric(50,10)", "decimal256(50, 10)", ["1e30"], [Decimal("1e30")]),
    ("numeric", "string", ["1.10", "'NaN'", "12345678901234567890.123"], ["1.10", "NaN", "12345678901234567890.123"]),
    ("boolean", "bool", ["true", "NULL"], [True, None]),
    ("text", "string", ["''", "'é 日本'"], ["", "é 日本"]),
    ("char(4)", "string", ["'ab'"], ["ab  "]),
    ("bytea", "binary", [r"'\x00ff'"], [b"\x00\xff"]),
    ("date", "date32[day]", ["'2026-01-15'"], [date(2026, 1, 15)]),
    ("time", "time64[us]", ["'10:20:30.5'"], [time(10, 20, 30, 500000)]),
    ("timestamp", "timestamp[us]", ["'2026-01-15 10:00'"], [datetime(2026, 1, 15, 10)]),
    ("timestamptz", "timestamp[us, tz=UTC]", ["'2026-01-15 10:00+05:30'"], [datetime(2026, 1, 15, 4, 30, tzinfo=UTC)]),
    ("uuid", "string", ["'00000000-0000-0000-0000-00000000000A'"], ["00000000-0000-0000-0000-00000000000a"]),
    ("json", "string", ["""'{"a":  1.00}'"""], ['{"a":  1.00}']),
    ("jsonb", "string", ["""'{"a": 1.00}'"""], ['{"a": 1.00}']),
    ("interval", "string", ["'1 month 2 days'"], ["1 mon 2 days"]),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "kind", "literals", "wanted"), EXACT, ids=[case[0] for case in EXACT])
def test_both_ways_give_the_exact_value(
    postgres: str, root: Storage, way: str, declared: str, kind: str, literals: list[str], wanted: list[Any]
) -> None:
    artifact = ingest(postgres, root, declared, literals)
    assert str(artifact.schema.field("v").type) in kind.split("|")
    found = [row["v"] for row in sorted(rows(artifact), key=lambda row: row["id"])]
    assert found == wanted
    assert counts(artifact) == (len(wanted), len(wanted), 0, 0)


AS_TEXT_OR_EXACT: list[tuple[str, str, str, Any]] = [
    ("smallint", "int16", "7", 7),
    ("int", "int32", "7", 7),
    ("bigint", "int64", "9223372036854775807", 2**63 - 1),
    ("oid", "int64", "4294967295", 4294967295),  # the driver alone makes it -1
    ("int[]", "string", "'{{1,2},{3,4}}'", "[[1,2],[3,4]]"),  # the driver alone flattens it
    ("text[]", "string", "'{a,NULL}'", '["a",null]'),
    ("inet", "string", "'10.0.0.1/8'", "10.0.0.1/8"),  # the driver alone gives the bytes of the wire
    ("int4range", "string", "'[1,3)'", "[1,3)"),
    ("money", "string", "12.5", "$12.50"),
    ("timetz", "string", "'10:00+02'", "10:00:00+02"),
    ("bit(3)", "string", "B'101'", "101"),
    ("numeric(3,-2)", "string", "12345", "12300"),
    ("mood_of_the_test", "string", "'fine'", "fine"),
    ("positive_of_the_test", "int32", "3", 3),
    ("amount_of_the_test", "decimal128(10, 2)", "1.5", Decimal("1.50")),
    ("list_of_the_test", "string", "'{1,2}'", "[1,2]"),
    ("moment_of_the_test", "timestamp[us, tz=UTC]", "'2026-01-01 01:00+01'", datetime(2026, 1, 1, tzinfo=UTC)),
    ("pair_of_the_test", "string", "ROW(1, 'x,y')", '(1,"x,y")'),
    ("pair_of_the_test[]", "string", "ARRAY[ROW(1, 'x')::pair_of_the_test]", '[{"a":1,"b":"x"}]'),
    ("numeric", "string", "'Infinity'", "Infinity"),
    ("numeric(5,8)", "string", "0.00012345", "0.00012345"),
    ("time(3)", "time64[us]", "'10:00:00.1239'", time(10, 0, 0, 124000)),
    ("timetz", "string", "'24:00:00+00'", "24:00:00+00"),
    ("interval", "string", "'-1 mon 2 days 03:04:05.6'", "-1 mons +2 days 03:04:05.6"),
    ("interval[]", "string", "ARRAY[interval '1 day']", '["1 day"]'),
    ('"char"', "string", "'a'", "a"),
    ("name", "string", "'x'", "x"),
    ("varbit", "string", "B'10110'", "10110"),
    ("cidr", "string", "'10.0.0.0/8'", "10.0.0.0/8"),
    ("macaddr", "string", "'08:00:2B:01:02:03'", "08:00:2b:01:02:03"),
    ("macaddr8", "string", "'08:00:2b:01:02:03:04:05'", "08:00:2b:01:02:03:04:05"),
    ("numrange", "string", "'[1.10,2)'", "[1.10,2)"),
    ("tstzrange", "string", "'[2026-01-01Z,infinity)'", '["2026-01-01 00:00:00+00",infinity)'),
    ("int4multirange", "string", "'{[1,3),[5,6)}'", "{[1,3),[5,6)}"),
    ("xml", "string", "'<a>1</a>'", "<a>1</a>"),
    ("tsvector", "string", "'a:1 b'", "'a':1 'b'"),
    ("tsquery", "string", "'a & b'", "'a' & 'b'"),
    ("point", "string", "'(1,0.1)'", "(1,0.1)"),
    ("line", "string", "'{1,2,3}'", "{1,2,3}"),
    ("lseg", "string", "'[(1,2),(3,4)]'", "[(1,2),(3,4)]"),
    ("box", "string", "'(3,4),(1,2)'", "(3,4),(1,2)"),
    ("path", "string", "'[(1,2),(3,4)]'", "[(1,2),(3,4)]"),
    ("polygon", "string", "'((1,2),(3,4))'", "((1,2),(3,4))"),
    ("circle", "string", "'<(1,2),3>'", "<(1,2),3>"),
    ("pg_lsn", "string", "'16/B374D848'", "16/B374D848"),
    ("regclass", "string", "'pg_class'", "pg_class"),
    ("float8[]", "string", "'{NaN,0.1,-Infinity}'", '["NaN",0.1,"-Infinity"]'),
    ("numeric[]", "string", "'{1.10,NaN}'", '[1.10,"NaN"]'),
    ("json[]", "string", """ARRAY['{"a":  1.00}'::json]""", '[{"a":  1.00}]'),
    ("bytea[]", "string", r"ARRAY['\x00ff'::bytea]", r'["\\x00ff"]'),
    ("timestamptz[]", "string", "'{2026-01-01Z,infinity}'", '["2026-01-01T00:00:00+00:00","infinity"]'),
    ("text[]", "string", """'{{a,NULL},{"x,y",é}}'""", '[["a",null],["x,y","é"]]'),
    ("int[]", "string", "'{}'", "[]"),
    ("int[]", "string", "'[0:1]={1,2}'", "[1,2]"),  # documented: where an array begins to count is not kept
    ("varchar(9)", "string", "'ab '", "ab "),
]


@pytest.fixture(scope="module")
def postgres_with_types(postgres: str) -> str:
    """The server with an enum, a composite type, and domains over types of every way."""
    execute(
        postgres,
        "CREATE TYPE mood_of_the_test AS ENUM ('fine', 'not')",
        "CREATE TYPE pair_of_the_test AS (a int, b text)",
        "CREATE DOMAIN positive_of_the_test AS int CHECK (value > 0)",
        "CREATE DOMAIN amount_of_the_test AS numeric(10, 2)",
        "CREATE DOMAIN list_of_the_test AS int[]",
        "CREATE DOMAIN moment_of_the_test AS timestamptz",
    )
    return postgres


@pytest.mark.parametrize(("declared", "literal"), [("hstore", "a=>1, b=>NULL"), ("citext", "Äb")])
def test_types_of_extensions(postgres: str, root: Storage, declared: str, literal: str) -> None:
    try:
        execute(postgres, f"CREATE EXTENSION IF NOT EXISTS {declared}")
    except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported):
        pytest.skip(f"{declared} is not installed (Debian: part of the postgresql package)")
    artifact = ingest(postgres, root, declared, [f"'{literal}'", "NULL"])
    wanted = '"a"=>"1", "b"=>NULL' if declared == "hstore" else literal
    assert [row["v"] for row in rows(artifact)] == [wanted, None]
    assert str(artifact.schema.field("v").type) == "string"


@pytest.mark.parametrize("declared", ["real", "double precision"])
def test_floats_that_are_no_numbers(postgres: str, root: Storage, way: str, declared: str) -> None:
    artifact = ingest(postgres, root, declared, ["'NaN'", "'Infinity'", "'-Infinity'", "NULL", "'-0'"])
    found = [row["v"] for row in sorted(rows(artifact), key=lambda row: row["id"])]
    assert [str(value) for value in found] == ["nan", "inf", "-inf", "None", "-0.0"]


@pytest.mark.parametrize(("declared", "kind", "literal", "wanted"), AS_TEXT_OR_EXACT)
def test_adbc_leaves_no_type_to_the_drivers_taste(
    postgres_with_types: str, root: Storage, declared: str, kind: str, literal: str, wanted: Any
) -> None:
    artifact = ingest(postgres_with_types, root, declared, [literal])
    assert str(artifact.schema.field("v").type) == kind
    assert rows(artifact) == [{"id": 0, "v": wanted}]


ENDS: list[tuple[str, str, Any]] = [
    ("int[]", "'{{{1},{2}},{{NULL},{4}}}'", "[[[1],[2]],[[null],[4]]]"),
    ("int[]", "NULL", None),
    ("bool[]", "'{t,NULL,f}'", "[true,null,false]"),
    ("date[]", "'{2026-01-01,infinity,0044-03-15 BC}'", '["2026-01-01","infinity","0044-03-15 BC"]'),
    ("uuid[]", "ARRAY['00000000-0000-0000-0000-00000000000A'::uuid]", '["00000000-0000-0000-0000-00000000000a"]'),
    ("bit(3)[]", "ARRAY[B'101']", '["101"]'),
    ("point[]", "ARRAY[point(1,2)]", '["(1,2)"]'),
    ("real", "'1e-45'", 1.401298464324817e-45),
    ("double precision", "'4.9e-324'", 5e-324),
    ("numeric(38,0)", "repeat('9', 38)::numeric", Decimal("9" * 38)),
    ("numeric(76,0)", "repeat('9', 76)::numeric", Decimal("9" * 76)),
    ("numeric(100,2)", "1.5", "1.50"),
    ("numeric", "'-Infinity'", "-Infinity"),
    ("date", "'0001-01-01'", date(1, 1, 1)),
    ("date", "'9999-12-31'", date(9999, 12, 31)),
    ("timestamp", "'0001-01-01'", datetime(1, 1, 1)),
    ("timestamp", "'9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", "'0001-01-01 00:00Z'", datetime(1, 1, 1, tzinfo=UTC)),
    ("timestamp(0)", "'2026-01-01 00:00:00.6'", datetime(2026, 1, 1, 0, 0, 1)),
    ("time", "'23:59:59.999999'", time(23, 59, 59, 999999)),
    ("timetz", "'10:00:00.5-03:30'", "10:00:00.5-03:30"),
    ("interval", "'-00:00:01'", "-00:00:01"),
    ("interval", "'1 year 2 mons 3 days 04:05:06.789'", "1 year 2 mons 3 days 04:05:06.789"),
    ("int8range", "'(,5]'", "(,6)"),
    ("daterange", "'[2026-01-01,)'", "[2026-01-01,)"),
    ("tsrange", "'empty'", "empty"),
    ("datemultirange", "'{[2026-01-01,2026-02-01)}'", "{[2026-01-01,2026-02-01)}"),
    ("money", "'-1234567.89'", "-$1,234,567.89"),
    ("varbit(5)", "B''", ""),
    ("bytea", "''", b""),
    ("bpchar", "'ab  '", "ab  "),
    ("jsonb", """'{"n": 12345678901234567890.12}'""", '{"n": 12345678901234567890.12}'),
    ("inet", "'::1'", "::1/128"),
    ("cidr", "'2001:db8::/32'", "2001:db8::/32"),
    ("xid8", "'18446744073709551615'", "18446744073709551615"),
    ("pg_snapshot", "'10:20:10,14'", "10:20:10,14"),
    ("jsonpath", "'$.a'", '$."a"'),
    ("regtype", "'int4'", "integer"),
    ("oidvector", "'1 2'", "1 2"),
    ("tid", "'(1,2)'", "(1,2)"),
]  # fmt: skip
"""What lies at the ends of a type, and types that are seldom a column: all in one table."""


def test_the_ends_of_every_type(postgres: str, root: Storage) -> None:
    declared = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(ENDS))
    table = f"ends_{next(NUMBER)}"
    values = ", ".join(literal for _, literal, _ in ENDS)
    execute(postgres, f"CREATE TABLE {table} ({declared})", f"INSERT INTO {table} VALUES ({values})")
    [row] = rows(read({"type": "database", "connection_string": postgres, "table": table}, root))
    assert row == {f"c{number}": wanted for number, (_, _, wanted) in enumerate(ENDS)}


@pytest.mark.parametrize(
    ("declared", "literal", "reason"),
    [
        ("timestamp", "'infinity'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("timestamptz", "'-infinity'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("date", "'infinity'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("date", "'0044-03-15 BC'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("date", "'5874897-12-31'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("timestamp", "'0044-03-15 12:00 BC'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("timestamptz", "'294276-12-31 23:59Z'", "v: an infinite time, or one outside the years 1 to 9999"),
        ("time", "'24:00:00'", "v: 24:00:00 is no time of a day"),
        ("numeric(10,2)", "'NaN'", "v: nan does not fit as decimal128(10, 2)"),
    ],
)
def test_what_arrow_cannot_hold_is_quarantined(
    postgres: str, root: Storage, declared: str, literal: str, reason: str
) -> None:
    artifact = ingest(postgres, root, declared, ["NULL", literal, "NULL"])
    [(found, row)] = quarantined(artifact)
    assert found == reason
    assert row["id"] == 1
    assert counts(artifact) == (3, 2, 1, 0)


def test_sums_and_counts_of_a_query_are_exact(postgres: str, root: Storage) -> None:
    query = "SELECT sum(i::bigint) AS s, count(*) AS n, avg(i)::numeric(6,2) AS a FROM generate_series(1, 4) i"
    artifact = read({"type": "database", "connection_string": postgres, "query": query}, root)
    assert rows(artifact) == [{"s": "10", "n": 4, "a": Decimal("2.50")}]


def test_parameters_are_bound_with_their_types(postgres: str, root: Storage, way: str) -> None:
    query = "SELECT :text AS t, ':text' AS literal, :count + 1 AS c, :day::date + 1 AS d, :none::int AS n;"
    parameters = {"text": "'; DROP TABLE users; --", "count": 41, "day": date(2026, 1, 15), "none": None}
    source = {"type": "database", "connection_string": postgres, "query": query, "parameters": parameters}
    if way == "cursor":
        source["query"] = query.replace(":text AS t", ":text::text AS t")
    [row] = rows(read(source, root))
    assert row == {"t": parameters["text"], "literal": ":text", "c": 42, "d": date(2026, 1, 16), "n": None}


def test_a_list_is_no_parameter(postgres: str, root: Storage) -> None:
    source = {"type": "database", "connection_string": postgres, "query": "SELECT :ids", "parameters": {"ids": [1]}}
    with pytest.raises(ConfigError, match="a list cannot be a query parameter"):
        read(source, root)


def test_windows_are_cut_in_utc_whatever_the_servers_zone(postgres: str, root: Storage, way: str) -> None:
    table = f"zoned_{next(NUMBER)}"
    execute(
        postgres,
        f"CREATE TABLE {table} (id int, at timestamptz)",
        f"INSERT INTO {table} VALUES (1, '2026-01-13 01:59:59.999999Z'), (2, '2026-01-13 02:00:00Z'), "
        "(3, '2026-01-14 01:59:59.999999Z'), (4, '2026-01-14 02:00:00Z'), (5, NULL)",
    )
    source = {"type": "database", "connection_string": postgres, "table": table}
    artifact = read(source | {"incremental": {"cursor_column": "at"}}, root)
    assert [row["id"] for row in rows(artifact)] == [2, 3]
    assert str(artifact.schema.field("at").type) == "timestamp[us, tz=UTC]"
    assert artifact.manifest.run["interval"] == [DAY.interval.start.isoformat(), DAY.interval.end.isoformat()]  # type: ignore[union-attr]


def test_names_are_quoted_and_schemas_understood(postgres: str, root: Storage, way: str) -> None:
    execute(
        postgres,
        "CREATE SCHEMA IF NOT EXISTS odd",
        'CREATE TABLE IF NOT EXISTS odd."Select ""X""" ("a %s b" int, "order" timestamp)',
        'TRUNCATE odd."Select ""X"""',
        'INSERT INTO odd."Select ""X""" VALUES (1, \'2026-01-13 12:00\')',
    )
    source = {"type": "database", "connection_string": postgres, "table": 'odd.Select "X"'}
    artifact = read(source | {"incremental": {"cursor_column": "order"}}, root)
    assert rows(artifact) == [{"a %s b": 1, "order": datetime(2026, 1, 13, 12)}]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"table": "generel_ledger_of_the_test"}, "no table 'generel_ledger_of_the_test'. Did you mean 'general_ledger_of_the_test'"),
        ({"query": "SELECT * FROM nowhere"}, 'relation "nowhere" does not exist'),
        ({"query": "SELECT nope FROM general_ledger_of_the_test"}, 'column "nope" does not exist'),
        ({"query": "SELEC 1"}, 'syntax error at or near'),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "more than one column is named 'a'"),
        ({"query": "SELECT 1 / (i - 90000) AS x FROM generate_series(1, 100000) i"}, "division by zero"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_is_terminal_and_explained(
    postgres: str, root: Storage, keys: dict[str, str], message: str
) -> None:
    execute(postgres, "CREATE TABLE IF NOT EXISTS general_ledger_of_the_test (id int)")
    with pytest.raises(SourceRejectedError) as caught:
        read({"type": "database", "connection_string": postgres, **keys}, root)
    assert message in str(caught.value)
    assert caught.value.hint
