"""Whether Feast is there: its registry and its online store are asked, and nothing is changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_store.online import open_store
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import translated

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["probe"]

_NO_TABLE = re.compile(r"no such table|relation .* does not exist|doesn't exist|ResourceNotFound|UndefinedTable")
"""What stores say that are there, and have no table of the view that is asked for."""


def probe(store: FeatureStore, *, root: Storage) -> list[str]:
    """Return the feature views that are registered, after the online store has answered as well.

    Raises:
        ConfigError: the settings are wrong.
        StoreUnavailableError: the registry or the online store does not answer.
        StoreRejectedError: they refuse: a wrong password, a database that is not there.
    """
    settings = Settings.of(store, root)
    opened = open_store(store, root)
    with translated(settings.secrets, doing="list its feature views"):
        views = sorted(view.name for view in opened.registry.list_feature_views(opened.project))
    if settings.sqlite_path is None or settings.sqlite_path.exists():
        with translated(settings.secrets, doing="ask the online store"):
            _ask(opened)
    return views


def _ask(opened: Any) -> None:  # noqa: ANN401 - feast has no types
    """Ask the online store for an entity of a view that nobody has."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.types import Float64

    name = "mlpipe_probe"
    source = FileSource(name=name, path=f"{name}.parquet", timestamp_field="event_timestamp")
    entity = Entity(name=name, join_keys=[name], value_type=ValueType.STRING)
    view = FeatureView(name=name, entities=[entity], schema=[Field(name="value", dtype=Float64)], source=source)
    key = EntityKey(join_keys=[name], entity_values=[Value(string_val=name)])
    try:
        opened.provider.online_read(opened.config, view, [key], ["value"])
    except Exception as error:
        if not _NO_TABLE.search(f"{type(error).__name__}: {error}"):
            raise
