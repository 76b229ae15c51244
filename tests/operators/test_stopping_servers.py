"""Tasks stopped while drivers that no signal reaches wait for a server: connectorx, which holds Python's lock, for
MariaDB, and pyarrow for a bucket that hangs. As in `test_stopping`, nothing works on, and nothing half is left.

All Dags of stopping_server_cases/cases.py run in one process, which gets the signals.
"""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Run, Step, new_airflow
from tests.servers import mariadb, mysql_connection, silence, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

INTERVAL = "20260113T020000Z-20260114T020000Z"
FEW = "SELECT seq AS order_id, 'few' AS text FROM seq_1_to_100"
# Not one row comes: the driver waits for the first.
SILENCE = "SELECT 1 AS order_id, SLEEP(900) AS text"
CROSS = "SELECT a.seq AS order_id, 'cross' AS text FROM seq_1_to_100000 a, seq_1_to_100000 b WHERE a.seq * b.seq < 0"
# Rows come fast until two row groups are written, then hardly any more.
STREAM = "SELECT seq AS order_id, IF(seq > 300000, SLEEP(1), 0) AS text FROM seq_1_to_900000"


def running(uri: str, part: str = "") -> list[str]:
    """Return the statements of ours that the server executes, with `part` in them."""
    with closing(mysql_connection(uri)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, info FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
        return [text for _, text in cursor.fetchall() if text and "/* mlpipe " in text and part in text]


@dataclass
class Story:
    """What happened.

    Attributes:
        runs: by Dag.
        root: the artifact root.
        temporary: where the process puts what is temporary.
        before: the artifacts, after the first Dag.
        statements: what MariaDB still executed at the end.
    """

    runs: dict[str, Run]
    root: Path
    temporary: Path
    before: dict[str, bytes]
    statements: list[str]


def files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lake(url: str) -> str:
    """Return a connection to a bucket."""
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    return json.dumps({"conn_type": "aws", "login": "key-id", "password": "secret-of-lake", "extra": extra})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Run the Dags."""
    place = tmp_path_factory.mktemp("stopping-servers")
    root, temporary, few = place / "airflow" / "mlpipe", place / "tmp", place / "few.csv"
    temporary.mkdir()
    few.write_text("id\n1\n2\n")
    with (
        mariadb() as uri,
        silence() as late, silence() as download, silence() as upload,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        airflow = new_airflow(place).with_env(
            AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "tests/operators/stopping_server_cases"),
            AIRFLOW_CONN_SHOP=uri,
            AIRFLOW_CONN_SHOP_ROWS=f"{uri}?read_ahead=false",
            AIRFLOW_VAR_FEW=str(few),
            TMPDIR=str(temporary),
        )
        plan: list[tuple[str, dict[str, Any]]] = [
            ("published", {"AIRFLOW_VAR_QUERY": FEW}),
            ("late_orders", {"AIRFLOW_VAR_QUERY": SILENCE}),
            ("late_rows", {"AIRFLOW_VAR_QUERY": CROSS}),
            ("late_download", {"AIRFLOW_CONN_LAKE": lake(late.url)}),
            ("late_upload", {}),
            ("killed_orders", {"AIRFLOW_VAR_QUERY": STREAM}),
            ("killed_rows", {"AIRFLOW_VAR_QUERY": SILENCE}),
            ("killed_download", {"AIRFLOW_CONN_LAKE": lake(download.url)}),
            ("killed_upload", {"AIRFLOW_CONN_LAKE": lake(upload.url)}),
        ]
        runs = pool.submit(airflow.run, *(Step(dag, "2026-01-15", env=env) for dag, env in plan))
        kill = partial(_kill, airflow.home / "pid")
        try:
            until(lambda: runs.done() or running(uri, SILENCE[7:]), "orders are waited for")
            before = files(root)
            until(lambda: runs.done() or running(uri, CROSS[7:]), "rows are waited for")
            until(lambda: runs.done() or running(uri, STREAM[7:]), "orders are read")
            parts = root / "orders" / "raw" / INTERVAL
            until(lambda: runs.done() or len(list(parts.glob("part-*"))) > 1, "orders are written")
            kill()
            until(lambda: runs.done() or running(uri, SILENCE[7:]), "rows are waited for")
            kill()
            for server in (download, upload):
                until(lambda server=server: runs.done() or server.asked.is_set(), "the bucket was asked")
                kill()
            found = runs.result()
        except BaseException:
            kill(signal.SIGKILL)
            raise
        until(lambda: not running(uri), "the server works for nobody any more", 30)
        yield Story(dict(zip((dag for dag, _ in plan), found, strict=True)), root, temporary, before, running(uri))


def _kill(pid: Path, number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(int(pid.read_text()), number)


@pytest.mark.parametrize("task", ["orders", "rows", "download", "upload"])
def test_a_timeout_ends_the_work(story: Story, task: str) -> None:
    run = story.runs[f"late_{task}"]

    assert run.states == {task: "failed"}
    assert f"{task} was stopped at its execution_timeout of 0:00:05" in run.log


@pytest.mark.parametrize("task", ["orders", "rows", "download", "upload"])
def test_sigterm_ends_the_work(story: Story, task: str) -> None:
    run = story.runs[f"killed_{task}"]

    assert run.states == {task: "failed"}
    assert f"{task} was told to stop" in run.log


def test_what_was_published_before_is_as_it_was_and_there_is_nothing_else(story: Story) -> None:
    assert story.runs["published"].state == "success"
    artifact = Artifact.open(story.runs["published"].xcom("orders"))
    assert artifact.manifest.rows == 100
    assert artifact.manifest.details["driver"] == "connectorx"
    assert len(story.before) >= 2
    assert files(story.root) == story.before


def test_the_server_works_for_nobody_any_more(story: Story) -> None:
    assert story.statements == []


def test_nothing_temporary_is_left(story: Story) -> None:
    assert [path.name for path in story.temporary.iterdir() if path.name.startswith("mlpipe")] == []
