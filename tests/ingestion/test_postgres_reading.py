"""PostgreSQL beyond the types: every kind of relation, one snapshot, several connections, settings, no injection."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import postgres as reading
from airflow_provider_mlpipe.ingestion.concurrency import together
from tests.ingestion.support import counts, read, rows
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

NUMBER = itertools.count()


def execute(uri: str, *statements: str) -> list[Any]:
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def source(uri: str, **keys: Any) -> dict[str, Any]:
    return {"type": "database", "connection_string": uri, **keys}


# ------------------------------------------------------------------ relations


@pytest.fixture(scope="module")
def relations(postgres: str) -> str:
    """A URI of a database in which every kind of relation has the rows 1, 2, 3."""
    host = psycopg.conninfo.conninfo_to_dict(postgres)
    execute(
        postgres,
        "CREATE SCHEMA kinds",
        "CREATE TABLE kinds.plain AS SELECT generate_series(1, 3) AS id",
        "CREATE VIEW kinds.view AS SELECT * FROM kinds.plain",
        "CREATE MATERIALIZED VIEW kinds.materialized AS SELECT * FROM kinds.plain",
        "CREATE TABLE kinds.partitioned (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE kinds.low PARTITION OF kinds.partitioned FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE kinds.high PARTITION OF kinds.partitioned FOR VALUES FROM (2) TO (9)",
        "INSERT INTO kinds.partitioned SELECT * FROM kinds.plain",
        "CREATE TABLE kinds.parent (id int)",
        "CREATE TABLE kinds.child () INHERITS (kinds.parent)",
        "INSERT INTO kinds.parent VALUES (1)",
        "INSERT INTO kinds.child VALUES (2), (3)",
    )
    try:
        execute(postgres, "CREATE EXTENSION postgres_fdw")
    except psycopg.errors.UndefinedFile:
        return postgres
    execute(
        postgres,
        f"CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{host['port']}', dbname 'postgres')",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS (user '{host['user']}', password '{host['password']}')",
        "CREATE FOREIGN TABLE kinds.foreign (id int) SERVER itself OPTIONS (schema_name 'kinds', table_name 'plain')",
    )
    return postgres


@pytest.mark.parametrize("kind", ["plain", "view", "materialized", "partitioned", "parent", "foreign"])
def test_every_kind_of_relation(relations: str, root: Storage, kind: str) -> None:
    if kind == "foreign" and not execute(relations, "SELECT 1 FROM pg_extension WHERE extname = 'postgres_fdw'"):
        pytest.skip("postgres_fdw is not installed (Debian: part of the postgresql package)")
    artifact = read(source(relations, table=f"kinds.{kind}"), root)
    assert rows(artifact) == [{"id": 1}, {"id": 2}, {"id": 3}]


# ------------------------------------------------------------------ snapshot and settings


def test_all_rows_are_of_one_moment(postgres: str, root: Storage) -> None:
    """Rows written and removed while others are still on their way do not count, in one connection and in four."""
    execute(postgres, "CREATE TABLE moment AS SELECT n, repeat('x', 200) AS filler FROM generate_series(1, 60000) AS n")
    for parallel in (1, 4):
        [(before, total)] = execute(postgres, "SELECT count(*), sum(n) FROM moment")
        changed: list[int] = []

        def change(_: int, changed: list[int] = changed) -> None:
            if not changed:
                changed.append(1)
                execute(
                    postgres, "INSERT INTO moment SELECT -n, 'new' FROM generate_series(1, 50) AS n",
                    "UPDATE moment SET filler = 'moved' WHERE n % 10 = 0", "DELETE FROM moment WHERE n % 7 = 0",
                )  # fmt: skip

        artifact = read(source(postgres, table="moment", parallel=parallel), root, progress=change)
        values = artifact.table()["n"].to_pylist()
        assert changed
        assert (len(values), sum(values)) == (before, total)


def test_the_session_is_what_the_documentation_says(postgres: str, root: Storage) -> None:
    execute(
        postgres,
        "CREATE ROLE odd LOGIN PASSWORD 'odd' SUPERUSER",
        "ALTER ROLE odd SET extra_float_digits = -10",
        "ALTER ROLE odd SET DateStyle = 'German'",
        "ALTER ROLE odd SET IntervalStyle = 'sql_standard'",
        "ALTER ROLE odd SET bytea_output = 'escape'",
    )
    details = psycopg.conninfo.conninfo_to_dict(postgres)
    theirs = f"postgresql://odd:odd@127.0.0.1:{details['port']}/{details['dbname']}"
    query = """SELECT current_setting('transaction_isolation') AS isolation, current_setting('TimeZone') AS zone,
      current_setting('transaction_read_only') AS read_only, ARRAY[0.1::float8 + 0.2] AS floats,
      daterange('2026-01-02', '2026-03-04') AS dates, interval '1 month 2 days' AS lasts,
      ROW('\\x00ff'::bytea) AS bytes"""
    [row] = rows(read(source(theirs, query=query), root))
    assert row == {
        "isolation": "repeatable read", "zone": "UTC", "read_only": "on", "floats": "[0.30000000000000004]",
        "dates": "[2026-01-02,2026-03-04)", "lasts": "1 mon 2 days", "bytes": '("\\\\x00ff")',
    }  # fmt: skip


def test_nothing_can_be_written(postgres: str, root: Storage) -> None:
    execute(postgres, "CREATE SEQUENCE IF NOT EXISTS counter_of_the_test")
    with pytest.raises(SourceRejectedError, match="in a read-only transaction"):
        read(source(postgres, query="SELECT nextval('counter_of_the_test')"), root)


def test_a_statement_timeout_of_the_connection_is_honoured(postgres: str, root: Storage) -> None:
    with pytest.raises(SourceUnavailableError, match="canceling statement due to statement timeout"):
        read(source(f"{postgres}?options=-c%20statement_timeout%3D200", query="SELECT pg_sleep(60)"), root)


def test_ssl_that_the_server_does_not_have_is_told_and_not_tried_again(postgres: str, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match="server does not support SSL, but SSL was required") as caught:
        read(source(f"{postgres}?sslmode=require", query="SELECT 1 AS one"), root)
    assert "sslmode" in caught.value.hint


def test_an_option_that_libpq_does_not_know_is_named(postgres: str, root: Storage) -> None:
    with pytest.raises(SourceRejectedError, match='invalid URI query parameter: "sslmood"'):
        read(source(f"{postgres}?sslmood=require", query="SELECT 1 AS one"), root)


# ------------------------------------------------------------------ injection

EVIL = [
    "'; DROP TABLE victim; --",
    '"; DROP TABLE victim; --',
    "\\'; DROP TABLE victim; --",
    "$$; DROP TABLE victim; $$",
]


@pytest.mark.parametrize("text", EVIL)
def test_values_and_names_are_never_statements(postgres: str, root: Storage, text: str) -> None:
    execute(postgres, "CREATE TABLE IF NOT EXISTS victim (id int)")
    query = "SELECT :text AS value, ':text' AS literal /* :text */ -- :text"
    [row] = rows(read(source(postgres, query=query, parameters={"text": text}), root))
    assert row == {"value": text, "literal": ":text"}
    with pytest.raises(SourceRejectedError, match="there is no table"):
        read(source(postgres, table=text.replace(".", "")), root)
    with pytest.raises(SourceRejectedError):
        read(source(postgres, table="victim", incremental={"cursor_column": text}), root)
    with pytest.raises(SourceRejectedError):
        read(source(postgres, table="victim", parallel=2, parallel_key=text), root)
    assert rows(read(source(postgres, table="victim"), root)) == []


@pytest.mark.parametrize("table", ['"du"".sk"."or.ders"', '"du"".sk".plain'])
def test_a_name_with_a_dot_in_it_stands_in_quotes(postgres: str, root: Storage, table: str) -> None:
    execute(
        postgres, 'DROP SCHEMA IF EXISTS "du"".sk" CASCADE', 'CREATE SCHEMA "du"".sk"',
        'CREATE TABLE "du"".sk"."or.ders" AS SELECT 1 AS id', 'CREATE TABLE "du"".sk".plain AS SELECT 1 AS id',
    )  # fmt: skip
    assert rows(read(source(postgres, table=table), root)) == [{"id": 1}]


def test_a_table_without_columns_is_refused(postgres: str, root: Storage) -> None:
    execute(postgres, "CREATE TABLE IF NOT EXISTS bare ()", "INSERT INTO bare DEFAULT VALUES")
    with pytest.raises(SourceRejectedError, match="it has no columns"):
        read(source(postgres, table="bare"), root)


def test_a_query_cannot_leave_its_brackets(postgres: str, root: Storage) -> None:
    execute(postgres, "CREATE TABLE IF NOT EXISTS victim (id int)")
    with pytest.raises(SourceRejectedError, match="multiple commands|syntax error"):
        read(source(postgres, query="SELECT 1 AS a) AS b; DROP TABLE victim; SELECT * FROM (SELECT 1"), root)
    assert rows(read(source(postgres, table="victim"), root)) == []


# ------------------------------------------------------------------ several connections

LARGE = 40_000


@pytest.fixture(scope="module")
def large(postgres: str) -> str:
    """A URI; table ``large`` has some hundred pages, awkward keys, nulls and holes; ``large_parts`` is partitioned."""
    columns = """n AS id, CASE WHEN n % 11 = 0 THEN NULL ELSE (n * 7919 % 1000)::bigint END AS key,
        CASE n % 500 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE timestamptz '2026-01-01Z' + n * interval '1 min' END AS at,
        CASE WHEN n % 97 = 0 THEN 'NaN' ELSE (n / 7.0)::numeric END AS amount, date '2026-01-01' + n % 50 AS due,
        repeat('x', 100) AS filler"""
    execute(
        postgres,
        f"CREATE TABLE large AS SELECT {columns} FROM generate_series(1, {LARGE}) AS n",
        "DELETE FROM large WHERE id BETWEEN 10000 AND 20000",
        "UPDATE large SET filler = 'moved' WHERE id % 100 = 3",
        "CREATE VIEW large_view AS SELECT * FROM large",
        "CREATE TABLE large_parts (LIKE large) PARTITION BY RANGE (id)",
        "CREATE TABLE large_low PARTITION OF large_parts FOR VALUES FROM (0) TO (5000)",
        "CREATE TABLE large_high PARTITION OF large_parts FOR VALUES FROM (5000) TO (90000)",
        "INSERT INTO large_parts SELECT * FROM large",
    )
    return postgres


DIVISIONS = [
    {"table": "large", "parallel": 4},
    {"table": "large_parts", "parallel": 3},
    {"table": "large", "parallel": 4, "parallel_key": "id"},
    {"table": "large_view", "parallel": 3, "parallel_key": "key"},
    {"table": "large", "parallel": 5, "parallel_key": "at"},
    {"table": "large", "parallel": 3, "parallel_key": "amount"},
    {"table": "large", "parallel": 16, "parallel_key": "due"},
    {"query": "SELECT * FROM large WHERE id >= :low", "parameters": {"low": 0}, "parallel": 3, "parallel_key": "id"},
]


@pytest.fixture(scope="module")
def whole(large: str, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    from airflow_provider_mlpipe.artifacts import Storage

    return read(source(large, table="large"), Storage(str(tmp_path_factory.mktemp("whole"))))


@pytest.fixture
def divisions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of connections of each read that more than one took part in."""
    counted: list[int] = []

    def counting(parts: Any, *, held: int) -> Any:
        counted.append(len(parts))
        return together(parts, held=held)

    monkeypatch.setattr(reading, "together", counting)
    return counted


