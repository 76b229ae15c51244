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
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

__all__ = ["REPOSITORY", "Airflow", "airflow", "environment", "python"]

REPOSITORY = Path(__file__).parents[2]
SECONDS = 240
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

    def run(self, dag_id: str, *dates: str) -> Runs:
        """Run a Dag for each date, in this order, in one process."""
        output = self.home / "runs.json"
        output.unlink(missing_ok=True)
        driver = str(Path(__file__).with_name("driver.py"))
        done = python(driver, str(output), dag_id, *dates, env=environment(self.home, **self.env))
        assert output.exists(), done.stdout + done.stderr
        return Runs([Run(**run) for run in json.loads(output.read_text())], log=done.stdout + done.stderr)


@dataclass(frozen=True)
class Run:
    """What became of a Dag run; tasks by name, each with state, try_number and xcoms."""

    run_id: str
    state: str
    interval: list[str]
    tasks: dict[str, dict[str, Any]]

    @property
    def states(self) -> dict[str, str]:
        """The tasks' states."""
        return {name: task["state"] for name, task in self.tasks.items()}

    def xcom(self, task: str, key: str = "return_value") -> Any:
        """What a task pushed."""
        return self.tasks[task]["xcoms"][key]


@dataclass(frozen=True)
class Runs:
    """The runs of one process, in order, and everything it logged."""

    runs: list[Run]
    log: str

    def __getitem__(self, position: int) -> Run:
        return self.runs[position]

    @property
    def only(self) -> Run:
        """The one run there is."""
        (run,) = self.runs
        return run


@pytest.fixture
def airflow(tmp_path: Path) -> Airflow:
    """An Airflow of the test's own, with an empty database and no Dags."""
    home = tmp_path / "airflow"
    shutil.copytree(_migrated(), home)
    # The file that Airflow wrote for itself names the folder that it was written for.
    (home / "airflow.cfg").unlink(missing_ok=True)
    return Airflow(home)
