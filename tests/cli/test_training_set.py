"""``mlpipe training-set``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from tests.feature_store.feature_artifacts import VIEW, features, scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

BACKEND = f"{VIEW}:skill_score_backend"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels, and a root with the features of one day."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features.yaml").write_text("feature_store: {project: trained}\n")
    (tmp_path / "labels.csv").write_text(
        "user_id,event_timestamp,y\nu00001,2026-01-14T12:00:00Z,1\nu00002,2026-01-13,0\n"
    )
    root = Storage(str(tmp_path / "artifacts"))
    materialize(features(root, scores(3)), FeatureStore(project="trained"), root=root)
    return ["training-set", "labels.csv", "--config", "features.yaml"]


def test_json_says_where_it_is_and_proves_it(mlpipe: Callable[..., Answer], given: list[str], tmp_path: Path) -> None:
    answer = mlpipe(
        *given, "--feature", BACKEND, "--dataset", "late", "--as-of", "2026-01-15", "--full-names", "--json"
    )
    assert answer.code == 0, answer.err
    said = answer.document
    made = Artifact.open(said["artifact"])
    assert made.uri.endswith("late/training/20260114T000000Z-20260115T000000Z")
    assert said["columns"] == made.schema.names == ["user_id", "event_timestamp", "y", f"{VIEW}__skill_score_backend"]
    assert (said["rows"], said["fingerprint"]) == (2, made.fingerprint)
    assert said["proof"] == json.loads(made.read_beside("_pit_proof.json") or b"")
    assert said["metrics"]["labels_without_features"] == 1


def test_people_see_a_table(mlpipe: Callable[..., Answer], given: list[str]) -> None:
    answer = mlpipe(*given, "--service", f"{VIEW}_service")
    assert answer.code == 0, answer.err
    assert "training_set: 2 rows" in answer.out
    assert VIEW in answer.out
    assert "artifact: artifacts/training_set/training/run-manual" in answer.out.replace("./", "")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "give one or more --feature, or one --service"),
        (["--feature", BACKEND, "--service", "s"], "give one or more --feature, or one --service"),
        (["--feature", f"{VIEW}:skill"], "no feature named 'skill'"),
        (["--feature", BACKEND, "--time", "at"], "no column 'at'"),
    ],
)
def test_wrong_use_exits_with_2(mlpipe: Callable[..., Answer], given: list[str], more: list[str], says: str) -> None:
    answer = mlpipe(*given, *more)
    assert answer.code == 2
    assert says in answer.err
    assert answer.out == ""
