"""What training sets are not made of: names that Feast does not know, labels that do not fit, files that change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.errors import ArtifactReplacedError, ConfigError, SourceRejectedError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.feature_store.training import history, join
from tests.feature_store.feature_artifacts import VIEW, features, scores
from tests.feature_store.training_sets import BACKEND, STORE, TOP, build, small

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage


def test_offline_data_replaced_meanwhile_is_noticed(place: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    file = min(Path(place.path(f"_feast/offline/{VIEW}")).glob("*.parquet"))
    copy = history.local_copy

    def and_then_somebody_materialises(*given: Any) -> str:
        digest = copy(*given)
        rewritten = file.with_suffix(".new")
        rewritten.write_bytes(file.read_bytes())
        rewritten.replace(file)
        return digest

    monkeypatch.setattr(history, "local_copy", and_then_somebody_materialises)
    with pytest.raises(ArtifactReplacedError, match="changed while it was read"):
        build(place, small())


def test_labels_replaced_meanwhile_are_noticed(place: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "labels.parquet"
    pq.write_table(small(), file)
    read = join.Join.read

    def and_then_somebody_exports_again(*given: Any) -> Any:
        spine = read(*given)
        pq.write_table(small(y=[7, 8]), file)
        return spine

    monkeypatch.setattr(join.Join, "read", and_then_somebody_exports_again)
    with pytest.raises(ArtifactReplacedError, match="changed while they were read"):
        build(place, str(file))


# ------------------------------------------------------------------ refusals, before anything is computed


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (["user_profile:skill_score_backend"], "no feature view named 'user_profile'"),
        ([f"{VIEW}:skill_backend"], "no feature named 'skill_backend'. Did you mean 'skill_score_backend'"),
        ("user_service", "no feature service named 'user_service'"),
        ([], "features: is empty"),
        (["skill_score_backend"], "not of the form view:feature, got 'skill_score_backend'"),
        ([BACKEND, BACKEND], "given twice"),
        ([TOP, "team_features:top_skill"], f"a feature of {VIEW} and of team_features"),
    ],
)
def test_names_that_feast_does_not_know(place: Storage, wanted: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(place, small(team_id=[1, 2]), wanted)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (small().drop_columns(["user_id"]), "the labels have no column 'user_id'"),
        (
            small().rename_columns(["user_id", "event_time", "y"]),
            "no column 'event_timestamp'. Did you mean 'event_time'?",
        ),
        (small(user_id=[1, 2]), "'user_id': is int64, but string in feature view"),
        (small(event_timestamp=["2026", "2027"]), "'event_timestamp': is string, not a timestamp"),
        (small(skill_score_backend=[1.0, 2.0]), "is a column of the labels and a feature of"),
        (small().append_column("y", [[1, 2]]), "'y': the labels have two columns of this name"),
    ],
)
def test_labels_that_do_not_fit(place: Storage, given: pa.Table, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(place, given)
    assert says in str(caught.value)


def test_files_that_are_no_labels(place: Storage, tmp_path: Path) -> None:
    for name, content in (
        ("absent.parquet", None),
        ("broken.parquet", b"not parquet"),
        ("broken.csv", b'a,b\n"x\n1,2,3\n'),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises((SourceRejectedError, ConfigError), match="labels"):
            build(place, str(tmp_path / name))


def test_a_view_without_offline_data_or_with_other_columns(root: Storage) -> None:
    materialize(features(root, scores(3)), STORE, root=root)
    (file,) = Path(root.path(f"_feast/offline/{VIEW}")).glob("*.parquet")
    pq.write_table(pq.read_table(file).drop_columns(["skill_score_backend"]), file)
    with pytest.raises(StoreRejectedError, match="none of its 1 files has a column 'skill_score_backend'"):
        build(root, small())
    table = features(root, scores(3)).table()
    pq.write_table(table.append_column("Skill_Score_Backend", table["top_skill"]), file)
    with pytest.raises(StoreRejectedError, match="differ in nothing but case"):
        build(root, small())
    file.write_bytes(b"PAR1 no more")
    with pytest.raises(StoreRejectedError, match="cannot be read"):
        build(root, small())
    file.unlink()
    with pytest.raises(StoreRejectedError, match="has no offline data"):
        build(root, small())