@pytest.mark.parametrize("keys", DIVISIONS, ids=lambda keys: "-".join(map(str, keys.values()))[:40])
def test_the_same_rows_whoever_reads(
    large: str, root: Storage, whole: Artifact, keys: dict[str, Any], divisions: list[int]
) -> None:
    artifact = read(source(large, **keys), root)
    assert artifact.fingerprint == whole.fingerprint
    assert counts(artifact) == counts(whole)
    [connections] = divisions
    assert 2 <= connections <= keys["parallel"]


def test_a_window_is_divided_too(large: str, root: Storage) -> None:
    incremental = {"cursor_column": "at", "window": "3d", "on_null": "include"}
    one = read(source(large, table="large", incremental=incremental), root)
    four = read(source(large, table="large", incremental=incremental, parallel=4), root)
    assert four.fingerprint == one.fingerprint
    assert 0 < one.manifest.rows < LARGE / 2


def test_a_small_or_empty_table_needs_no_second_connection(postgres: str, root: Storage, divisions: list[int]) -> None:
    execute(postgres, "CREATE TABLE IF NOT EXISTS small_of_the_test (id int)")
    for keys in ({}, {"parallel_key": "id"}):
        artifact = read(source(postgres, table="small_of_the_test", parallel=4, **keys), root)
        assert artifact.manifest.rows == 0
    assert divisions == []


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"table": "large_view"}, ConfigError, "only a table has pages to be divided by"),
        ({"query": "SELECT 1 AS a"}, ConfigError, "Name a column to divide by with parallel_key"),
        ({"table": "large", "parallel_key": "filler"}, ConfigError, "column 'filler' is text, which cannot be divided"),
        ({"table": "large", "parallel_key": "idd"}, SourceRejectedError, "idd"),
    ],
)
def test_what_cannot_be_divided_is_refused(
    large: str, root: Storage, keys: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read(source(large, parallel=2, **keys), root)


def test_an_error_of_one_connection_ends_all_and_publishes_nothing(large: str, root: Storage) -> None:
    query = "SELECT id, 1 / (id - 35000) AS broken, pg_sleep(0) FROM large"
    with pytest.raises(SourceRejectedError, match="division by zero"):
        read(source(large, query=query, parallel=4, parallel_key="id"), root)
    assert not root.below("things/raw").names()


def test_leaving_in_the_middle_stops_the_servers_work(large: str, root: Storage) -> None:
    """A consumer that fails does not leave queries behind that run for minutes."""

    def fail(_: int) -> None:
        raise KeyboardInterrupt

    # Not volatile, so that it is only called where the column is read.
    execute(
        large,
        "CREATE FUNCTION sleepy(int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN 1; END'",
    )
    query = "SELECT id, CASE WHEN id > 39000 THEN sleepy(id) END AS slow, repeat('y', 2000) AS wide FROM large"
    with pytest.raises(KeyboardInterrupt):
        read(source(large, query=query, parallel=4, parallel_key="id"), root, progress=fail)
    running = (
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleepy%' AND state = 'active' AND pid <> pg_backend_pid()"
    )
    until(lambda: not execute(large, running), "queries were left behind")


def test_a_bounded_number_of_batches_waits() -> None:
    made: list[int] = []

    class Part:
        def items(self) -> Iterator[int]:
            for number in range(1000):
                made.append(number)
                yield number

        def cancel(self) -> None:
            pass

    with together([Part(), Part()], held=3) as items:
        for taken, _ in enumerate(itertools.islice(items, 100), 1):
            assert len(made) <= taken + 3 + 2 + 1  # those that wait, one in each hand, and the one just given
    assert len(made) < 200


# ------------------------------------------------------------------ what it costs


def test_neither_pandas_nor_sqlalchemy_is_imported(large: str, tmp_path: Any) -> None:
    """They cost a second and 100 MB in every task; pyarrow imports pandas to convert a single Python value."""
    program = f"""
import sys
from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.run import Interval, Run
source = {{"type": "database", "connection_string": {large!r}, "parallel": 2, "parallel_key": "id",
  "query": "SELECT * FROM large WHERE id > :low AND isfinite(at)", "parameters": {{"low": 1}},
  "incremental": {{"cursor_column": "at"}}}}
run = Run(interval=Interval(start="2026-01-02", end="2026-01-03"))
artifact = ingest(config.source(source, "things"), root=Storage({str(tmp_path)!r}), run=run)
assert artifact.manifest.rows > 1000
print([name for name in ("pandas", "sqlalchemy", "psycopg", "polars", "ibis", "airflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
