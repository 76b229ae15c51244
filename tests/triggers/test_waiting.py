"""Triggers on real servers: what comes while they wait wakes the task, what fails ends the waiting, or not."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.run import Interval
from airflow_provider_mlpipe.triggers import (
    ApiAnswersTrigger,
    FeatureFreshnessTrigger,
    NewObjectsTrigger,
    NewRowsTrigger,
)
from tests.feature_store.feature_artifacts import VIEW, features, scores
from tests.ingestion.support import DAY, read
from tests.servers import PASSWORD, Answer, Bucket, free_ports, json_api, mysql_connection, postgres_server
from tests.triggers.support import ROUND, event_of, for_day, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INCREMENTAL = {"cursor_column": "moment", "window": "watermark"}


@pytest.fixture
def lake(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of an Airflow connection to the bucket."""
    extra = {"endpoint_url": s3.options.endpoint_url, "region_name": s3.options.region}
    fields = {"conn_type": "aws", "login": s3.options.access_key, "password": s3.options.secret_key, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(fields))
    return "lake"


# ------------------------------------------------------------------ something comes


def test_an_object_comes(s3: Bucket, lake: str, tmp_path: Path) -> None:
    prefix = f"waiting/{tmp_path.name}"
    source = {"type": "file", "path": f"{s3.uri}/{prefix}/*.csv", "only_new": True, "conn_id": lake}
    root = {"artifact_root": f"{s3.uri}/artifacts/{tmp_path.name}", "artifact_conn_id": lake}
    trigger = NewObjectsTrigger(source="events", config=source, **root, **for_day())
    client = Storage(s3.uri, s3.options).client()

    event = event_of(trigger, lambda: client.put_object(Bucket=s3.bucket, Key=f"{prefix}/a.csv", Body=b"x\n1\n"))

    assert event["status"] == "success"
    assert event["found"]["paths"] == [f"{s3.bucket}/{prefix}/a.csv"]
    assert PASSWORD not in json.dumps([event, trigger.serialize()])


