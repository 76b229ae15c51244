"""An existing Feast repository is used as it is: its registry, its store, its definitions; what does not fit is said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import FeatureStore, feature_store
from airflow_provider_mlpipe.errors import ConfigError, GateClosedError
from airflow_provider_mlpipe.feature_store import (
    export,
    materialize,
    open_store,
    probe,
    push,
    read_online,
    register,
    rollback,
)
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests.feature_store.feature_artifacts import STAMP, VIEW, as_of, expected, features, online, raw, scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage

DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

user_id = Entity(name="user_id", join_keys=["user_id"], value_type=ValueType.STRING)
view = FeatureView(
    name="user_profile_features", entities=[user_id], ttl=timedelta(days=30), tags={"whose": "theirs"},
    schema=[Field(name="user_id", dtype=String), Field(name="skill_score_backend", dtype=Float64),
            Field(name="tasks_completed_7d", dtype=Int64), Field(name="top_skill", dtype=String)],
    source=FileSource(path="data/*.parquet", timestamp_field="event_timestamp",
                      created_timestamp_column="created_timestamp"),
)
"""
SETTINGS = """
project: theirs
registry: data/registry.db
online_store: {type: sqlite, path: data/online.db}
offline_store: {type: dask}
entity_key_serialization_version: 3
"""
OF_DEFINITIONS = {"user_id", "skill_score_backend", "tasks_completed_7d", "top_skill"}


@pytest.fixture
def repository(tmp_path: Path) -> Callable[..., FeatureStore]:
    """Write a repository, apply it as `feast apply` does, and return the settings that use it."""

    def write(definitions: str = DEFINITIONS, settings: str = SETTINGS, **more: Any) -> FeatureStore:
        folder = tmp_path / "repo"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "feature_store.yaml").write_text(settings)
        found: dict[str, Any] = {}
        with quiet():
            from feast import FeatureStore as Stock

            exec(definitions, found)
            objects = [value for value in found.values() if type(value).__name__ in {"Entity", "FeatureView"}]
            Stock(repo_path=str(folder)).apply(objects)
        return FeatureStore(repo=str(folder), **more)

    return write


def test_features_go_where_the_repository_says(
    repository: Callable[..., FeatureStore], root: Storage, tmp_path: Path
) -> None:
    store, table = repository(read_back=1000), scores(30)

    done = materialize(features(root, table), store, root=root)

    assert (done.view, done.rows, done.rows_read_back) == (VIEW, 30, 30)
    with quiet():
        from feast import FeatureStore as Stock

        theirs = Stock(repo_path=str(tmp_path / "repo"))
        assert theirs.get_feature_view(VIEW).tags == {"whose": "theirs"}
        answer = theirs.get_online_features([f"{VIEW}:top_skill"], [{"user_id": "u00003"}]).to_dict()
    assert answer["top_skill"] == ["skill 3 of 0"]
    assert online(store, root, table) == expected(table)
    assert not list(Path(root.root, "_feast").glob("*.db")), "a registry or store of our own was made"
    assert probe(store, root=root) == [VIEW]


def test_the_guards_hold(repository: Callable[..., FeatureStore], root: Storage) -> None:
    store = repository()
    materialize(features(root, scores(30, seed=2), day=15), store, root=root)

    assert materialize(features(root, scores(30, seed=1), day=14), store, root=root).rows_skipped == 30
    row = scores(1, seed=1).append_column("event_timestamp", pa.array([as_of(14)], STAMP))
    assert push(VIEW, row, store, root=root).rows_skipped == 1
    bare = features(root, scores(3), day=16, inputs=(raw(root, "bare", judged=False).as_input("users"),))
    with pytest.raises(GateClosedError):
        materialize(bare, store, root=root)

    assert online(store, root, scores(30)) == expected(scores(30, seed=2))


def test_the_past_is_what_its_own_sources_say(
    repository: Callable[..., FeatureStore], root: Storage, tmp_path: Path
) -> None:
    """Pointed at our offline data, the repository's view has our past, through the repository's own offline store."""
    import pandas as pd

    ours = f"{root.root}/_feast/offline/{VIEW}/*.parquet"
    settings = SETTINGS.replace("dask", "duckdb")
    store = repository(DEFINITIONS.replace("data/*.parquet", ours), settings)
    table = scores(5)
    materialize(features(root, table), store, root=root)

    asked = pd.DataFrame({"user_id": ["u00003"], "event_timestamp": [as_of(15)]})
    opened = open_store(store, root)
    with quiet():
        joined = opened.get_historical_features(entity_df=asked, features=[f"{VIEW}:skill_score_backend"]).to_df()

    assert type(opened.provider.offline_store).__name__ == "DuckDBOfflineStore"
    assert joined["skill_score_backend"].tolist() == [table["skill_score_backend"][3].as_py()]


