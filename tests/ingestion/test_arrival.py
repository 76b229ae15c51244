"""Looks at sources for whoever waits: there is something exactly when `ingest` of the same run would read something."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.ingestion.arrival import Visit, api_answers, new_objects, new_rows
from airflow_provider_mlpipe.ingestion.watermark import FileWatermark
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import DAY, read
from tests.servers import PASSWORD, Answer, Bucket, free_ports, json_api, mysql_connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

END = DAY.interval.end
MANUAL = Run(dag_id="tests", run_id="manual__1")


def visit(source: dict[str, Any], root: Storage, run: Run = DAY, **more: Any) -> Visit:
    more.setdefault("as_of", END)
    return Visit(source=config.source(source, "things"), root=root, run=run, **more)


# ------------------------------------------------------------------ objects


def test_a_file_is_there_once_it_is_and_new_until_a_run_has_read_it(root, tmp_path: Path) -> None:
    source = {"type": "file", "path": str(tmp_path / "in" / "*.csv"), "only_new": True}
    first, second, third = (Run(dag_id="tests", run_id=name) for name in ("one", "two", "three"))
    assert not new_objects(visit(source, root, first)).there
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("x\n1\n")
    found = new_objects(visit(source, root, first))
    assert found.there
    assert found.facts == {
        "source": "things",
        "location": source["path"],
        "objects": 1,
        "bytes": 4,
        "paths": [str(tmp_path / "in" / "a.csv")],
    }
    read(source, root, first, as_of=END)
    assert not new_objects(visit(source, root, second)).there
    assert new_objects(visit(source, root, first)).there, "a run that is repeated reads what it read"
    (tmp_path / "in" / "a.csv").write_text("x\n1\n2\n")
    assert new_objects(visit(source, root, second)).facts["objects"] == 1
    read(source, root, second, as_of=END)
    read(source, root, third, as_of=END)  # reads nothing
    assert new_objects(visit(source, root, third)).there, "nor does one wait that published without a file"


def test_without_only_new_any_file_will_do(root, tmp_path: Path) -> None:
    source = {"type": "file", "path": str(tmp_path / "{end:%Y-%m-%d}" / "*.csv")}
    (tmp_path / "2026-01-14").mkdir()
    assert not new_objects(visit(source, root)).there
    (tmp_path / "2026-01-14" / "a.csv").write_text("x\n1\n")
    assert new_objects(visit(source, root)).there
    read(source, root)
    assert new_objects(visit(source, root)).there


def test_objects_of_a_bucket_are_told_by_their_etags(root, s3: Bucket) -> None:
    source = {"type": "file", "path": f"{s3.uri}/arrival/*.csv", "only_new": True}
    there = Connection(s3=s3.options)
    looks: Callable[[], Any] = lambda: new_objects(visit(source, root, MANUAL, as_of=None, connection=there))  # noqa: E731
    client = _client(s3)
    assert not looks().there
    client.put_object(Bucket=s3.bucket, Key="arrival/a.csv", Body=b"x\n1\n")
    first = looks()
    assert first.there
    client.put_object(Bucket=s3.bucket, Key="arrival/a.csv", Body=b"x\n2\n")
    assert len(looks().tokens - first.tokens) == 1
    read(source, root, Run(dag_id="tests", run_id="one"), as_of=END, connection=there)
    assert not looks().there


def _client(s3: Bucket) -> Any:
    from airflow_provider_mlpipe.artifacts import Storage

    return Storage(s3.uri, s3.options).client()


def test_a_bucket_that_is_not_there_will_not_come(root, s3: Bucket) -> None:
    for only_new in (True, False):
        source = {"type": "file", "path": "s3://nowhere/a/*.csv", "only_new": only_new}
        with pytest.raises(SourceRejectedError, match="nowhere"):
            new_objects(visit(source, root, connection=Connection(s3=s3.options)))


# ------------------------------------------------------------------ rows

NUMBER = itertools.count()
WATERMARK = {"cursor_column": "moment", "window": "watermark", "lookback": "7d", "initial": "2026-01-01"}
CREATE = "CREATE TABLE {name} (id INTEGER, moment {kind})"
INSERT = "INSERT INTO {name} VALUES (1, {value})"


def at(moment: datetime) -> str:
    return f"'{moment:%Y-%m-%d %H:%M:%S.%f}'"


@pytest.fixture(params=["postgres", "postgres timestamptz", "mariadb", "sqlite", "duckdb by driver"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], Callable[[str], None]]:
    """A source, and how to run SQL where its table ``arrivals`` is; times in it are UTC."""
    name = f"arrivals_{next(NUMBER)}"
    kind = {"postgres timestamptz": "timestamptz"}.get(request.param, "timestamp")
    if request.param.startswith("postgres"):
        import psycopg

        uri = request.getfixturevalue("postgres")

        def run(sql: str) -> None:
            with psycopg.connect(uri, autocommit=True, options="-c timezone=UTC") as connection:
                connection.execute(sql.encode())

        where = {"connection_string": uri}
    elif request.param == "mariadb":
        uri, kind = request.getfixturevalue("mariadb"), "datetime(6)"

        def run(sql: str) -> None:
            with mysql_connection(uri) as connection, connection.cursor() as cursor:
                cursor.execute(sql)

        where = {"connection_string": uri}
    elif request.param == "sqlite":
        path = tmp_path / "arrivals.db"

        def run(sql: str) -> None:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(sql)

        where = {"connection_string": f"sqlite:///{path}"}
    else:
        path = tmp_path / "arrivals.duckdb"

        def run(sql: str) -> None:
            with duckdb.connect(str(path)) as connection:
                connection.execute(sql)

        where = {"driver": "duckdb", "connect": {"database": str(path)}}
    run(CREATE.format(name=name, kind=kind))
    source = {"type": "database", "table": name, "incremental": WATERMARK, **where}
    return source, lambda value: run(INSERT.format(name=name, value=value))


def test_rows_beyond_the_watermark_are_new(table: Any, root: Storage) -> None:
    source, insert = table
    hour = timedelta(hours=1)
    mark = FileWatermark.of(config.source(source, "things"), root, MANUAL)
    insert("NULL")
    insert(at(datetime(2025, 12, 31, tzinfo=UTC)))  # before `initial`
    assert not new_rows(visit(source, root, MANUAL)).there
    insert(at(END - hour))
    found = new_rows(visit(source, root, MANUAL))
    assert found.there
    assert found.facts["newest"] == (END - hour).isoformat()
    assert found.facts["since"] == "2026-01-01T00:00:00+00:00"
    read(source, root, Run(dag_id="tests", run_id="one"), as_of=END - hour / 2)
    assert mark.read() == END - hour / 2
    assert not new_rows(visit(source, root, MANUAL)).there, "what the lookback reads again is not new"
    insert(at(END))
    assert not new_rows(visit(source, root, MANUAL)).there, "the run ends before it"
    beyond = new_rows(visit(source, root, MANUAL), beyond_as_of=True)
    assert beyond.facts["newest"] == END.isoformat()
    watched = new_rows(visit(source, root, MANUAL, as_of=None))
    assert watched.tokens == beyond.tokens == {END.isoformat()}
    assert PASSWORD not in f"{beyond.facts}"


def test_rows_of_a_query_and_of_an_interval(table: Any, root: Storage) -> None:
    source, insert = table
    name = source.pop("table")
    query = {"query": f"SELECT moment AS came FROM {name} WHERE id = :one", "parameters": {"one": 1}}
    source |= query | {"incremental": {"cursor_column": "came", "lookback": "1d"}}
    insert(at(DAY.interval.start - timedelta(seconds=1)))
    insert(at(END))
    assert not new_rows(visit(source, root)).there
    insert(at(DAY.interval.start))
    assert new_rows(visit(source, root)).facts["newest"] == DAY.interval.start.isoformat()


def test_a_column_or_table_that_is_not_there_will_not_come(table: Any, root: Storage) -> None:
    source, insert = table
    insert("NULL")
    wrong = {**source, "incremental": {**WATERMARK, "cursor_column": "updated_at"}}
    with pytest.raises(SourceRejectedError, match="updated_at"):
        new_rows(visit(wrong, root, MANUAL))
    with pytest.raises(SourceRejectedError, match="no_such"):
        new_rows(visit({**source, "table": "no_such"}, root, MANUAL))


def test_sqlite_tells_times_in_any_spelling(root: Storage, tmp_path: Path) -> None:
    path = tmp_path / "spellings.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (moment TEXT)")
    source = {"type": "database", "table": "t", "incremental": WATERMARK, "connection_string": f"sqlite:///{path}"}
    # 23:30Z on the day before, and 01:59:59.5Z; as texts they sort the other way round. The rest is no time, or late.
    for text in ("2026-01-14T05:00:00+05:30", "2026-01-14T01:59:59.5Z", "2026-01-14 02:00:00", "soon"):
        with connection:
            connection.execute("INSERT INTO t VALUES (?)", [text])
    connection.close()
    assert new_rows(visit(source, root, MANUAL)).facts["newest"] == "2026-01-14T01:59:59.500000+00:00"
    query = {key: value for key, value in source.items() if key != "table"} | {"query": "SELECT moment AS x FROM t"}
    with pytest.raises(SourceRejectedError, match="no column 'moment'"):
        new_rows(visit(query, root, MANUAL))


def test_infinity_is_no_newest_time(postgres: str, root: Storage) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE TABLE endless (moment timestamptz)")
        connection.execute("INSERT INTO endless VALUES ('infinity'), ('2026-01-13T12:00:00Z')")
    source = {"type": "database", "table": "endless", "incremental": WATERMARK, "connection_string": postgres}
    assert new_rows(visit(source, root, as_of=None)).facts["newest"] == "2026-01-13T12:00:00+00:00"


def test_a_database_that_is_down_is_worth_another_look(root: Storage) -> None:
    [port] = free_ports()
    for scheme in ("postgresql", "mysql"):
        url = f"{scheme}://shop:{PASSWORD}@127.0.0.1:{port}/shop"
        source = {"type": "database", "table": "t", "incremental": WATERMARK, "connection_string": url}
        with pytest.raises(SourceUnavailableError) as raised:
            new_rows(visit(source, root, MANUAL))
        assert PASSWORD not in f"{raised.value!r}{raised.value.__cause__!r}"


def test_what_cannot_be_waited_for_says_so(root: Storage, tmp_path: Path) -> None:
    rows = {"type": "database", "table": "t", "connection_string": "sqlite:///x.db"}
    files = {"type": "file", "path": str(tmp_path)}
    for look, source, problem in [
        (new_rows, rows, "nothing says which rows are new"),
        (new_rows, files, "rows can be waited for where type is database, it is file"),
        (new_objects, rows, "objects can be waited for where type is file, it is database"),
        (api_answers, files, "an answer can be waited for where type is api, it is file"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            look(visit(source, root))
    with pytest.raises(ConfigError, match="31d counts from a run's as_of"):
        new_rows(visit({**rows, "incremental": {"cursor_column": "moment", "window": "31d"}}, root, as_of=None))
    with pytest.raises(ConfigError, match="needs a data interval"):
        new_rows(visit({**rows, "incremental": {"cursor_column": "moment"}}, root, MANUAL, as_of=None))


# ------------------------------------------------------------------ answers


def test_an_api_answers_or_not_yet_or_never(root: Storage) -> None:
    status = [503]
    routes = {"/tasks": lambda _: Answer([{"id": 1}] * 100_000 if status[0] == 200 else {}, status=status[0])}
    with json_api(routes) as api:
        source = {
            "type": "api",
            "url": f"{api.url}/tasks",
            "params": {"since": "{start}"},
            "auth": {"type": "bearer", "token": PASSWORD},
        }
        looked = visit(source, root)
        for number, kind in [(503, SourceUnavailableError), (429, SourceUnavailableError), (404, SourceRejectedError)]:
            status[0] = number
            with pytest.raises(kind, match=f"it answered {number}") as raised:
                api_answers(looked)
            assert PASSWORD not in str(raised.value)
        status[0] = 200
        assert api_answers(looked).there
        assert len(api.requests) == 4, "one request a look"
        assert api.requests[-1].query == {"since": DAY.interval.start.isoformat()}
        assert api.requests[-1].headers["Authorization"] == f"Bearer {PASSWORD}"
    with pytest.raises(SourceUnavailableError, match="refused"):
        api_answers(looked)
