"""Tasks that wait, on a real Airflow: deferred with nothing there, woken by what comes, ended by what will not do.

The Dags are in cases/waiting_cases.py, and in docs/how-to/waiting.md. They run in one process, where Airflow runs
triggers, too; each test looks at its part. That the triggerer's own process does the same is shown in tests/system.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests.docs.howto import blocks, page
from tests.operators.home import Run, Step, new_airflow
from tests.servers import PASSWORD, Answer, Api, Request, free_ports, json_api

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

LITERAL = "hunter2"
DAGS = ("objects", "rows", "answers", "refusals", "tickets", "shop", "clicks")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sensors")


class Busy:
    """An endpoint that is not available the first times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, _: Request) -> Answer:
        self.left -= 1
        if self.left >= 0:
            return Answer({}, status=503, headers={"Retry-After": "0"})
        return Answer({"tasks": [{"task_id": "t1"}]})


@pytest.fixture(scope="module")
def api() -> Api:
    tickets, closing = {"tickets": [{"ticket_id": 1}]}, iter([503, 503])
    closed = lambda _: Answer({}, status=next(closing, 403))  # noqa: E731
    with json_api(
        {"/tasks": Busy(3), "/others": Busy(0), "/busy": Busy(3), "/tickets": tickets, "/closed": closed}
    ) as running:
        yield running


@pytest.fixture(scope="module")
def story(place: Path, api: Api) -> dict[str, Run]:
    """One run of each Dag."""
    database = place / "shop.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, at TIMESTAMP, ordered_at TIMESTAMP DEFAULT '2026-02-01')")
    dags = place / "dags"
    shutil.copytree(Path(__file__).with_name("cases"), dags)
    for number, block in enumerate(blocks(page("waiting"), "python")):
        (dags / f"page_{number}.py").write_text(block)
    (dags / "ingestion_config.yaml").write_text(blocks(page("waiting"), "yaml")[0])
    (place / "clicks").mkdir()
    (place / "clicks" / "monday.csv").write_text("click\n1\n")
    connection = {"conn_type": "http", "host": api.url, "login": "ann", "password": PASSWORD}
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW_CONN_CASES_API=json.dumps(connection),
        CASES_API=api.url,
        CASES_DATABASE=f"sqlite:///{database}",
        CASES_INBOX=str(place / "in"),
        CASES_PASSWORD=PASSWORD,
        CASES_CLOSED_PORT=str(free_ports()[0]),
        DESK=api.url,
        INBOX=str(place / "clicks"),
        SHOP_DB=f"sqlite:///{database}",
    )
    return dict(zip(DAGS, airflow.run(*(Step(dag, "2026-01-14T02:00:00Z") for dag in DAGS)), strict=True))


def test_an_object_wakes_the_task(story: dict[str, Run], place: Path) -> None:
    run = story["objects"]
    assert run.states == {"arrived": "success", "ingest": "success"}, run.log
    assert run.xcom("arrived")["paths"] == [str(place / "in" / "a.csv")]
    assert Artifact.open(run.xcom("ingest")).manifest.rows == 1
    told = ["Deferred: waiting for new objects of source 'events'", "Waiting for new objects of", "There now:"]
    assert [run.log.count(text) for text in told] == [1, 1, 1]


def test_a_row_beyond_as_of_is_read_with_the_as_of_that_the_sensor_gives(story: dict[str, Run]) -> None:
    run = story["rows"]
    assert run.states == {"arrived": "success", "ingest": "success"}, run.log
    assert run.xcom("arrived")["newest"] == "2026-01-20T10:00:00+00:00"
    artifact = Artifact.open(run.xcom("ingest"))
    assert artifact.table()["id"].to_pylist() == [7]
    assert artifact.manifest.details["window"] == ["2026-01-01T00:00:00+00:00", "2026-01-20T10:00:00.000001+00:00"]


def test_mapped_tasks_wait_each_for_itself(story: dict[str, Run]) -> None:
    run = story["answers"]
    assert run.states == {"ingest[0]": "success", "ingest[1]": "success"}, run.log
    assert [Artifact.open(run.xcom(f"ingest[{number}]")).manifest.rows for number in (0, 1)] == [1, 1]
    assert run.log.count("Deferred: waiting for an answer of source 'mapped'") == 1
    assert run.log.count("Deferred") == 1, "the other answered at once"
    assert run.log.count("503 Service Unavailable") == 2, "by the worker, and by the trigger once"


def test_the_dags_of_the_guide_run(story: dict[str, Run]) -> None:
    for dag in ("tickets", "shop", "clicks"):
        assert set(story[dag].states.values()) == {"success"}, story[dag].log
    shop = story["shop"]
    assert Artifact.open(shop.xcom("ingest_clicks")).manifest.rows == 1
    assert Artifact.open(shop.xcom("ingest_orders")).table()["id"].to_pylist() == [7]
    assert shop.xcom("orders_arrived")["until"] == "2026-02-01T00:00:00.000001+00:00"


def test_what_will_not_do_ends_the_task_at_once(story: dict[str, Run]) -> None:
    run = story["refusals"]
    assert run.states == {
        **dict.fromkeys(["gone", "closed", "down", "never", "not_in_time", "wrong", "stale"], "failed"),
        "skipped": "skipped",
        "literal": "success",
    }, run.log
    tries = {name: task["try_number"] for name, task in run.tasks.items()}
    assert tries.pop("down") == 3, "what may pass is tried again"
    assert set(tries.values()) == {1}, "what will not is not"
    assert run.log.count("404 Not Found") == 1
    assert run.log.count("403 Forbidden") == 1
    assert "rows can be waited for where type is database, it is file" in run.log
    assert "AirflowSensorTimeout: nothing came in" in run.log


def test_a_literal_secret_keeps_the_worker_waiting(story: dict[str, Run], api: Api) -> None:
    log = story["refusals"].log
    assert "Not deferred, the worker waits: source 'literal': config: a secret stands at config.auth.token" in log
    assert sum(request.path == "/busy" for request in api.requests) == 5, "three in vain, the look, and the read"


def test_no_secret_gets_out(story: dict[str, Run], place: Path) -> None:
    for run in story.values():
        assert not {LITERAL, PASSWORD} & {*run.log.split()}
        assert LITERAL not in run.log
        assert PASSWORD not in run.log
    database = (place / "airflow" / "airflow.db").read_bytes()
    assert PASSWORD.encode() not in database
