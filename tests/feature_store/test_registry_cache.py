"""What Feast's registry keeps: views parsed before, by a registry's address in memory; and intervals, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize, open_store, register
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests.feature_store.feature_artifacts import VIEW, as_of, every_type, features, scores

if TYPE_CHECKING:
    from pathlib import Path


def names(store: Any) -> set[str]:
    """Return the view's features as every online read looks them up."""
    return {field.name for field in store.registry.get_any_feature_view(VIEW, store.project, allow_cache=True).features}


def moved_in(store: Any, other: Any) -> None:
    """Put another registry's content at the address of this one's, as the allocator does once this one is gone."""
    store.registry.cached_registry_proto.CopyFrom(other.registry.cached_registry_proto)


def test_a_registry_at_the_address_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    stores = []
    for name, table in (("a", scores(3)), ("b", every_type(3))):
        root = Storage(str(tmp_path / name))
        register(features(root, table), FeatureStore(), root=root)
        stores.append((open_store(FeatureStore(), root), set(table.column_names) - {"user_id"}))
    (one, of_one), (other, of_other) = stores
    assert names(one) == of_one

    moved_in(one, other)

    assert names(one) == of_other


def test_bare_feast_takes_it_for_the_other(tmp_path: Path) -> None:
    """If this fails, Feast has been repaired, and our care can go."""
    stores = []
    for name, table in (("a", scores(3)), ("b", every_type(3))):
        root = Storage(str(tmp_path / name))
        register(features(root, table), FeatureStore(), root=root)
        with quiet():
            from feast import FeatureStore as Stock
            from feast import RepoConfig

            registry = {"registry_type": "sql", "path": f"sqlite:///{root.root}/_feast/registry.db"}
            config = RepoConfig(project="mlpipe", provider="local", registry=registry, online_store={"type": "sqlite"})
            stores.append(Stock(config=config))
    one, other = stores
    before = names(one)

    moved_in(one, other)

    assert names(one) == before != names(other)


def test_a_registry_read_again_is_another(tmp_path: Path) -> None:
    root = Storage(str(tmp_path))
    register(features(root, scores(3)), FeatureStore(), root=root)
    store = open_store(FeatureStore(), root)
    versions = {store.registry.cached_registry_proto.version_id}
    for _ in range(3):
        store.refresh_registry()
        versions.add(store.registry.cached_registry_proto.version_id)

    assert len(versions) == 4
    assert "" not in versions


@pytest.mark.parametrize("kind", ["file", "sql"])
def test_a_changed_view_is_seen_by_the_next_reader(root: Storage, tmp_path: Path, kind: str) -> None:
    store = FeatureStore(registry=str(tmp_path / "r.pb") if kind == "file" else "")
    for table in (scores(3), every_type(3), scores(3)):
        register(features(root, table), store, root=root)
        assert names(open_store(store, root)) == set(table.column_names) - {"user_id"}


@pytest.mark.parametrize("registry", ["", "registry.pb"], ids=["SQL", "file"])
def test_reruns_do_not_make_the_registry_grow(
    root: Storage, tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_mlpipe.feature_store.intervals.KEPT_INTERVALS", 2)
    store = FeatureStore(registry=str(tmp_path / registry)) if registry else FeatureStore()

    def known() -> tuple[list[Any], Any, str]:
        view = open_store(store, root).get_feature_view(VIEW)
        return list(view.materialization_intervals), view.current_version_number, view.state.name

    for _ in range(3):
        materialize(features(root, scores(3), day=14), store, root=root)
    assert known()[0] == [(as_of(14), as_of(14))]
    version = known()[1]
    for day in (15, 16, 15):
        materialize(features(root, scores(3), day=day), store, root=root)
    assert known() == ([(as_of(15), as_of(15)), (as_of(16), as_of(16))], version, "AVAILABLE_ONLINE")
