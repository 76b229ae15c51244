"""Telling Feast of a feature artifact's view, without putting anything online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.materialization import alone, ready
from airflow_provider_mlpipe.feature_store.settings import Settings

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["Registration", "register"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What Feast knows now."""

    view: str
    service: str
    features: list[str]


def register(artifact: Artifact, store: FeatureStore, *, root: Storage) -> Registration:
    """Register entity, source, view and service of a feature artifact, if there is anything new to tell.

    Nothing is removed from the registry, and what it knows of earlier materialisations stays. An artifact that never
    passed validation may be registered: definitions hold no data.

    Raises:
        ConfigError: this is no feature artifact, or the settings are wrong.
        StoreRejectedError: a type that Feast does not hold exactly, or keys of another type than another view's.
        StoreUnavailableError: the registry does not answer, or is locked for too long.
    """
    settings = Settings.of(store, root)
    definition = Definition.of(artifact)
    with alone(settings, definition.view):
        ready(settings, definition, artifact)
    return Registration(view=definition.view, service=definition.service, features=definition.features)