def test_an_object_that_was_read_is_waited_for_until_it_changes(root: Storage, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("x\n1\n")
    source = {"type": "file", "path": str(file), "only_new": True, "dataset": "things"}
    before = Interval(start="2026-01-12T02:00:00Z", end=DAY.interval.start)
    read(source, root, run=replace(DAY, interval=before))
    trigger = NewObjectsTrigger(source="events", config=source, artifact_root=root.uri, **for_day())

    event = event_of(trigger, lambda: file.write_text("x\n1\n2\n"))

    assert event["found"]["objects"] == 1


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_row_comes(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, root: Storage
) -> None:
    uri = request.getfixturevalue(server)
    sql = _runner(server, uri)
    sql("CREATE TABLE waited_for (moment {})".format({"postgres": "timestamp"}.get(server, "datetime")))
    sql("INSERT INTO waited_for VALUES ('2026-01-01 00:00:00')")
    monkeypatch.setenv("WHERE_ORDERS_ARE", uri)
    source = {
        "type": "database",
        "connection_string": "${WHERE_ORDERS_ARE}",
        "table": "waited_for",
        "incremental": {**INCREMENTAL, "initial": "2026-01-05"},
    }
    trigger = NewRowsTrigger(source="orders", config=source, artifact_root=root.uri, **for_day())

    event = event_of(
        trigger,
        lambda: sql("INSERT INTO waited_for VALUES ('2026-02-01 00:00:00')"),  # later than the run
        lambda: sql("INSERT INTO waited_for VALUES ('2026-01-13 12:00:00')"),
    )

    assert event["found"]["newest"] == "2026-01-13T12:00:00+00:00"
    assert PASSWORD not in json.dumps([event, trigger.serialize()])


def _runner(server: str, uri: str) -> Callable[[str], None]:
    def postgres(sql: str) -> None:
        import psycopg

        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(sql.encode())

    def mariadb(sql: str) -> None:
        with mysql_connection(uri) as connection, connection.cursor() as cursor:
            cursor.execute(sql)

    return {"postgres": postgres, "mariadb": mariadb}[server]


def test_an_api_comes_up(monkeypatch: pytest.MonkeyPatch, root: Storage) -> None:
    [port] = free_ports()
    address = f"http://127.0.0.1:{port}"
    connection = {"conn_type": "http", "host": address, "login": "ann", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_TRACKER_API", json.dumps(connection))
    source = {"type": "api", "url": "tasks", "auth": {"type": "bearer"}, "conn_id": "tracker_api"}
    trigger = ApiAnswersTrigger(source="tasks", config=source, artifact_root=root.uri, **for_day())
    status = [503]
    serving, over = threading.Event(), threading.Event()

    def serve() -> None:
        answer = {"/tasks": lambda _: Answer([], status=status[0], headers={"Retry-After": "0"})}
        with json_api(answer, port=port) as api:
            serving.set()
            over.wait(60)
            assert {request.headers["Authorization"] for request in api.requests} == {f"Bearer {PASSWORD}"}

    server = threading.Thread(target=serve)
    try:
        event = event_of(trigger, lambda: (server.start(), serving.wait(60)), lambda: status.__setitem__(0, 200))
    finally:
        over.set()
        server.join()

    assert event["status"] == "success"
    assert PASSWORD not in json.dumps([event, trigger.serialize()])


@pytest.mark.slow
def test_a_view_becomes_fresh(root: Storage) -> None:
    features(root, scores(5, seed=1), day=10)
    trigger = FeatureFreshnessTrigger(
        view=VIEW,
        max_age=86_400.0,
        place="offline",
        as_of="2026-01-14T02:00:00+00:00",
        artifact_root=root.uri,
        poke_interval=ROUND,
    )
    from airflow_provider_mlpipe.config import FeatureStore
    from airflow_provider_mlpipe.feature_store import materialize

    def materialized() -> None:
        artifact = features(root, scores(5, seed=2), day=14)
        materialize(artifact, FeatureStore(require_validation=False), root=root)

    event = event_of(trigger, materialized)

    assert event["found"]["age_seconds"] == 0.0


# ------------------------------------------------------------------ something is wrong


def test_a_server_that_dies_ends_the_waiting_after_some_looks(monkeypatch: pytest.MonkeyPatch, root: Storage) -> None:
    with postgres_server() as server:
        server.psql("CREATE TABLE t (moment timestamptz)")
        monkeypatch.setenv("WHERE_ORDERS_ARE", server.uri)
        source = {
            "type": "database",
            "connection_string": "${WHERE_ORDERS_ARE}",
            "table": "t",
            "incremental": INCREMENTAL,
        }
        trigger = NewRowsTrigger(source="t", config=source, artifact_root=root.uri, **for_day(transient_retries=2))

        def dies() -> None:
            server.process.kill()
            server.process.wait()

        event = event_of(trigger, dies)

    assert (event["status"], event["kind"]) == ("error", "SourceUnavailableError")
    assert PASSWORD not in json.dumps(event)


def test_a_server_that_comes_back_in_time_is_forgiven(root: Storage) -> None:
    answers = [Answer(status=0), Answer({}, status=503), Answer({}, status=500), Answer([])]
    with json_api({"/tasks": lambda _: answers.pop(0)}) as api:
        source = {"type": "api", "url": f"{api.url}/tasks"}
        more = for_day(transient_retries=3)
        trigger = ApiAnswersTrigger(source="tasks", config=source, artifact_root=root.uri, **more)
        assert event_of(trigger)["status"] == "success"


@pytest.mark.parametrize(
    ("config", "kind", "said"),
    [
        ({"type": "api", "url": "{api}/gone"}, "SourceRejectedError", "404"),
        ({"type": "api", "url": "{api}/closed"}, "SourceRejectedError", "401"),
        ({"type": "api", "url": "{api}/x", "auth": {"type": "bearer", "token": "${NO_SUCH}"}},
         "MissingEnvironmentVariableError", "NO_SUCH"),
        ({"type": "api", "url": "{api}/x", "conn_id": "no_such_connection"}, "ConfigError", "no_such_connection"),
        ({"type": "api", "adress": "{api}/x"}, "UnknownKeyError", "unknown key 'adress'"),
        ("no_such_file.yaml", "ConfigError", "no such file"),
    ],
)  # fmt: skip
def test_what_will_not_get_better_ends_the_waiting_at_once(config: Any, kind: str, said: str, root: Storage) -> None:
    routes = {"/gone": Answer({}, status=404), "/closed": Answer({}, status=401), "/x": []}
    with json_api(routes) as api:
        if isinstance(config, dict):
            config = {key: text.format(api=api.url) if isinstance(text, str) else text for key, text in config.items()}
        trigger = ApiAnswersTrigger(source="tasks", config=config, artifact_root=root.uri, **for_day())
        event = event_of(trigger)
        assert len(api.requests) <= 1
    assert (event["status"], event["kind"]) == ("error", kind)
    assert said in event["message"]


def test_waiting_ends_with_the_time(root: Storage, tmp_path: Path) -> None:
    source = {"type": "file", "path": str(tmp_path / "*.csv")}
    trigger = NewObjectsTrigger(
        source="x", config=source, artifact_root=root.uri, **for_day(poke_interval=3600.0, deadline=time.time() + 0.2)
    )
    event = event_of(trigger)
    assert event["status"] == "timeout"
    assert "nothing came in" in event["message"]


def test_a_look_that_hangs_holds_up_nobody(root: Storage, tmp_path: Path) -> None:
    hangs = stored(NewObjectsTrigger(source="x", config={"type": "file", "path": str(tmp_path)}, **for_day()))
    other = stored(NewObjectsTrigger(source="x", config={"type": "file", "path": str(tmp_path)}, **for_day()))
    entered, released = threading.Event(), threading.Event()
    look = hangs.look

    def waits() -> Any:
        entered.set()
        assert released.wait(60)
        return look()

    hangs.look = waits  # type: ignore[method-assign]
    (tmp_path / "a.csv").write_text("x\n1\n")

    async def story() -> list[str]:
        slow = asyncio.ensure_future(anext(hangs.run()))
        assert await asyncio.to_thread(entered.wait, 60)
        quick = await asyncio.wait_for(anext(other.run()), 60)
        released.set()  # only now
        return [event.payload["status"] for event in (quick, await asyncio.wait_for(slow, 60))]

    assert asyncio.run(story()) == ["success", "success"]
