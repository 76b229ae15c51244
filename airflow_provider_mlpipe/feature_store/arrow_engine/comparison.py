"""Rows beside what is online of them, a batch at a time: their bytes are made as a writer makes them, and compared.

What a row would be written as says more than what Feast reads back: where the bytes are the same, so are the values;
where they differ, writing the row again is right, whatever the difference.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import feast
import pyarrow as pa

from airflow_provider_mlpipe.feature_store.arrow_engine import ENGINE
from airflow_provider_mlpipe.feature_store.arrow_engine.keys import VERSIONS
from airflow_provider_mlpipe.feature_store.arrow_engine.scope import PROVEN, Layout, writer_of
from airflow_provider_mlpipe.feature_store.settings import SPARK_ENGINE

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

__all__ = ["Compared", "comparer", "is_wanted"]


class Compared(NamedTuple):
    """A batch beside what is online.

    Attributes:
        keys: the rows' entity keys, as Feast serializes them.
        same: whether a row's values are online.
        times: the event times that are online, null where there is no row.
    """

    keys: pa.Array
    same: npt.NDArray[np.bool_]
    times: pa.Array


def comparer(store: Any, view: Any, schema: pa.Schema) -> Callable[[pa.RecordBatch], Compared] | None:  # noqa: ANN401
    """Return a function that compares batches of this schema, no key twice in one.

    Args:
        store: a `feast.FeatureStore`.
        view: a registered `feast.FeatureView`.
        schema: of the batches.

    Returns:
        None if the store or a type is not known here, or the engine is Feast's own: ask Feast.
    """
    config, online = store.config, store.provider.online_store
    found = writer_of(online)
    layout = Layout.of(view)
    if found is None or not is_wanted(config) or not {*layout.keys, *layout.features} <= {*schema.names}:
        return None
    writer_class = getattr(importlib.import_module(found[0]), found[1])
    if writer_class.why_not(config) or layout.why_not(schema):
        return None
    writer = writer_class(layout, config, online)

    def compared(batch: pa.RecordBatch) -> Compared:
        keys, same, times = writer.compared(batch)
        return Compared(keys, same, times.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC")))

    return compared


def is_wanted(config: Any) -> bool:  # noqa: ANN401 - feast has no types
    """Whether Feast's bytes may be read here: of a version that is known, and unless Feast is to do all by itself."""
    proven = feast.__version__ in PROVEN and config.entity_key_serialization_version in VERSIONS
    return proven and config.batch_engine_config in (ENGINE, SPARK_ENGINE)
