"""`mlpipe online`: reading without saying so, and rolling back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from tests.feature_store.feature_artifacts import VIEW, features, scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage
    from tests.cli.terminal import Answer


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A feature file with the set of the view."""
    file = tmp_path / "features.yaml"
    file.write_text("user_features: {features: [skill_score_backend]}\n")
    return file


def test_a_view_is_rolled_back_from_the_terminal(mlpipe: Callable[..., Answer], root: Storage, config: Path) -> None:
    to = features(root, scores(3, seed=1), day=14)
    for artifact in (to, features(root, scores(5, seed=2), day=15)):
        materialize(artifact, FeatureStore(), root=root)
    places = ("--config", config, "--root", root.uri)
    before = mlpipe("online", VIEW, "u00001", *places, "--json").document
    assert mlpipe("online", "read", VIEW, "user_id=u00001", *places, "--json").document == before
    command = ("online", "rollback", VIEW, "--to", to.uri, *places)

    tried = mlpipe(*command, "--dry-run", "--json").document

    counts = {"rewritten": 3, "changed": 3, "removed": 2, "unchanged": 0}
    assert {name: tried[name] for name in counts} == counts
    assert tried["dry_run"] is True
    assert mlpipe("online", VIEW, "u00001", *places, "--json").document == before

    done = mlpipe(*command)
    assert done.code == 0
    assert "not in the artifact" in done.out
    after = mlpipe("online", "--json", *places, VIEW, "u00001", "u00004").document["rows"]
    assert [row["skill_score_backend"] for row in after] == [to.table()["skill_score_backend"][1].as_py(), None]
    again = mlpipe(*command, "--json").document
    assert (again["rewritten"], again["removed"], again["unchanged"]) == (0, 0, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing argument"),
        (("--no-such-option", VIEW, "u1"), "No such option"),
        (("rollback", VIEW), "Missing option '--to'"),
        (("rollback", VIEW, "--to", "nowhere"), "no artifact at nowhere"),
    ],
)
def test_what_is_wrong_is_said(mlpipe: Callable[..., Answer], arguments: tuple[str, ...], says: str) -> None:
    answer = mlpipe("online", *arguments)
    assert answer.code in {2, 3}
    assert says in answer.err
