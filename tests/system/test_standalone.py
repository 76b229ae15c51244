"""`airflow standalone`, as people try a provider: it starts, runs a Dag, and Ctrl-C stops all of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests import servers
from tests.system.stack import SLOW, airflow_standalone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


def test_it_starts_runs_a_dag_and_stops(tmp_path: Path) -> None:
    with airflow_standalone(tmp_path) as (stack, process):
        stack.unpause("days")
        end = stack.day_end(3)
        run = stack.over(stack.trigger("days", end))

        assert run.states == dict.fromkeys(("people", "month", "features"), "success")
        features = Artifact.open(run.xcom("features"))
        assert features.manifest.rows > 0
        assert features.manifest.partition.endswith(f"{end:%Y%m%dT%H%M%SZ}")
        # The run that the scheduler made when the Dag was switched on: nothing is to be cut short.
        [scheduled] = stack.runs("days", "run_type=scheduled")
        assert stack.over(scheduled).state == "success"

    assert process.returncode == 0
    assert stack.output("standalone").rstrip().endswith("Complete")
    servers.until(lambda: not alive(process.pid), "everything that it started has ended", seconds=SLOW)


def alive(group: int) -> bool:
    """Return whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
