"""What the tests of training sets are made of: a history of features, labels around its edges, and sets built of them."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.feature_store.training import training_set
from airflow_provider_mlpipe.run import Run
from tests.feature_store.feature_artifacts import STAMP, VIEW, as_of, features, scores

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage

STORE = FeatureStore()
TTL = timedelta(days=1)
BACKEND, DONE, TOP = (f"{VIEW}:{name}" for name in ("skill_score_backend", "tasks_completed_7d", "top_skill"))


def feature_history(root: Storage, store: FeatureStore = STORE) -> None:
    """Three days of 40 users with a TTL of a day, a rewritten day, and two days of teams without one."""
    short = {"ttl_seconds": int(TTL.total_seconds())}
    for day in (14, 15, 17):
        materialize(features(root, scores(40, seed=day), day=day, feast=short), store, root=root)
    # A manual run about the moment of day 15, computed later: what it says of ten users is newer news.
    again = features(root, scores(10, seed=99), day=16, times=[as_of(15)] * 10, run=Run(run_id="again"), feast=short)
    materialize(again, store, root=root)
    for day in (14, 16):
        table = pa.table({"team_id": list(range(4)), "size": [day * 10 + i for i in range(4)], "top_skill": ["x"] * 4})
        made = features(root, table, day=day, entity="team_id", feature_set="team_features", feast={"ttl_seconds": 0})
        materialize(made, store, root=root)


def labels(count: int = 300) -> pa.Table:
    """Labels around every edge: before, at and after feature times and TTLs, unknown users, the same row twice."""
    rng = random.Random(5)
    edges = [as_of(day) + shift for day in (14, 15, 16, 17) for shift in (timedelta(0), TTL)]
    times = [
        rng.choice(edges) + rng.choice([0, 0, -1, 1]) * timedelta(microseconds=1)
        if rng.random() < 0.5
        else as_of(13) + timedelta(seconds=rng.randrange(7 * 86_400))
        for _ in range(count)
    ]
    users = [f"u{rng.randrange(45):05d}" for _ in range(count)]
    table = pa.table(
        {
            "user_id": users,
            "team_id": [rng.randrange(6) for _ in range(count)],
            "event_timestamp": pa.array(times, STAMP),
            "late": [rng.random() < 0.3 for _ in range(count)],
            "note": pa.array([f"n{i % 3}" for i in range(count)]).dictionary_encode(),
        }
    )
    return pa.concat_tables([table, table.slice(0, 20)]).combine_chunks()


def build(root: Storage, given: pa.Table | Artifact | str, wanted: list[str] | str = BACKEND, **more: Any) -> Artifact:
    """Make a training set of a name of its own, from a table by way of a file."""
    name = f"set_{uuid.uuid4().hex[:8]}"
    if isinstance(given, pa.Table):
        path = Path(root.path(f"{name}.parquet"))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(given, path)
        given = str(path)
    settings = {"store": STORE, "run": Run(), "dataset": name} | more
    return training_set(given, root=root, features=wanted, **settings)


def small(**columns: Any) -> pa.Table:
    """Return two labels, with columns replaced."""
    base: dict[str, Any] = {
        "user_id": ["u00001", "u00030"],
        "event_timestamp": pa.array([as_of(15)] * 2, STAMP),
        "y": [1, 0],
    }
    return pa.table(base | columns)
