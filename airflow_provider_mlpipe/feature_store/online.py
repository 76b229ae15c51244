"""Feast's store itself, and reading features of entities from it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_store.locks import held
from airflow_provider_mlpipe.feature_store.settings import WHERE, Settings
from airflow_provider_mlpipe.feature_store.translation import translated

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["connect", "find_view", "open_store", "read_online"]


def open_store(store: FeatureStore, root: Storage) -> Any:  # noqa: ANN401 - feast has no types
    """Return the `feast.FeatureStore`, for training sets, a feature server, and whatever else Feast does.

    Example::

        feast_store = open_store(FeatureStore(), Storage("artifacts"))
        feast_store.get_historical_features(entity_df, features=["user_profile_features:skill_score_backend"]).to_df()

    Raises:
        ConfigError: the settings are wrong.
        StoreUnavailableError: the registry does not answer.
    """
    settings = Settings.of(store, root)
    if settings.registry_is_file or settings.repository is not None:
        return connect(settings, writing=False)
    # Two that open a new registry at once would both create its tables.
    with held(settings.lock_for_registry, what="the registry"):
        return connect(settings)


def connect(settings: Settings, *, writing: bool = True) -> Any:  # noqa: ANN401 - feast has no types
    """Return the store with its registry read; an existing repository's as it is, unless for writing."""
    config = settings.repo_config(writing=writing)
    with translated(settings.secrets, doing="open its registry"):
        import feast

        opened = feast.FeatureStore(config=config)
        _tell_apart(opened.registry)
    return opened


def _tell_apart(registry: Any) -> None:  # noqa: ANN401 - feast has no types
    """Give every reading of an SQL registry a version of its own, as a registry file has.

    Feast keeps the views it has parsed, for the whole process, by a registry's address in memory and its version. SQL
    registries have none: one that is read to an address that another one, or an older state of itself, has left, would
    have that one's views.
    """
    from feast.infra.registry.caching_registry import CachingRegistry

    if not isinstance(registry, CachingRegistry):
        return
    read = registry.proto

    def versioned() -> Any:  # noqa: ANN401
        found = read()
        found.version_id = uuid.uuid4().hex
        return found

    registry.proto = versioned
    registry.cached_registry_proto.version_id = uuid.uuid4().hex


def find_view(opened: Any, name: str) -> Any:  # noqa: ANN401 - feast has no types
    """Return a registered feature view.

    Raises:
        ConfigError: there is none of this name.
    """
    views = {found.name: found for found in opened.registry.list_feature_views(opened.project)}
    if name not in views:
        raise ConfigError.unknown_name(
            where=WHERE,
            kind="feature view",
            name=name,
            known=views,
            hint="Materialize a feature artifact first: mlpipe materialize ARTIFACT.",
        )
    return views[name]


def read_online(
    store: FeatureStore,
    *,
    root: Storage,
    view: str,
    entity_rows: list[dict[str, Any]],
    features: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Return features of entities from the online store, one mapping per entity row, in their order.

    An entity that is not online has None for every feature.

    Args:
        store: where Feast is.
        root: the artifact root.
        view: the feature view.
        entity_rows: keys, e.g. ``[{"user_id": "u1"}]``.
        features: names; all of the view if None.

    Raises:
        ConfigError: no such view or feature, or a row lacks the entity's key.
        StoreUnavailableError: the registry or the online store does not answer.
    """
    settings = Settings.of(store, root)
    opened = open_store(store, root)
    with translated(settings.secrets, doing=f"read {view!r}"):
        found = find_view(opened, view)
        known = [feature.name for feature in found.features]
        chosen = known if features is None else features
        for name in chosen:
            if name not in known:
                raise ConfigError.unknown_name(where=view, kind="feature", name=name, known=known)
        keys = [column.name for column in found.entity_columns]
        _check_keys(view, entity_rows, keys)
        if not entity_rows or not chosen:
            return [dict(row) for row in entity_rows]
        rows = [{key: row[key] for key in keys} for row in entity_rows]
        answer = opened.get_online_features(features=[f"{view}:{name}" for name in chosen], entity_rows=rows).to_dict()
    return [{name: answer[name][position] for name in (*keys, *chosen)} for position in range(len(rows))]


def _check_keys(view: str, rows: list[dict[str, Any]], keys: list[str]) -> None:
    for row in rows:
        for given in row:
            if given not in keys:
                raise ConfigError.unknown_name(where=view, kind="entity key", name=given, known=keys)
        for key in keys:
            if row.get(key) is None:
                raise ConfigError.invalid(
                    where=view, key="entity_rows", problem=f"a row has no {key!r}", hint=f"Write {{{key!r}: ...}}."
                )
