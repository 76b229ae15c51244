"""What each example Dag brings into the process that parses it, beyond Airflow: our own modules, and few of them.

Counted are modules, not milliseconds: `parsing.py` beside this file measures those.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.operators.home import REPOSITORY, environment, python

if TYPE_CHECKING:
    from _pytest.tmpdir import TempPathFactory

FILES = sorted((REPOSITORY / "dags").glob("*.py"))
MOST = 35
"""Modules of ours. Each costs about a millisecond."""

WORK = {"artifacts", "config", "engines", "feature_extraction", "feature_store", "ingestion", "reporting", "validation"}
"""What a task does, as opposed to what it is."""


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.stem)
def parsed(request: pytest.FixtureRequest, tmp_path_factory: TempPathFactory) -> dict[str, Any]:
    """What came with a file."""
    child = str(Path(__file__).with_name("parsing.py"))
    done = python("-W", "error", child, "--child", str(request.param), env=environment(tmp_path_factory.mktemp("home")))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("PARSED ")[2])
    return found


def test_no_library_comes_along(parsed: dict[str, Any]) -> None:
    assert all(parsed["tasks"].values())
    assert set(parsed["libraries"]) <= {"airflow_provider_mlpipe"}


def test_few_modules_of_ours_come_and_none_that_works(parsed: dict[str, Any]) -> None:
    ours = [name.split(".")[1] for name in parsed["modules"]]

    assert 10 < len(ours) <= MOST, parsed["modules"]
    assert set(ours) & WORK == set()
