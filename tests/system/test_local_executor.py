"""The operators in a real Airflow: four services on PostgreSQL with LocalExecutor, driven over the REST API.

One Airflow for all tests, those of `connections`, `real_data` and `watching` too: xdist gives one worker whole files. What
takes long is started at once (`stack`), so that it runs side by side; each test waits for its part.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests import servers
from tests.system.connections import *  # noqa: F403 - tests, with what they need
from tests.system.real_data import *  # noqa: F403
from tests.system.stack import SERVICES, SLOW, Ran, Stack
from tests.system.watching import *  # noqa: F403
from tests.system.world import PAUSE_SECONDS, TOKEN, World, put

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


def features_by_hand(stack: Stack, as_of: datetime) -> dict[str, int]:
    """Count who completed how many tasks in the seven days before."""
    with closing(sqlite3.connect(stack.source)) as database:
        return dict(
            database.execute(
                "SELECT user_id, count(*) FROM activity WHERE event_type = 'task_completed' "
                "AND occurred_at >= ? AND occurred_at < ? GROUP BY user_id",
                [f"{moment:%Y-%m-%d %H:%M}" for moment in (as_of - timedelta(days=7), as_of)],
            )
        )


def holds_features_of(artifact: Artifact, stack: Stack, end: datetime) -> bool:
    """Return whether an artifact lies in the place of its day and has the features as of its end."""
    assert artifact.manifest.partition == f"{end - timedelta(days=1):%Y%m%dT%H%M%SZ}-{end:%Y%m%dT%H%M%SZ}"
    assert datetime.fromisoformat(artifact.manifest.details["as_of"]) == end
    computed = {row["user_id"]: row["tasks_completed_7d"] or 0 for row in artifact.table().to_pylist()}
    by_hand = features_by_hand(stack, end)
    assert by_hand
    return {user: count for user, count in computed.items() if count} == by_hand


def test_the_newest_day_is_run_by_the_scheduler(scheduled: Ran, stack: Stack) -> None:
    assert scheduled.states == dict.fromkeys(
        ("ingest_users", "ingest_activity", "validate_users", "validate_activity", "extract_features", "materialize"),
        "success",
    )
    end = datetime.fromisoformat(scheduled.document["data_interval_end"])
    assert holds_features_of(Artifact.open(scheduled.xcom("extract_features")), stack, end)


def test_xcom_is_small_and_says_where_what_and_how_many(scheduled: Ran) -> None:
    raw = Artifact.open(scheduled.xcom("ingest_users"))
    assert scheduled.xcom("ingest_users", "metrics")["records_written"] == raw.manifest.rows > 0
    verdict = scheduled.xcom("validate_users", "validation")
    assert verdict["passed"] is True
    assert verdict["rows_validated"] == raw.manifest.rows
    assert verdict["warnings"] == 1, "the sample has a few unknown status values"
    report = Path(scheduled.xcom("validate_users", "report"))
    assert "<html" in report.read_text()
    assert scheduled.xcom("materialize", "metrics")["mismatches"] == 0
    assert scheduled.xcom("materialize", "view") == "user_profile_features"


def test_a_backfill_of_seven_days_makes_each_as_of_its_own_end(week: list[str], stack: Stack) -> None:
    runs = [stack.over(run) for run in week]

    assert [run.state for run in runs] == ["success"] * 7
    ends = [datetime.fromisoformat(run.document["data_interval_end"]) for run in runs]
    assert [end - ends[0] for end in ends] == [timedelta(days=day) for day in range(7)]
    found = [Artifact.open(run.xcom("features")) for run in runs]
    assert len({artifact.uri for artifact in found}) == 7
    assert all(holds_features_of(artifact, stack, end) for artifact, end in zip(found, ends, strict=True))


def test_a_run_that_is_cleared_publishes_the_same_in_the_same_place(scheduled: Ran, stack: Stack) -> None:
    artifacts = {task: Artifact.open(scheduled.xcom(task)) for task in scheduled.tasks}
    tries = {task: ti["try_number"] for task, ti in scheduled.tasks.items()}
    places = {task: sorted(Path(found.uri).parent.iterdir()) for task, found in artifacts.items()}

    stack.clear(scheduled.dag_id, scheduled.run_id)
    after = stack.over(scheduled.path)

    assert set(after.states.values()) == {"success"}
    assert {task: ti["try_number"] for task, ti in after.tasks.items()} == {task: n + 1 for task, n in tries.items()}
    for task, found in artifacts.items():
        again = Artifact.open(after.xcom(task))
        assert again.uri == found.uri
        assert again.fingerprint == found.fingerprint
        assert sorted(Path(found.uri).parent.iterdir()) == places[task], "no second copy, nothing left over"


def test_two_runs_at_once_do_not_mix(stack: Stack) -> None:
    moments = [stack.day_end(days_ago) for days_ago in (20, 16)]
    runs = [stack.trigger("days", moment) for moment in moments]

    for run, end in zip([stack.over(run) for run in runs], moments, strict=True):
        assert set(run.states.values()) == {"success"}
        artifact = Artifact.open(run.xcom("features"))
        assert artifact.manifest.run["run_id"] == run.run_id
        assert holds_features_of(artifact, stack, end)


def test_rejected_data_fails_at_once_and_stops_what_hangs_on_it(rejected: Ran) -> None:
    run = rejected

    assert run.state == "failed"
    assert run.states == {"crew": "success", "judged": "failed", "features": "upstream_failed"}
    assert run.tasks["judged"]["try_number"] == 1, "three retries were allowed, and none would have helped"
    assert "age" in run.text("judged")
    assert run.xcom("judged", "validation")["passed"] is False
    assert Path(run.xcom("judged", "report")).exists(), "the report is there for who looks why"


def test_a_database_that_is_down_is_tried_again(stack: Stack, world: World) -> None:
    path = stack.trigger("transient")
    task = f"{path}/taskInstances/late"
    servers.until(lambda: stack.api.get(task)["state"] == "up_for_retry", "the task is up for retry", seconds=SLOW)

    world.held.close()
    with servers.postgres_server(world.port) as server:
        server.psql("CREATE TABLE orders AS SELECT i AS order_id FROM generate_series(1, 7) AS i")
        run = stack.over(path)

    assert run.state == "success"
    assert run.tasks["late"]["try_number"] > 1
    assert run.xcom("late", "metrics")["records_written"] == 7
    assert "refused" in run.text("late", 1), "the first try says what is not there"
    for attempt in range(run.tasks["late"]["try_number"]):
        assert servers.PASSWORD not in run.text("late", attempt + 1)


def test_a_server_that_asks_for_a_pause_gets_it(stack: Stack, world: World) -> None:
    run = stack.over(stack.trigger("busy"))

    tries = stack.api.get(f"{run.path}/taskInstances/calls/tries")["task_instances"]
    first, second = sorted(tries, key=lambda found: found["try_number"])
    assert (first["state"], second["state"]) == ("failed", "success")
    pause = datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])
    assert pause >= timedelta(seconds=PAUSE_SECONDS), "and had the task waited its own, this test would not have"
    assert [request.path for request in world.desk.requests].count("/busy") == 2
    assert "429" in run.text("calls", 1)
    assert Artifact.open(run.xcom("calls")).manifest.rows == 3


def test_what_is_not_there_yet_is_waited_for_without_a_worker(stack: Stack, world: World) -> None:
    path = stack.trigger("waiting")
    tasks = [f"{path}/taskInstances/{name}" for name in ("drops", "desk")]
    servers.until(
        lambda: all(stack.api.get(task)["state"] == "deferred" for task in tasks), "both are deferred", seconds=SLOW
    )
    deferred = [stack.api.get(task) for task in tasks]

    # Airflow takes the end of the worker that deferred for the end of the one that goes on, if it hears of it too late:
    # when the trigger has fired and the task runs again. The test is not about that.
    for name in ("drops", "desk"):
        told = f"TaskInstance Finished: dag_id=waiting, task_id={name},"
        servers.until(lambda told=told: told in stack.output("scheduler"), "the executor is heard", seconds=SLOW)
    put(world.drops / "monday.csv", "drop,weight\n1,2.5\n2,3.5\n3,4.5\n")
    world.opened.set()
    run = stack.over(path)

    assert run.states == {"drops": "success", "desk": "success"}
    assert {ti["try_number"] for ti in run.tasks.values()} == {1}
    assert [Artifact.open(run.xcom(name)).manifest.rows for name in ("drops", "desk")] == [3, 2]
    assert all("airflow_provider_mlpipe" in ti["trigger"]["classpath"] for ti in deferred)
    for told in (json.dumps(deferred), run.text("desk"), *map(stack.output, SERVICES)):
        assert TOKEN not in told


def test_a_task_that_is_stopped_leaves_nothing_half(stack: Stack) -> None:
    path = stack.trigger("stopped", rows=2_000_000_000)
    task = f"{path}/taskInstances/numbers"
    place = stack.artifacts / "numbers"
    servers.until(lambda: any(name.endswith(".parquet") for name in files(place)), "the task writes", seconds=SLOW)

    stack.api.call("PATCH", task, {"new_state": "failed"})
    run = stack.over(path)
    assert run.states == {"numbers": "failed"}
    servers.until(lambda: files(place) == [], "what was written is gone", seconds=SLOW)
    servers.until(lambda: queries(stack) == [], "the database works for nobody any more", seconds=SLOW)
    # The executor runs the task, and says what it says, sooner or later.
    told = "numbers was told to stop"
    servers.until(lambda: told in stack.output("scheduler"), "the log says that it was stopped", seconds=SLOW)
    # And nothing is left that would disturb the next.
    done = stack.over(stack.trigger("stopped", rows=20_000))
    assert done.state == "success"
    assert Artifact.open(done.xcom("numbers")).manifest.rows == 20_000


def files(folder: Path) -> list[str]:
    """Return the files below a folder, in which somebody makes and deletes others."""
    return [name for _, _, names in os.walk(folder) for name in names]


def queries(stack: Stack) -> list[str]:
    """Return which queries for numbers the database is at work on."""
    sql = "SELECT query FROM pg_stat_activity WHERE state <> 'idle' AND query ~ 'generate_series' AND pid <> pg_backend_pid()"
    with psycopg.connect(stack.environment["SYSTEM_DATABASE"]) as connection:
        return [query for (query,) in connection.execute(sql.encode())]


def test_an_outlet_says_what_was_published_and_starts_who_waits_for_it(stack: Stack) -> None:
    produced = stack.scheduled("producer")
    assert produced.state == "success"
    [event] = stack.events("system_day")
    artifact = Artifact.open(produced.xcom("checked"))

    extra = event["extra"]
    assert event["source_run_id"] == produced.run_id
    assert extra["artifact"] == artifact.uri
    assert (extra["rows"], extra["fingerprint"]) == (artifact.manifest.rows, artifact.fingerprint)
    assert extra["schema_hash"].startswith("schema-")
    assert extra["verdict"]["passed"] is True
    assert extra["report"] == produced.xcom("checked", "report")

    servers.until(lambda: stack.runs("consumer") != [], "the consumer is started", seconds=SLOW)
    consumed = stack.over(stack.runs("consumer")[0])
    assert consumed.document["run_type"] == "asset_triggered"
    assert consumed.states == {"told": "success", "again": "success"}
    assert consumed.xcom("told") == extra
    assert consumed.xcom("again") == artifact.uri, "what the event names is what is validated"


def test_a_partition_keeps_its_key_from_the_schedule_to_who_reads_it(stack: Stack) -> None:
    servers.until(
        lambda: stack.runs("part_reader") != [], "the partition is made, and its reader started", seconds=SLOW
    )
    made, read = (stack.over(stack.runs(dag)[0]) for dag in ("parted", "part_reader"))
    key = made.document["partition_key"]
    artifact = Artifact.open(made.xcom("part"))
    assert artifact.manifest.partition == f"key-{key.replace(':', '')}"
    assert datetime.fromisoformat(artifact.manifest.details["window"][1]) == datetime.fromisoformat(f"{key}+00:00")
    assert read.document["partition_key"] == key
    assert read.xcom("judge") == artifact.uri


def test_a_watermark_moves_forward_and_by_production_only(stack: Stack) -> None:
    """Rows come once: what is newer is read from where reading ended; what looks back or only tries moves nothing."""
    first = stack.scheduled("incremental")
    end = datetime.fromisoformat(first.document["data_interval_end"])
    assert window(first) == (stack.day - timedelta(days=30), end), "from the `initial` of the YAML"
    assert stack.watermark() == end

    tomorrow, later = stack.day_end(-1), stack.day_end(-2)
    ahead = stack.over(stack.trigger("incremental", as_of=tomorrow.isoformat()))
    assert window(ahead) == (end, tomorrow)
    assert stack.watermark() == tomorrow

    past = stack.over(stack.trigger("incremental", stack.day_end(8)))
    assert window(past) == (stack.day_end(9), stack.day_end(8))
    created = stack.command(
        "backfill", "create", "--dag-id", "incremental", "--dag-run-conf", json.dumps({"as_of": later.isoformat()}),
        *("--from-date", f"{stack.day_end(7):%Y-%m-%dT%H:%M}", "--to-date", f"{stack.day_end(7):%Y-%m-%dT%H:%M}"),
    )  # fmt: skip
    assert created.returncode == 0, created.stdout + created.stderr
    [backfill] = [stack.over(run) for run in stack.runs("incremental", "run_type=backfill")]
    tried = stack.tried("incremental", stack.day_end(5), as_of=later.isoformat())
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert window(backfill) == (tomorrow, later), "it would have moved the watermark"
    assert "the watermark is not moved" in backfill.text("news")
    assert "the watermark is not moved" in tried.stdout
    assert {run.state for run in (ahead, past, backfill)} == {"success"}
    assert stack.watermark() == tomorrow


def window(run: Ran) -> tuple[datetime, datetime]:
    """Return which time an ingest of a run covers."""
    start, end = Artifact.open(run.xcom("news")).manifest.details["window"]
    return datetime.fromisoformat(start), datetime.fromisoformat(end)


def test_links_lead_to_the_report_whether_it_passed_or_not(scheduled: Ran, rejected: Ran, stack: Stack) -> None:
    for run, task, verdict in (
        (scheduled, "validate_users", "Passed: 1 warning"),
        (rejected, "judged", "Blocked: 1 error"),
    ):
        address = run.links(task)["Validation report"]
        assert address is not None
        assert address.endswith(
            f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task}/plugin/data-quality"
        )
        page = stack.api.read(f"{run.page}/tasks/{task}").decode()
        assert task in page
        assert verdict in page
        assert "<html" in stack.api.read(f"{run.page}/tasks/{task}/report").decode()


def test_the_tab_is_for_those_who_may_see_the_dag(scheduled: Ran, stack: Stack) -> None:
    pages = [scheduled.page, f"{scheduled.page}/tasks/validate_users", f"{scheduled.page}/tasks/validate_users/report"]

    for page in pages:
        assert stack.as_user("viewer").status(page) == 200
        assert stack.as_user("stranger").status(page) == 403
        assert stack.anybody.status(page) == 401


def test_runs_that_go_well_say_nothing_alarming(scheduled: Ran, week: list[str], stack: Stack) -> None:
    """Nothing of ours above INFO but what is to be seen: the sample's own flaw, a rule of severity WARNING."""
    runs = [scheduled, *map(stack.over, week)]

    lines = [line for run in runs for task, ti in run.tasks.items() for line in run.log(task, ti["try_number"])]

    assert any(ours(line) for line in lines)
    alarming = {line["event"] for line in lines if ours(line) and line["level"] not in {"info", "debug"}}
    # The first run of all is told that later ones go by its scale; cleared, it is no longer the first.
    told = {event for event in alarming if "there was no fitted state" not in event}
    assert {event.splitlines()[0].partition(".")[0] for event in told} == {
        "WARNING FAILED: `status` is one of active, inactive, pending"
    }


def test_the_services_say_nothing_alarming_of_us(scheduled: Ran, stack: Stack) -> None:
    for service in SERVICES:
        lines = [json.loads(line) for line in stack.output(service).splitlines() if line.startswith("{")]
        assert lines, service
        # What belongs to a task is in the tasks' own logs, too; among them are some that are to fail.
        of_itself = [line for line in lines if "task_id" not in line and line.get("level") not in {"info", "debug"}]
        assert [line for line in of_itself if "mlpipe" in json.dumps(line)] == [], service
    assert stack.api.get("/api/v2/importErrors")["import_errors"] == []


def ours(line: dict[str, Any]) -> bool:
    """Return whether a line of a log is from the provider: by its logger, or by the file that a warning names."""
    return "mlpipe" in f"{line.get('logger')} {line.get('filename')}"
