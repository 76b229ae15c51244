"""The other example Dags against real local servers: a REST API, a bucket, the sample's database.

They run in one process (`story`), the way `airflow dags test` runs them; each test looks at its part.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Airflow, Run, Step, new_airflow
from tests.servers import Answer, Api, Request, json_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_mlpipe.sample import Sample
    from tests.servers import Bucket

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DATE = "2026-01-15"
TOKEN = "token-of-the-tasks-api"
EXPORTS = "exports-of-the-examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample that all Dags read."""
    return sample.write(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def api(data: Sample) -> Iterator[Api]:
    """The sample's tasks, page by page, for who knows the token; the third page fails once."""
    failed: list[Request] = []

    def tasks(request: Request) -> Any:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer({"error": "who are you?"}, status=401)
        number = int(request.query.get("page", "1"))
        if number == 3 and not failed:
            failed.append(request)
            return Answer({"error": "busy"}, status=503, headers={"Retry-After": "0"})
        return json.loads(data.pages[number - 1].read_text())

    with json_api({"/tasks": tasks}) as running:
        yield running


@pytest.fixture(scope="module")
def story(data: Sample, api: Api, s3: Bucket, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Each Dag on one day, and the one of the bucket on a day whose files are late."""
    import pyarrow.fs as pafs

    store = pafs.S3FileSystem(
        endpoint_override=s3.options.endpoint_url.removeprefix("http://"), scheme="http", region=s3.options.region,
        access_key=s3.options.access_key, secret_key=s3.options.secret_key,
    )  # fmt: skip

    def export(day: str) -> None:
        with store.open_output_stream(f"{s3.bucket}/{EXPORTS}/{day}/events.csv.gz", compression=None) as file:
            file.write(data.events.read_bytes())

    export("2026/01/13")
    keys = {"login": s3.options.access_key, "password": s3.options.secret_key}
    place = {"endpoint_url": s3.options.endpoint_url, "region_name": s3.options.region}
    airflow = new_airflow(tmp_path_factory.mktemp("examples")).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
        AIRFLOW_CONN_MINIO_DEFAULT=json.dumps({"conn_type": "aws", **keys, "extra": place}),
        MLPIPE_SAMPLE_DB=data.url,
        MLPIPE_TASKS_URL=f"{api.url}/tasks",
        MLPIPE_EXPORTS=f"{s3.uri}/{EXPORTS}",
        API_TOKEN=TOKEN,
    )
    steps = {
        "api": Step("task_feature_pipeline", DATE),
        "mapping": Step("project_team_features", DATE),
        "bucket": Step("minio_ingest", DATE),
        "late": Step("minio_ingest", "2026-01-17"),
        "follow-up": Step("minio_follow_up", None),
        "no token": Step("task_feature_pipeline", "2026-01-16", env={"API_TOKEN": "another"}),
    }
    with once_deferred(airflow, "ingest_files", lambda: export("2026/01/15")):
        return dict(zip(steps, airflow.run(*steps.values()), strict=True))


@contextmanager
def once_deferred(airflow: Airflow, task: str, then: Callable[[], None]) -> Iterator[None]:
    """Do something as soon as a task of this name waits in the triggerer."""
    over = threading.Event()
    # Not by its state: `dags test` runs the trigger itself, and calls the task queued meanwhile.
    query = "SELECT count(*) FROM task_instance WHERE task_id = ? AND trigger_id IS NOT NULL"

    def waits() -> bool:
        try:
            with closing(sqlite3.connect(f"file:{airflow.home}/airflow.db?mode=ro", uri=True)) as database:
                return bool(database.execute(query, [task]).fetchone()[0])
        except sqlite3.OperationalError:  # locked at this moment
            return False

    def look() -> None:
        while not over.wait(0.05):
            if waits():
                then()
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def asked(data: Sample, query: str) -> list[tuple[Any, ...]]:
    """Ask the sample's database."""
    with closing(sqlite3.connect(data.database)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("name", ["api", "mapping", "bucket", "late"])
def test_it_succeeds_on_a_day_with_a_beginning_and_an_end(story: dict[str, Run], name: str) -> None:
    run = story[name]

    assert set(run.states.values()) == {"success"}, run.log
    start, end = map(datetime.fromisoformat, run.interval)
    assert (end - start).days == 1


def test_the_api_is_read_to_its_last_page_and_each_task_once(story: dict[str, Run], data: Sample, api: Api) -> None:
    tasks = Artifact.open(story["api"].xcom("task_features.ingest_tasks"))

    assert tasks.manifest.rows == data.rows["tasks"]
    assert tasks.manifest.metrics["duplicates_dropped"] > 0
    assert {request.query.get("page") for request in api.requests} >= {str(number) for number in range(2, 19)}
    assert TOKEN not in story["api"].log
    assert TOKEN not in json.dumps(story["api"].tasks)


def test_features_of_tasks_are_as_of_the_run(story: dict[str, Run], data: Sample) -> None:
    run = story["api"]
    features = Artifact.open(run.xcom("task_features.extract"))
    before = asked(data, "SELECT task_id FROM tasks WHERE created_at < '2026-01-14 02:30:00'")

    assert sorted(features.table()["task_id"].to_pylist()) == sorted(task for (task,) in before)
    assert 0 < len(before) < data.rows["tasks"]
    assert run.xcom("task_features.materialize", "view") == "task_features"
    assert run.xcom("task_features.materialize", "metrics")["rows_materialized"] == len(before)


def test_a_wrong_token_fails_at_once_and_is_not_shown(story: dict[str, Run]) -> None:
    run = story["no token"]

    assert run.states["task_features.ingest_tasks"] == "failed"
    assert run.tasks["task_features.ingest_tasks"]["try_number"] == 1
    assert run.states["task_features.materialize"] == "upstream_failed"
    assert "401" in run.log


def test_each_project_is_read_by_a_task_of_its_own_and_all_are_judged_together(
    story: dict[str, Run], data: Sample
) -> None:
    run = story["mapping"]
    counted = dict(
        asked(data, "SELECT project_id, count(*) FROM activity WHERE occurred_at < '2026-01-14 03:00:00' GROUP BY 1")
    )
    projects = [parameters["project"] for parameters in run.xcom("projects_of")]

    assert projects == sorted(counted)
    for index, project in enumerate(projects):
        artifact = Artifact.open(run.xcom(f"ingest_activity[{index}]"))
        assert artifact.manifest.rows == counted[project]
        assert set(artifact.table()["project_id"].to_pylist()) == {project}
    judged = Artifact.open(run.xcom("validate_activity"))
    assert judged.manifest.rows == sum(counted.values())
    assert (judged.verdict() or {})["passed"] is True


def test_both_sets_are_computed_from_all_projects(story: dict[str, Run], data: Sample) -> None:
    run = story["mapping"]
    projects, teams = (Artifact.open(run.xcom(f"extract[{index}]")) for index in (0, 1))
    done = dict(
        asked(
            data,
            "SELECT project_id, sum(completed_at < '2026-01-14 03:00:00') FROM tasks "
            "WHERE created_at < '2026-01-14 03:00:00' GROUP BY 1",
        )
    )

    assert {row["project_id"]: row["completed_tasks"] for row in projects.table().to_pylist()} == done
    assert teams.manifest.rows == data.rows["teams"]
    served = [run.xcom(f"materialize[{index}]", "view") for index in (0, 1)]
    assert served == ["project_features", "team_features"]


def test_the_files_of_the_day_are_read_from_the_bucket(story: dict[str, Run], data: Sample) -> None:
    run = story["bucket"]
    artifact = Artifact.open(run.xcom("ingest_files"))

    assert artifact.manifest.rows == data.rows["activity"]
    assert "/2026/01/13/" in artifact.manifest.details["location"]
    assert run.xcom("validate_files", "validation")["passed"] is True


def test_files_that_are_late_are_waited_for_in_the_triggerer(story: dict[str, Run], data: Sample) -> None:
    run = story["late"]
    artifact = Artifact.open(run.xcom("ingest_files"))

    assert datetime.fromisoformat(run.interval[0]) == datetime(2026, 1, 15, 4, tzinfo=UTC)
    assert "Deferred: waiting for new objects of source 'activity_files'" in run.log
    assert "/2026/01/15/" in artifact.manifest.details["location"]
    assert artifact.manifest.rows == data.rows["activity"]


def test_who_follows_the_asset_takes_the_newest_artifact(story: dict[str, Run], data: Sample) -> None:
    run = story["follow-up"]
    features = Artifact.open(run.xcom("hours_in_files"))
    hours = dict(asked(data, "SELECT user_id, sum(hours) FROM activity GROUP BY user_id"))

    assert [item.uri for item in features.manifest.inputs] == [story["late"].xcom("validate_files")]
    found = {row["user_id"]: row["hours_in_files"] for row in features.table().to_pylist()}
    assert found == pytest.approx(hours)
