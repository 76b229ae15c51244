"""What the tests of the whole Airflow share: one stack, what its Dags read, and the runs that several tests look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.stack import Ran, Stack, airflow_on_postgresql
from tests.system.world import World, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests that `test_local_executor` collects, so that one Airflow serves them all.
pytest.register_assert_rewrite("tests.system.connections", "tests.system.real_data", "tests.system.watching")

EXAMPLE = "user_feature_pipeline"
DAGS = (
    *(EXAMPLE, "days", "producer", "consumer", "parted", "part_reader"),
    *("incremental", "rejected", "transient", "busy", "waiting", "stopped"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sources."""
    with sources(tmp_path_factory.mktemp("world")) as there:
        yield there


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[Stack]:
    """The Airflow, its Dags switched on: those on a schedule begin their newest day."""
    with airflow_on_postgresql(tmp_path_factory.mktemp("system"), **world.environment) as running:
        for dag in DAGS:
            running.unpause(dag)
        yield running


@pytest.fixture(scope="module")
def week(stack: Stack) -> list[str]:
    """A backfill of seven days, two at a time: the runs, the oldest first."""
    first, last = (stack.day_end(days_ago) for days_ago in (12, 6))
    body = {"dag_id": "days", "from_date": first.isoformat(), "to_date": last.isoformat(), "max_active_runs": 2}
    stack.api.call("POST", "/api/v2/backfills", body)
    return stack.runs("days", "run_type=backfill")


@pytest.fixture(scope="module")
def scheduled(stack: Stack) -> Ran:
    """The run that the scheduler made by itself when the example was switched on."""
    return stack.scheduled(EXAMPLE)


@pytest.fixture(scope="module")
def rejected(stack: Stack) -> Ran:
    """A run whose data does not pass."""
    return stack.over(stack.trigger("rejected"))
