"""OpenLineage's names for what real servers serve, and the way of a column from a table to Feast, as its provider sends it.

PostgreSQL, MariaDB, an S3 bucket, an HTTP API and Kafka are read by connections, with passwords and tokens, in one
process of Airflow; artifacts lie in the bucket. How a data set is to be called is asked of OpenLineage's own client.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.lineage.facts import check_facets, edges, named, origins
from tests.operators.home import Run, Step, new_airflow
from tests.operators.observed import Post, posts
from tests.servers import PASSWORD, Answer, json_api, mysql_connection

if TYPE_CHECKING:
    from tests.broker import KafkaBroker
    from tests.servers import Bucket

pytestmark = [pytest.mark.slow, pytest.mark.airflow]

naming: Any = pytest.importorskip("openlineage.client.naming.dataset", reason="no openlineage-python of 1.33 or later")

SECRET = "t0ken-of-the-api"
PEOPLE = "CREATE TABLE crm.users (user_id text, email text, status text, created_at timestamptz)"
EVENTS = (
    "CREATE TABLE crm.activity (event_id bigint, user_id text, project_id text, task_id text, event_type text, "
    "skill text, spent double precision, occurred_at timestamptz)"
)


def called(dataset: Any) -> tuple[str, str]:
    """Return what OpenLineage's client calls a data set."""
    return dataset.get_namespace(), dataset.get_name()


class Served:
    """The runs, and OpenLineage's events of them."""

    def __init__(self, runs: dict[str, Run], events: list[dict[str, Any]], addresses: dict[str, str]) -> None:
        self.runs = runs
        self.events = events
        self.at = addresses

    def event(self, job: str, kind: str = "COMPLETE") -> dict[str, Any]:
        """Return a task's one event of a kind."""
        (found,) = [one for one in self.events if one["job"]["name"] == job and one["eventType"] == kind]
        return found


@pytest.fixture(scope="module")
def served(
    postgres: str, mariadb: str, s3: Bucket, kafka: KafkaBroker, valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Served:
    """Fill every server, and run."""
    place = tmp_path_factory.mktemp("served")
    (place / "in.csv").write_text("id,name\n1,a\n2,b\n")
    _fill_postgres(postgres)
    with mysql_connection(mariadb) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (order_id int, amount decimal(8,2))")
        cursor.execute("INSERT INTO orders VALUES (1, 2.50), (2, 3.75), (3, 1)")
    _put(s3, "exports/2026/01/a.csv", "id,name\n1,a\n")
    _put(s3, "exports/2026/01/b.csv", "id,name\n2,b\n")
    kafka.produce("lineage-messages", [{"value": json.dumps({"order": n}).encode()} for n in range(5)])
    received: list[Post] = []
    tasks = {"tasks": [{"task_id": "t1", "hours": 1.5}]}
    with posts(received) as web, json_api({"/v1/tasks": tasks, "/v1/refused": Answer({}, status=403)}) as api:
        airflow = new_airflow(place)
        shutil.copy(Path(__file__).with_name("served_cases.py"), airflow.home / "dags")
        at = {"postgres": postgres, "mariadb": mariadb, "kafka": kafka.address, "api": api.url, "folder": str(place)}
        steps = {name: Step(name, "2026-01-15") for name in ("chain", "sources", "refused")}
        runs = airflow.with_env(**_environment(at, s3, valkey, web)).run(*steps.values())
    events = [json.loads(post.content) for post in received]
    return Served(dict(zip(steps, runs, strict=True)), events, at)


def _fill_postgres(uri: str) -> None:
    import psycopg

    with psycopg.connect(uri) as connection:
        for statement in ("CREATE SCHEMA crm", PEOPLE, EVENTS):
            connection.execute(statement.encode())
        for user in ("u1", "u2"):
            connection.execute(
                b"INSERT INTO crm.users VALUES (%s, %s, 'active', '2026-01-01 00:00+00')", [user, f"{user}@example.com"]
            )
        for number, (user, hours) in enumerate([("u1", 2.0), ("u1", 3.5), ("u2", 99.0)]):
            connection.execute(
                b"INSERT INTO crm.activity VALUES (%s, %s, 'p', 't', 'task_completed', 'backend', %s, "
                b"'2026-01-13 09:00+00')",
                [number, user, hours],
            )


def _put(bucket: Bucket, key: str, content: str) -> None:
    import boto3

    options = bucket.options
    client = boto3.client(
        "s3", endpoint_url=options.endpoint_url, region_name=options.region,
        aws_access_key_id=options.access_key, aws_secret_access_key=options.secret_key,
    )  # fmt: skip
    client.put_object(Bucket=bucket.bucket, Key=key, Body=content.encode())


def _environment(at: dict[str, str], s3: Bucket, valkey: str, web: str) -> dict[str, str]:
    api = urlsplit(at["api"])
    connections: dict[str, dict[str, Any]] = {
        "lake": {
            "conn_type": "aws", "login": s3.options.access_key, "password": s3.options.secret_key,
            "extra": {"endpoint_url": s3.options.endpoint_url, "region_name": s3.options.region},
        },
        "api": {"conn_type": "http", "host": api.hostname, "port": api.port, "schema": "http", "password": SECRET},
        "broker": {"conn_type": "kafka", "extra": {"bootstrap.servers": at["kafka"], "ssl.key.password": SECRET}},
    }  # fmt: skip
    return {
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": web, "endpoint": "lineage"}),
        "AIRFLOW__MLPIPE__ARTIFACT_ROOT": f"{s3.uri}/served",
        "AIRFLOW__MLPIPE__ARTIFACT_CONN_ID": "lake",
        "AIRFLOW_CONN_TRACKER": at["postgres"],
        "AIRFLOW_CONN_SHOP": at["mariadb"],
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(each) for name, each in connections.items()},
        "FEAST_REGISTRY": f"sqlite:///{at['folder']}/registry.db",
        "ONLINE_STORE": f"redis://{valkey}",
        "WRONG_DATABASE": at["postgres"].replace("postgresql://shop:", f"postgresql://ann:{SECRET}"),
        "SECRET": SECRET,
        "API": at["api"],
        "FOLDER": at["folder"],
    }


