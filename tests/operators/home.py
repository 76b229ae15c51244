"""An Airflow to run Dags in: a temporary AIRFLOW_HOME on SQLite, migrated once and copied for whoever wants one.

Everything that needs Airflow's database runs in a process of its own, so that the tests' process keeps its environment
and its warnings-are-errors.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

__all__ = ["REPOSITORY", "Airflow", "Run", "Step", "airflow", "environment", "new_airflow", "python"]

REPOSITORY = Path(__file__).parents[2]
MARK = "=== run ==="
"""What `driver` writes before every run."""

SECONDS = 600
"""A process that takes longer has hung."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment for a process with its own Airflow, free of whatever Airflow the machine has."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLPIPE", "AWS"))}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TZ": "UTC",
        **more,
    }


def python(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments` and return how it ended."""
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@cache
def _migrated() -> Path:
    """Return an AIRFLOW_HOME with an empty database, the same for the whole session. Not to be written to."""
    home = Path(tempfile.mkdtemp(prefix="mlpipe-airflow-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "dags").mkdir()
    done = python("-m", "airflow", "db", "migrate", env=environment(home))
    assert done.returncode == 0, done.stdout + done.stderr
    return home


@dataclass(frozen=True)
class Airflow:
    """One Airflow: its home, with a folder ``dags`` in it, and what is in its environment."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def artifacts(self) -> Path:
        """The default artifact root."""
        return self.home / "mlpipe"

    def with_env(self, **more: str) -> Airflow:
        """Return the same Airflow with more environment variables."""
        return Airflow(self.home, self.env | more)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ...``."""
        return python("-m", "airflow", *arguments, env=environment(self.home, **self.env))

    def run(self, *steps: Step) -> list[Run]:
        """Run the steps in this order, in one process."""
        output = self.home / "runs.json"
        output.unlink(missing_ok=True)
        driver = str(Path(__file__).with_name("driver.py"))
        plan = json.dumps([asdict(step) for step in steps])
        path = str(REPOSITORY)  # for `tests.operators`
        done = python(driver, str(output), plan, env=environment(self.home, PYTHONPATH=path, **self.env))
        assert output.exists(), done.stdout + done.stderr
        logs = done.stdout.split(MARK)[1:]
        return [Run(**run, log=log) for run, log in zip(json.loads(output.read_text()), logs, strict=True)]


@dataclass(frozen=True)
class Step:
    """A Dag to run for a date, None meaning a run without one.

    Attributes:
        env: set before the run, and from then on.
        online: users whose features are read from the online store after the run.
    """

    dag_id: str
    date: str | None
    env: dict[str, str] = field(default_factory=dict)
    online: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What became of a Dag run; tasks by name, each with state, try_number and xcoms."""

    run_id: str
    state: str
    interval: list[str]
    tasks: dict[str, dict[str, Any]]
    online: list[dict[str, Any]]
    log: str

    @property
    def states(self) -> dict[str, str]:
        """The tasks' states."""
        return {name: task["state"] for name, task in self.tasks.items()}

    def xcom(self, task: str, key: str = "return_value") -> Any:
        """What a task pushed."""
        return self.tasks[task]["xcoms"][key]


def new_airflow(folder: Path) -> Airflow:
    """Return an Airflow in `folder` with an empty database and no Dags."""
    home = folder / "airflow"
    shutil.copytree(_migrated(), home)
    # The file that Airflow wrote for itself names the folder that it was written for.
    (home / "airflow.cfg").unlink(missing_ok=True)
    return Airflow(home)


@pytest.fixture
def airflow(tmp_path: Path) -> Airflow:
    """An Airflow of the test's own."""
    return new_airflow(tmp_path)
