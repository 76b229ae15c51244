"""Killed at random moments, more than fifty times: after the retry, online is what the artifact holds, and nothing else.

Two pairs of stores, so that each kind of registry and of online store dies often enough: a registry file with SQLite,
and a registry in SQL with a real Valkey. A few kills are among the fast tests, the dozens among the slow ones.
"""

from __future__ import annotations

import fcntl
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import guard, materialize, open_store, rollback
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.difference import Comparison, Difference
from airflow_provider_mlpipe.feature_store.inventory import inventory_of
from airflow_provider_mlpipe.feature_store.settings import Settings
from tests.feature_store.feature_artifacts import VIEW, as_of, expected, features, online, scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

REPOSITORY = Path(__file__).parents[2]
ROWS = 300

FEW, MANY = 4, 26
"""Kills, for each of two pairs of stores."""


class Driver:
    """The program that starts and kills; see `kill_driver`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.feature_store.kill_driver"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
        )

    def run(
        self, artifact: Artifact, store: FeatureStore, root: Storage, *, after: float | None = None, back: str = ""
    ) -> dict[str, Any]:
        """Materialise in a child, or roll `back`, and kill it `after` some seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {"uri": artifact.uri, "root": root.uri, "settings": store.model_dump(), "after": after}
        self.process.stdin.write(json.dumps({**request, "rollback": back}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the driver ended: {self.close()}")
        answer: dict[str, Any] = json.loads(line)
        if answer["code"] not in {0, -9}:
            pytest.fail(f"a child failed by itself: {self.close()}")
        return answer

    def close(self) -> str:
        """End it, and return what it and its children had to complain of."""
        _, complaints = self.process.communicate()
        return complaints


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """One for all: that it imports everything once is the point."""
    running = Driver()
    yield running
    running.close()


def difference(artifact: Artifact, store: FeatureStore, root: Storage) -> Difference:
    """Compare every entity, and look for others."""
    opened, definition = open_store(store, root), Definition.of(artifact)
    view = opened.get_feature_view(VIEW)
    inventory = inventory_of(Settings.of(store, root), opened, view)
    return Comparison(artifact, definition, guard.survey(artifact, definition), opened, view, inventory).run()


def redis_at(address: str) -> dict[str, str]:
    return {"type": "redis", "connection_string": address}


def leftovers(root: Storage, artifact: Artifact) -> list[str]:
    """Return temporary files: ours begin with a dot. (A journal of SQLite goes with its next transaction.)"""
    folders = [Path(root.root, "_feast"), Path(root.root, "_feast/offline", VIEW), Path(artifact.uri)]
    return [path.name for folder in folders for path in folder.iterdir() if path.name.startswith(".")]


def assert_free(root: Storage) -> None:
    """Nobody holds a lock."""
    locks = list(Path(root.root, "_feast").rglob("*.lock"))
    assert locks
    for lock in locks:
        with lock.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def moment_of_death(store: FeatureStore, root: Storage, artifact: Artifact) -> str:
    """Return how far a killed run had come, by what it left."""
    state = open_store(store, root).get_feature_view(VIEW).state.name
    found = difference(artifact, store, root)
    rows = "no row" if not found.unchanged else "a part" if found.rewrite else "all rows"
    return f"{rows}, {state}"


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("registry file and sqlite", FEW),
        pytest.param("registry file and sqlite", MANY, marks=pytest.mark.slow),
        pytest.param("registry in SQL and redis", MANY, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments(
    root: Storage, driver: Driver, kind: str, kills: int, request: pytest.FixtureRequest
) -> None:
    store = FeatureStore(registry=f"{root.root}/_feast/registry.pb")
    if kind.endswith("redis"):
        store = FeatureStore(project="killed", online_store=redis_at(request.getfixturevalue("valkey")))
    chance = random.Random(20260114)
    deaths: Counter[str] = Counter()
    days: list[int] = []
    whole = 0.0
    for day, seed in ((1, -2), (1, -1)):  # the first registers the view, the second takes as long as all that follow
        whole = driver.run(features(root, scores(ROWS, seed=seed), day=day), store, root)["seconds"]
    for attempt in range(max(20, 4 * kills)):
        if deaths.total() == kills:
            break
        day = 2 + attempt // 2 % 27  # a new day, and then the same day again with corrected values
        table = scores(ROWS, seed=attempt)
        artifact = features(root, table, day=day)
        ended = driver.run(artifact, store, root, after=chance.uniform(0, whole))
        if not ended["killed"]:
            whole = ended["seconds"]
            continue
        deaths[moment_of_death(store, root, artifact)] += 1
        days.append(day)

        done = materialize(artifact, store, root=root)

        assert (done.rows, done.mismatches) == (ROWS, 0)
        left = difference(artifact, store, root)
        assert (left.unchanged, left.rewrite, left.excess) == (ROWS, 0, [])
        assert leftovers(root, artifact) == []
    assert deaths.total() == kills, f"only so many were killed before they were done: {deaths}"
    assert len(deaths) > 1 or kills == FEW, f"all were killed at the same point: {deaths}"
    assert online(store, root, table) == expected(table)
    view = open_store(store, root).get_feature_view(VIEW)
    assert view.state.name == "AVAILABLE_ONLINE"
    assert {as_of(day) for day in days} <= {end for _, end in view.materialization_intervals}, "an interval is lost"
    assert_free(root)


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("sqlite", 2),
        pytest.param("sqlite", 10, marks=pytest.mark.slow),
        pytest.param("redis", 10, marks=pytest.mark.slow),
    ],
)
def test_a_killed_rollback_is_completed_by_the_next(
    root: Storage, driver: Driver, kind: str, kills: int, request: pytest.FixtureRequest
) -> None:
    store = FeatureStore(project="rolled")
    if kind == "redis":
        store = FeatureStore(project="rolled", online_store=redis_at(request.getfixturevalue("valkey")))
    good, bad = scores(ROWS, seed=1), scores(ROWS, seed=2, first=ROWS // 2)
    to, wrong = features(root, good, day=14), features(root, bad, day=15)
    materialize(to, store, root=root)
    materialize(wrong, store, root=root)
    chance = random.Random(14)
    killed = 0
    driver.run(to, store, root, back=VIEW)
    materialize(wrong, store, root=root)
    whole = driver.run(to, store, root, back=VIEW)["seconds"]
    for _ in range(max(20, 4 * kills)):
        if killed == kills:
            break
        materialize(wrong, store, root=root)
        killed += driver.run(to, store, root, after=chance.uniform(0, 1) * whole, back=VIEW)["killed"]

        done = rollback(VIEW, to, store=store, root=root)

        assert done.rewritten + done.unchanged == ROWS
        left = difference(to, store, root)
        assert (left.unchanged, left.rewrite, left.excess) == (ROWS, 0, [])
        assert leftovers(root, to) == []
    assert killed == kills
    assert online(store, root, good.slice(0, 50)) == expected(good.slice(0, 50))
    assert_free(root)