def test_what_is_read_and_written_is_done(served: Served) -> None:
    for name in ("chain", "sources"):
        assert set(served.runs[name].states.values()) == {"success"}, served.runs[name].log
    assert set(served.runs["refused"].states.values()) == {"failed"}


def host(uri: str) -> str:
    return urlsplit(uri).netloc.rpartition("@")[2]


def test_sources_are_called_as_openlineage_calls_them(served: Served) -> None:
    database, port = host(served.at["postgres"]).split(":")
    shop, shop_port = host(served.at["mariadb"]).split(":")
    expected: dict[str, set[tuple[str, str]]] = {
        "chain.users": {called(naming.Postgres(database, port, "postgres", "crm", "users"))},
        "sources.work": {
            called(naming.Postgres(database, port, "postgres", "crm", table)) for table in ("users", "activity")
        },
        "sources.orders": {called(naming.MySQL(shop, shop_port, "shop", "orders"))},
        "sources.exports": {called(naming.S3("lake", "exports"))},
        "sources.messages": {called(naming.Kafka(*served.at["kafka"].split(":"), "lineage-messages"))},
        "sources.local": {called(naming.LocalFileSystem(f"{served.at['folder']}/in.csv"))},
        # OpenLineage has no name for what lies behind HTTP: address and path.
        "sources.tasks": {(served.at["api"], "/v1/tasks")},
    }

    assert {job: set(named(served.event(job)["inputs"])) for job in expected} == expected


def test_artifacts_are_called_as_openlineage_calls_objects(served: Served) -> None:
    for source in ("work", "orders", "tasks", "exports", "local", "messages"):
        outputs = served.event(f"sources.{source}")["outputs"]
        assert named(outputs) == [called(naming.S3("lake", f"served/{source}/raw"))]


