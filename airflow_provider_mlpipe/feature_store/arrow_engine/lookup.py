"""The event times that are online, asked for a column of keys at a time: for the guard, which asks for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_mlpipe.feature_store.arrow_engine.comparison import is_wanted
from airflow_provider_mlpipe.feature_store.arrow_engine.keys import is_known_key
from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lookup"]

_REDIS = "feast.infra.online_stores.redis.RedisOnlineStore"


def lookup(store: Any, view: str, kind: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:  # noqa: ANN401
    """Return a function from keys to the event times of their online rows, null where there is none.

    Args:
        store: a `feast.FeatureStore`.
        view: a view of one key column.
        kind: that column's type.

    Returns:
        None if the store is not of a kind that is known here, or the Arrow engine is not its engine: ask Feast.
    """
    config, online = store.config, store.provider.online_store
    is_redis = f"{type(online).__module__}.{type(online).__qualname__}" == _REDIS
    if not is_wanted(config) or not is_redis:
        return None
    # Redis' client may not be installed, if the store is another.
    from airflow_provider_mlpipe.feature_store.arrow_engine.redis_writer import RedisWriter

    layout = Layout.of(store.registry.get_feature_view(view, store.project))
    known = len(layout.keys) == 1 and all(is_known_key(declared, kind) for declared in layout.keys.values())
    if RedisWriter.why_not(config) or not known:
        return None
    [name] = layout.keys
    writer = RedisWriter(layout, config, online)
    return lambda keys: writer.times({name: keys}).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
