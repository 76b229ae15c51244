"""`FeastTrainingSetOperator`: what its templates become, what it leaves in XCom, and how it fails.

In this process, with a context as Airflow makes one; `tests/dags/test_training_set_weekly` runs it on a real Airflow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.operators import FeastTrainingSetOperator
from tests.feature_store.feature_artifacts import VIEW, as_of, features, scores

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = f"{VIEW}:skill_score_backend"


@dataclass
class TaskInstance:
    """What the operators use of Airflow's."""

    dag_id: str = "training"
    task_id: str = "training_set"
    run_id: str = "scheduled"
    map_index: int = -1
    try_number: int = 1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A root with features of two days, in a project of its own."""
    root = Storage(str(tmp_path_factory.mktemp("root")))
    for day in (14, 16):
        materialize(features(root, scores(5, seed=day), day=day), FeatureStore(project="trained"), root=root)
    return root


@pytest.fixture
def labels(tmp_path: Path) -> str:
    """Two labels, one of them from after the second day."""
    file = tmp_path / "labels.csv"
    file.write_text("user_id,seen_at,y\nu00001,2026-01-14T12:00:00Z,1\nu00002,2026-01-16T12:00:00Z,0\n")
    return str(file)


def execute(root: Storage, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """Render and run one task for the day that ends at 02:00 of 15 January; return its result and XComs."""
    with DAG("training", schedule=None):
        task = FeastTrainingSetOperator(task_id="training_set", artifact_root=root.uri, **arguments)
    ti = TaskInstance()
    context: Any = {
        "ti": ti,
        "dag": task.dag,
        "params": {"project": "trained", "column": "seen_at", "feature": BACKEND},
        "data_interval_start": as_of(15) - timedelta(days=1),
        "data_interval_end": as_of(15),
    }
    task.render_template_fields(context)
    return task.execute(context), ti.pushed


def test_templates_decide_and_xcom_says_where_it_is_and_what_came_of_it(root: Storage, labels: str) -> None:
    uri, pushed = execute(
        root,
        labels=labels,
        features=["{{ params.feature }}", f"{VIEW}:top_skill"],
        dataset="set_{{ params.project }}",
        event_timestamp="{{ params.column }}",
        store={"project": "{{ params.project }}"},
        full_feature_names=True,
    )
    made = Artifact.open(uri)
    assert uri == f"{root.uri}/set_trained/training/20260114T020000Z-20260115T020000Z"
    assert made.schema.names == ["user_id", "seen_at", "y", f"{VIEW}__skill_score_backend", f"{VIEW}__top_skill"]
    assert pushed["proof"] == f"{uri}/_pit_proof.json"
    assert pushed["fingerprint"] == made.fingerprint
    assert (pushed["metrics"]["labels"], pushed["metrics"]["pit_violations"]) == (2, 0)
    proof = json.loads(made.read_beside("_pit_proof.json") or b"")
    # Both labels have the features of day 14: those of day 16 are from after the run, whenever it runs.
    assert proof["views"][0]["newest_feature"] == as_of(14).isoformat()
    expected = scores(5, seed=14)["skill_score_backend"].to_pylist()[1:3]
    assert made.table()[f"{VIEW}__skill_score_backend"].to_pylist() == expected


def test_as_of_moves_what_is_seen(root: Storage, labels: str) -> None:
    given = {"labels": labels, "event_timestamp": "seen_at", "config": {"feature_store": {"project": "trained"}}}
    uri, _ = execute(root, **given, features=f"{VIEW}_service", dataset="later", as_of=as_of(17))
    second = Artifact.open(uri).table()["skill_score_backend"].to_pylist()[1]
    assert second == scores(5, seed=16)["skill_score_backend"].to_pylist()[2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": [f"{VIEW}:skill_backend"]}, "Did you mean 'skill_score_backend'"),
        ({"event_timestamp": "happened_at"}, "no column 'happened_at'"),
        ({"labels": "/absent/artifact"}, "no artifact at"),
        ({"store": {"project": "other"}}, "no feature view named"),
    ],
)
def test_what_a_retry_cannot_mend_fails_at_once(root: Storage, labels: str, change: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {
        "labels": labels,
        "features": [BACKEND],
        "event_timestamp": "seen_at",
        "store": {"project": "trained"},
        "dataset": "failed",
    }
    with pytest.raises(AirflowFailException, match=says):
        execute(root, **given | change)
    assert not list(root.below("failed/training").names())