def test_an_export_can_be_used_as_a_repository(root: Storage, tmp_path: Path) -> None:
    artifact = features(root, scores(5))
    export([artifact], tmp_path / "repo", FeatureStore(), root=root)
    store = FeatureStore(repo=str(tmp_path / "repo"))
    with pytest.raises(ConfigError, match=f"no feature view named '{VIEW}'") as caught:
        materialize(artifact, store, root=root)
    assert "apply puts its definitions into the registry" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('name="user_profile_features"', 'name="user_profile_feature"', "Did you mean 'user_profile_feature'"),
        ('name="top_skill"', 'name="topskill"', "no feature named 'top_skill'. Did you mean 'topskill'"),
        ('Field(name="top_skill", dtype=String)', 'Field(name="top_skill", dtype=String), Field(name="more", dtype=Int64)',
         "the artifact: no feature named 'more'"),
        ('"tasks_completed_7d", dtype=Int64', '"tasks_completed_7d", dtype=Float64',
         "tasks_completed_7d: it is DOUBLE there, INT64 in the artifact"),
        ('timestamp_field="event_timestamp"', 'timestamp_field="ts"', "has the times ts, created_timestamp"),
        ('name="user_id"', 'name="person"', "its key is person, the artifact's is user_id"),
    ],
)  # fmt: skip
def test_a_view_that_does_not_fit_is_refused(
    repository: Callable[..., FeatureStore], root: Storage, old: str, new: str, match: str
) -> None:
    definitions = DEFINITIONS.replace(old, new)
    if "person" in new:
        definitions = definitions.replace('join_keys=["user_id"]', 'join_keys=["person"]')
    store, artifact = repository(definitions), features(root, scores(3))

    with pytest.raises(ConfigError, match=match):
        register(artifact, store, root=root)
    with pytest.raises(ConfigError, match=match):
        materialize(artifact, store, root=root)

    assert not Path(root.root, "_feast/offline").exists()


def test_a_folder_that_is_none_is_refused(root: Storage, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"repo: there is no feature_store\.yaml in"):
        open_store(FeatureStore(repo=str(tmp_path)), root)


def test_settings_that_feast_refuses_are_told_without_values(root: Storage, tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_text("project: pa55word-$\nregistry: r.db\nprovider: {a: pa55word}\n")

    with pytest.raises(ConfigError) as caught:
        open_store(FeatureStore(repo=str(tmp_path)), root)

    assert "pa55word" not in f"{caught.value} {caught.value.__cause__}"


def test_a_registry_that_loses_changes_is_not_written_to(root: Storage, tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_text(
        "project: p\nregistry: s3://lake/registry.db\nonline_store: {type: sqlite}\n"
    )

    with pytest.raises(ConfigError, match="nothing can be materialized through this repository.*in a bucket"):
        materialize(features(root, scores(3)), FeatureStore(repo=str(tmp_path)), root=root)


def test_two_answers_to_where_are_refused() -> None:
    with pytest.raises(ConfigError, match="repo says where Feast is, and so does project, registry"):
        feature_store({"feature_store": {"repo": "r", "project": "p", "registry": "x"}})


def test_what_is_online_is_read_by_the_views_own_name(repository: Callable[..., FeatureStore], root: Storage) -> None:
    store = repository()
    artifact = features(root, scores(3), feature_set="something_else", feast={"view": VIEW})
    materialize(artifact, store, root=root)

    [row] = read_online(store, root=root, view=VIEW, entity_rows=[{"user_id": "u00001"}])
    assert row.keys() == OF_DEFINITIONS


def test_a_rollback_keeps_to_the_repositorys_definition(repository: Callable[..., FeatureStore], root: Storage) -> None:
    """Without a repository the view goes back with the artifact; this view is not ours to change."""
    store, good = repository(), scores(5, seed=1)
    to = features(root, good, day=14)
    narrow = features(root, good.drop_columns(["top_skill"]), day=13)
    bad = scores(8, seed=2)
    for artifact in (to, features(root, bad, day=15)):
        materialize(artifact, store, root=root)

    for dry_run in (True, False):
        with pytest.raises(ConfigError, match="the artifact: no feature named 'top_skill'"):
            rollback(VIEW, narrow, store=store, root=root, dry_run=dry_run)
    assert online(store, root, bad) == expected(bad)

    assert rollback(VIEW, to, store=store, root=root).removed == 3
    assert online(store, root, good) == expected(good)
