"""Where Feast is: a section of a YAML file, a connection of type ``feast``, and settings that go before both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.config import ConfigLike, FeatureStore

__all__ = ["store_of"]

_SECTION = "feature_store"


def store_of(
    config: ConfigLike | None, *, feast_conn_id: str | None = None, store: Mapping[str, Any] | None = None
) -> FeatureStore:
    """Return the settings of the feature store.

    Args:
        config: a feature YAML, found already.
        feast_conn_id: a connection of type ``feast``, in place of the YAML's section.
        store: settings that go before those of both, by key.

    Raises:
        ConfigError: something in them is wrong, or there is no such connection.
    """
    from airflow_provider_mlpipe.config import document_of, feature_store

    found: ConfigLike = {} if config is None else config
    if feast_conn_id or store:
        from airflow_provider_mlpipe.hooks.feast import FeastHook, merged

        section = document_of(found).data.get(_SECTION) or {}
        connection = FeastHook(feast_conn_id).section() if feast_conn_id else None
        found = {_SECTION: merged(section, connection, store)}
    return feature_store(found).model
