"""Tasks stopped in the middle of their work, by their timeout or by the SIGTERM that Airflow sends: the server's and the
engine's part in it ends, nothing half is left, and what was published before is as it was.

All Dags of stopping_cases/cases.py run in one process, which gets the signals.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Run, Step, new_airflow
from tests.servers import Answer, Request, json_api, postgres, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

INTERVAL = "20260113T020000Z-20260114T020000Z"
FEW = "SELECT i AS order_id, 'few' AS text FROM generate_series(1, 100) AS s(i)"
# Not one row comes: the driver waits for the first.
SILENCE = "SELECT 1 AS order_id, pg_sleep(900)::text AS text"
# Rows come fast until two row groups are written, then hardly any more.
STREAM = """SELECT i AS order_id, CASE WHEN i > 300000 THEN pg_sleep(1)::text END AS text
FROM generate_series(1, 900000) AS s(i)"""


@dataclass
class Pages:
    """Three pages of an API; so many times the second is not answered.

    Attributes:
        stuck: how many times.
        asked: set when it is asked for and not answered.
        over: lets go of who waits.
    """

    stuck: int = 0
    asked: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: Request) -> Any:
        page = int(request.query.get("page", "1"))
        if page == 2 and self.stuck:
            self.stuck -= 1
            self.asked.set()
            self.over.wait()
            return Answer(status=0)
        return {"items": [{"id": page * 1000 + number} for number in range(1000)] if page <= 3 else []}


def running(uri: str) -> list[str]:
    """Return the queries that the server executes for clients."""
    import psycopg

    sql = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%pg_sleep(%%' AND pid <> %s"
    with psycopg.connect(uri, autocommit=True) as connection:
        return [row[0] for row in connection.execute(sql, [connection.info.backend_pid]).fetchall()]


@dataclass
class Story:
    """What happened.

    Attributes:
        runs: by Dag.
        root: the artifact root.
        temporary: where the process puts what is temporary.
        before: the artifacts, after the first Dag.
        queries: what PostgreSQL still executed at the end.
    """

    runs: dict[str, Run]
    root: Path
    temporary: Path
    before: dict[str, bytes]
    queries: list[str]


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the Dags, those that end first."""
    place = tmp_path_factory.mktemp("stopping")
    root, temporary = place / "airflow" / "mlpipe", place / "tmp"
    temporary.mkdir()
    stuck, once = Pages(stuck=10), Pages(stuck=1)
    routes = {"/orders": Pages(), "/stuck": stuck, "/once": once}
    with postgres() as uri, json_api(routes) as api, ThreadPoolExecutor(1) as pool:
        airflow = new_airflow(place).with_env(
            AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "tests/operators/stopping_cases"),
            AIRFLOW_CONN_SERVER=uri,
            AIRFLOW_VAR_PAGES=f"{root}/pages/raw/{INTERVAL}",
            TMPDIR=str(temporary),
        )
        plan = [
            ("published", FEW, "/orders"),
            ("late_orders", SILENCE, ""),
            ("late_pages", "", "/stuck"),
            ("late_checked", "", ""),
            ("killed_orders", STREAM, ""),
            ("killed_checked", "", ""),
            ("killed_pages", "", "/once"),
        ]
        steps = [
            Step(dag, "2026-01-15", env={"AIRFLOW_VAR_QUERY": query, "AIRFLOW_VAR_API": f"{api.url}{path}"})
            for dag, query, path in plan
        ]
        runs = pool.submit(airflow.run, *steps)
        kill = partial(_kill, airflow.home / "pid")
        try:
            until(lambda: runs.done() or SILENCE in "".join(running(uri)), "orders are waited for", 180)
            before = files(root)
            parts = root / "orders" / "raw" / INTERVAL
            until(lambda: runs.done() or len(list(parts.glob("part-*"))) > 1, "orders are written", 180)
            kill()
            until(lambda: runs.done() or any(temporary.glob("mlpipe-spill-*")), "pages are scanned", 60)
            kill()
            until(lambda: runs.done() or once.asked.is_set(), "pages are asked for", 60)
            kill()
            found = runs.result()
        except BaseException:
            kill(signal.SIGKILL)
            raise
        finally:
            stuck.over.set()
            once.over.set()
        yield Story(dict(zip((dag for dag, *_ in plan), found, strict=True)), root, temporary, before, running(uri))


def _kill(pid: Path, number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(int(pid.read_text()), number)


def test_what_was_published_before_is_as_it_was(story: Story) -> None:
    after = files(story.root)

    assert story.runs["published"].state == "success"
    assert len(story.before) >= 6
    # Tried again after it was killed, and published in another attempt: the same rows.
    pages = f"pages/raw/{INTERVAL}/"
    for name, content in story.before.items():
        if not name.startswith(pages) or ("part-" not in name and "manifest" not in name):
            assert after[name] == content, name
    assert {name for name in after if not name.startswith(pages)} == {
        name for name in story.before if not name.startswith(pages)
    }, "no part of an artifact that never came to be"
    assert len([name for name in after if name.startswith(f"{pages}part-")]) == 1


@pytest.mark.parametrize("task", ["orders", "pages", "checked"])
def test_a_timeout_ends_the_work(story: Story, task: str) -> None:
    run = story.runs[f"late_{task}"]

    assert run.states == {task: "failed"}
    assert f"{task} was stopped at its execution_timeout of 0:00:05" in run.log
    assert "What was published before is as it was" in run.log


@pytest.mark.parametrize("task", ["orders", "checked"])
def test_sigterm_ends_the_work(story: Story, task: str) -> None:
    run = story.runs[f"killed_{task}"]

    assert run.states == {task: "failed"}
    assert f"{task} was told to stop" in run.log


def test_a_task_that_was_told_to_stop_is_tried_again_and_starts_clean(story: Story) -> None:
    run = story.runs["killed_pages"]

    assert run.states == {"pages": "success"}
    assert run.tasks["pages"]["try_number"] == 2
    artifact = Artifact.open(run.xcom("pages"))
    assert artifact.manifest.rows == 3000
    assert artifact.fingerprint == Artifact.open(story.runs["published"].xcom("pages")).fingerprint


def test_the_server_works_for_nobody_any_more(story: Story) -> None:
    assert story.queries == []


def test_nothing_temporary_is_left(story: Story) -> None:
    assert [path.name for path in story.temporary.iterdir() if path.name.startswith("mlpipe")] == []