def test_what_was_read_is_told_with_columns_rows_and_where_they_are_from(served: Served) -> None:
    expected = {
        "orders": (3, {"order_id": "order_id", "amount": "amount"}),
        "tasks": (1, {"task_id": "task_id", "hours": "hours"}),
        "exports": (2, {"id": "id", "name": "name"}),
        "local": (2, {"id": "id", "name": "name"}),
        "messages": (5, {"order": "order"}),
    }
    for source, (rows, columns) in expected.items():
        event = served.event(f"sources.{source}")
        (output,) = event["outputs"]
        fields = {field["name"]: field["type"] for field in output["facets"]["schema"]["fields"]}
        came = edges([event])

        assert output["outputFacets"]["outputStatistics"]["rowCount"] == rows
        assert set(columns) <= set(fields), source
        assert all(fields.values())
        for ours, theirs in columns.items():
            (place,) = named(event["inputs"])
            assert came[output["namespace"], output["name"], ours] == {(*place, theirs)}


def test_columns_of_a_query_over_a_cte_lead_to_its_tables(served: Served) -> None:
    event = served.event("sources.work")
    (output,) = event["outputs"]
    said = {
        field: [(one["name"], one["field"], one["transformations"][0]["subtype"]) for one in fields["inputFields"]]
        for field, fields in output["facets"]["columnLineage"]["fields"].items()
    }

    assert said == {
        "user_id": [("postgres.crm.users", "user_id", "IDENTITY")],
        "mail": [("postgres.crm.users", "email", "TRANSFORMATION")],
        "spent": [("postgres.crm.activity", "spent", "AGGREGATION")],
    }


def test_a_feature_view_leads_back_to_the_tables_through_every_artifact(served: Served) -> None:
    (view,) = served.event("chain.online")["outputs"]
    came = edges(served.events)
    way = {("mlpipe", "user_profile_features", "current_workload_hours")}
    passed: list[set[str]] = []
    while way:
        passed.append({name for _, name, _ in way})
        way = {origin for column in way for origin in came.get(column, ())}

    assert named([view]) == [("mlpipe", "user_profile_features")]
    assert view["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert passed == [
        {"user_profile_features"},
        {"served/user_features/features"},
        {"served/activity/validated", "served/users/raw"},
        {"served/activity/raw", "postgres.crm.users"},
        {"postgres.crm.activity"},
    ]
    # Not `hours`, as it is called here: the database's own name.
    database = f"postgres://{host(served.at['postgres'])}"
    assert origins(("mlpipe", "user_profile_features", "current_workload_hours"), came) == {
        (database, "postgres.crm.users", "user_id"),
        *((database, "postgres.crm.activity", name) for name in ("user_id", "spent", "event_type", "occurred_at")),
    }


def test_rules_and_what_they_took_out_are_told(served: Served) -> None:
    event = served.event("chain.check_activity")
    (judged,) = event["inputs"]
    told = {one["assertion"]: one["success"] for one in judged["inputFacets"]["dataQualityAssertions"]["assertions"]}
    rows = {one["name"]: one["outputFacets"]["outputStatistics"]["rowCount"] for one in event["outputs"]}

    assert told["range"] is False
    assert told["not_null"] is True
    assert rows == {"served/activity/validated": 2, "served/activity/validated-quarantine": 1}
    assert judged["inputFacets"]["dataQualityMetrics"]["rowCount"] == 3


def test_every_facet_is_what_openlineage_says_it_is(served: Served) -> None:
    assert {"columnLineage", "dataQualityAssertions", "outputStatistics", "schema"} <= check_facets(
        event for event in served.events if "inputs" in event
    )


@pytest.mark.parametrize(
    ("job", "says"), [("refused.table", "password authentication failed"), ("refused.endpoint", "403 Forbidden")]
)
def test_a_refusal_is_told_with_what_was_asked_and_why(served: Served, job: str, says: str) -> None:
    event = served.event(job, "FAIL")

    assert says in event["run"]["facets"]["errorMessage"]["message"]
    assert len(event["inputs"]) == 1
    assert event["outputs"] == []


def test_no_secret_is_sent_or_logged(served: Served) -> None:
    told = json.dumps(served.events) + "".join(run.log for run in served.runs.values())

    assert "ann" in told  # who was refused is no secret
    for secret in (PASSWORD, SECRET):
        assert secret not in told
