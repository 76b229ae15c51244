"""What data sets are called in lineage: OpenLineage's names, the same for every run, and nobody's password in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.lineage.places import database, place_of, source_places, table_place
from airflow_provider_mlpipe.lineage.queries import Query, Read

SECRET = "s3cr3t"


def places(connection: Connection | None = None, **source: object) -> list[tuple[str, str]]:
    """Return what a source of an ingestion file reads."""
    model = config.source({"sources": {"it": source}}, "it").model
    return [tuple(place) for place in source_places(model, connection)]


@pytest.mark.parametrize(
    ("url", "table", "namespace", "name"),
    [
        (f"postgresql://ann:{SECRET}@db:6543/shop?sslmode=require", "users", "postgres://db:6543", "shop.public.users"),
        ("postgresql+psycopg://db/shop", "crm.users", "postgres://db:5432", "shop.crm.users"),
        (f"postgresql://ann:{SECRET}@h1:1,h2:2/shop", "users", "postgres://h1:1", "shop.public.users"),
        (f"mysql+pymysql://ann:{SECRET}@db/shop", "users", "mysql://db:3306", "shop.users"),
        ("mysql://db/shop", "other.users", "mysql://db:3306", "other.users"),
        (f"mssql+pyodbc://ann:{SECRET}@db/shop", "users", "sqlserver://db:1433", "shop.dbo.users"),
        ("trino://ann@t:8443/hive/web", "logs", "trino://t:8443", "hive.web.logs"),
        ("sqlite:////data/tracker.db", "users", "sqlite:///data/tracker.db", "users"),
        ("sqlite://", "users", "sqlite://", "users"),
    ],
)
def test_a_table_is_named_as_openlineage_names_it(url: str, table: str, namespace: str, name: str) -> None:
    assert table_place(database(url), table) == (namespace, name)


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("/lake/users/raw/20260113T020000Z-20260114T020000Z", "file", "/lake/users/raw"),
        ("/lake/users/raw/20260113T020000Z-20260114T020000Z-m0012", "file", "/lake/users/raw"),
        ("/lake/users/raw/run-manual__2026-01-13T02_00_00+00_00", "file", "/lake/users/raw"),
        ("/lake/users/raw-all/20260113T020000Z-20260114T020000Z", "file", "/lake/users/raw"),
        ("s3://lake/ml/users/raw/20260113T020000Z-20260114T020000Z", "s3://lake", "ml/users/raw"),
        ("s3://lake", "s3://lake", "/"),
        ("file:///data/users.csv", "file", "/data/users.csv"),
        ("/data/events/{start:%Y}/*.csv", "file", "/data/events"),
    ],
)
def test_an_artifact_is_one_data_set_over_all_runs_and_mapped_tasks(uri: str, namespace: str, name: str) -> None:
    assert place_of(uri) == (namespace, name)


def test_a_relative_path_is_named_from_the_root() -> None:
    assert place_of("data/users.csv") == ("file", str(Path.cwd() / "data" / "users.csv"))


def test_an_endpoint_is_named_without_its_parameters_and_who_asks() -> None:
    url = f"https://ann:{SECRET}@api.example.com:8443/v1/tasks?token={SECRET}"

    assert places(type="api", url=url) == [("https://api.example.com:8443", "/v1/tasks")]


def test_an_endpoint_may_be_relative_to_its_connection() -> None:
    connection = Connection(uri="https://api.example.com", headers={"Authorization": f"Bearer {SECRET}"})

    assert places(connection, type="api", url="/v1/tasks") == [("https://api.example.com", "/v1/tasks")]


def test_a_topic_is_named_by_its_first_broker() -> None:
    named = [("kafka://k1:9092", "events"), ("kafka://k1:9092", "more")]

    assert places(type="kafka", topic=["events", "more"], bootstrap_servers="k1:9092,k2:9092") == named
    connection = Connection(kafka={"bootstrap.servers": "k1:9092", "sasl.password": SECRET})
    assert places(connection, type="kafka", topic=["events", "more"], conn_id="k") == named


def test_a_table_may_be_read_by_a_connection() -> None:
    connection = Connection(uri=f"postgresql://ann:{SECRET}@db:5432/shop")

    assert places(connection, type="database", table="users", conn_id="shop") == [
        ("postgres://db:5432", "shop.public.users")
    ]


def test_of_a_query_every_table_is_an_input() -> None:
    query = "WITH late AS (SELECT * FROM tasks WHERE late) SELECT * FROM late JOIN crm.users u ON u.id = late.user_id"

    found = places(type="database", connection_string=f"postgresql://ann:{SECRET}@db/shop", query=query)

    assert sorted(name for _, name in found) == ["shop.crm.users", "shop.public.tasks"]
    assert SECRET not in str(found)


def test_a_dlt_resource_is_named_by_itself() -> None:
    assert places(type="dlt", resource="shop.sources:orders") == [("dlt", "shop.sources:orders")]


def test_files_are_named_by_what_does_not_change() -> None:
    assert places(type="file", path="s3://lake/exports/{end:%Y/%m/%d}/*.csv") == [("s3://lake", "exports")]


def test_columns_of_a_query_lead_to_the_columns_that_they_are_of() -> None:
    query = Query.read(
        "SELECT t.id AS task, u.team, upper(u.name) AS who, count(*) AS n, sum(t.hours) AS hours, price "
        "FROM tasks t JOIN crm.users u ON u.id = t.user_id GROUP BY 1, 2, 3, price",
        "postgres",
    )

    assert query is not None
    assert query.columns == {
        "task": (Read("tasks", "id", "IDENTITY"),),
        "team": (Read("crm.users", "team", "IDENTITY"),),
        "who": (Read("crm.users", "name", "TRANSFORMATION"),),
        "n": (),
        "hours": (Read("tasks", "hours", "AGGREGATION"),),
        # price: of which of the two tables, the text does not say
    }


USERS, TASKS = (Read(table, "id", "IDENTITY") for table in ("users", "tasks"))


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("WITH late AS (SELECT id FROM tasks) SELECT id FROM late", {"id": (TASKS,)}),
        ("WITH late(task) AS (SELECT id FROM tasks) SELECT task FROM late", {"task": (TASKS,)}),
        ("WITH users AS (SELECT id FROM tasks) SELECT users.id FROM users", {"id": (TASKS,)}),
        ("SELECT id AS task FROM (SELECT id FROM tasks) t", {"task": (TASKS,)}),
        ("SELECT * FROM (SELECT id FROM tasks) t", {"id": (TASKS,)}),
        ("SELECT id FROM (SELECT * FROM tasks) t", {"id": (TASKS,)}),
        ("SELECT id FROM tasks UNION ALL SELECT id FROM users", {"id": (TASKS, USERS)}),
        ("SELECT t.id FROM (SELECT * FROM tasks UNION SELECT * FROM users) t", {"id": (TASKS, USERS)}),
        ("SELECT id FROM tasks WHERE id IN (SELECT task_id FROM work)", {"id": (TASKS,)}),
        (
            "WITH RECURSIVE r AS (SELECT id FROM tasks UNION ALL SELECT t.id FROM tasks t JOIN r ON true) SELECT id FROM r",
            {"id": (TASKS,)},
        ),
        (
            "WITH a AS (SELECT sum(hours) AS h FROM work), b AS (SELECT h + 1 AS h FROM a) SELECT h FROM b",
            {"h": (Read("work", "hours", "AGGREGATION"),)},
        ),
        (
            "SELECT upper(n) AS who FROM (SELECT name AS n FROM crm.users) u",
            {"who": (Read("crm.users", "name", "TRANSFORMATION"),)},
        ),
    ],
)
def test_columns_are_followed_through_queries_in_a_query(sql: str, columns: dict[str, tuple[Read, ...]]) -> None:
    query = Query.read(sql, "postgres")

    assert query is not None
    assert query.columns == columns


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT id, (SELECT max(hours) FROM work) AS most FROM tasks", {"id": (TASKS,)}),
        ("SELECT * FROM tasks t JOIN users u ON u.id = t.user_id", {}),
        ("SELECT t.*, u.* FROM tasks t JOIN users u ON u.id = t.user_id", {}),
        ("SELECT id FROM (SELECT * FROM tasks JOIN users USING (user_id)) t", {}),
        # Not taken for one of the star's.
        ("SELECT t.*, price FROM tasks t JOIN users u ON true", {"*": (Read("tasks", "*", "IDENTITY"),), "price": ()}),
        ("SELECT id FROM tasks UNION ALL SELECT * FROM users", {}),
        ("SELECT * FROM tasks UNION ALL SELECT id, name FROM users", {}),
        ("SELECT x FROM unnest(ARRAY[1, 2]) AS x", {}),
        ("SELECT id FROM a.users JOIN b.users ON true", {}),
        ("WITH late(a, b) AS (SELECT * FROM tasks) SELECT a FROM late", {}),
        ("SELECT (t).* FROM tasks t", {}),
    ],
)
def test_what_the_text_does_not_tell_is_not_guessed(sql: str, columns: dict[str, tuple[Read, ...]]) -> None:
    query = Query.read(sql, "postgres")

    assert query is not None
    assert query.columns == columns


def test_a_long_chain_of_queries_is_followed_once() -> None:
    """And not once per column and step, which would not end."""
    names = [f"c{number}" for number in range(30)]
    sums = ", ".join(f"{' + '.join(names)} AS {name}" for name in names)
    steps = [f"s0 AS (SELECT {', '.join(names)} FROM t)"]
    steps += [f"s{step} AS (SELECT {sums} FROM s{step - 1})" for step in range(1, 9)]

    query = Query.read(f"WITH {', '.join(steps)} SELECT c7 FROM s8", "postgres")

    assert query is not None
    assert {read.column for read in query.columns["c7"]} == set(names)


@pytest.mark.parametrize(("sql", "scheme"), [("SELECT (", "postgres"), ("SELECT 1 FROM a", "no such dialect")])
def test_what_nobody_can_read_is_no_lineage(sql: str, scheme: str) -> None:
    assert Query.read(sql, scheme) is None
