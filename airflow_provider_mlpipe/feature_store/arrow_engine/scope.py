"""What the Arrow engine knows how to write; everything else is Feast's engine's.

Each question is answered with the reason why not, in words for the log, or with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import feast
from feast import FeatureView
from feast.data_source import PushSource
from feast.feature_view import DUMMY_ENTITY_ID

from airflow_provider_mlpipe.feature_store.arrow_engine.keys import VERSIONS, is_known_key
from airflow_provider_mlpipe.feature_store.arrow_engine.values import is_known

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import RepoConfig
    from feast.infra.common.materialization_job import MaterializationTask
    from feast.value_type import ValueType

__all__ = ["PROVEN", "Layout", "why_not", "writer_of"]

PROVEN = ("0.67.0",)
"""Versions of Feast whose bytes the tests have compared with ours."""


_WRITERS = {
    "feast.infra.online_stores.redis.RedisOnlineStore": ("redis_writer", "RedisWriter"),
    "feast.infra.online_stores.sqlite.SqliteOnlineStore": ("sqlite_writer", "SqliteWriter"),
}
"""Module and class by online store."""


def writer_of(store: Any) -> tuple[str, str] | None:  # noqa: ANN401 - feast has no types
    """Return the module and the class that write to an online store; None if none does.

    They are names, to be imported when needed, for Redis' client may not be installed.
    """
    found = _WRITERS.get(f"{type(store).__module__}.{type(store).__qualname__}")
    return None if found is None else (f"{__name__.rpartition('.')[0]}.{found[0]}", found[1])


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which columns go online, and as what.

    Attributes:
        view: Feast's FeatureView.
        keys: the entity's columns, in no particular order, with their types in Feast.
        features: the features, in the view's order.
        time: the column of event times.
        created: the column that says when a row was computed; empty if there is none.
    """

    view: Any
    keys: dict[str, ValueType]
    features: dict[str, ValueType]
    time: str
    created: str

    @classmethod
    def of(cls, view: FeatureView) -> Layout:
        """Read it from the view, as ``feast.utils._convert_arrow_fv_to_proto`` does."""
        return cls(
            view=view,
            keys={field.name: field.dtype.to_value_type() for field in view.entity_columns},
            features={field.name: field.dtype.to_value_type() for field in view.features},
            time=view.batch_source.timestamp_field,
            created=view.batch_source.created_timestamp_column or "",
        )

    def why_not(self, schema: pa.Schema) -> str:
        """Why rows of this schema are not for this engine."""
        for name, declared in self.keys.items():
            if not is_known_key(declared, schema.field(name).type):
                return f"its key {name!r} is {schema.field(name).type}, declared as {declared.name}"
        for name, declared in self.features.items():
            if not is_known(declared, schema.field(name).type):
                return f"its feature {name!r} is {schema.field(name).type}, declared as {declared.name}"
        return ""


def why_not(task: MaterializationTask, config: RepoConfig) -> str:
    """Why a materialisation is not for this engine, as far as its definition and settings say."""
    if feast.__version__ not in PROVEN:
        return (
            f"Feast {feast.__version__} is not among the versions that this engine was proven on ({', '.join(PROVEN)})"
        )
    if not task.only_latest:
        return "all rows of an entity are wanted, not its latest"
    if config.entity_key_serialization_version not in VERSIONS:
        return f"entity_key_serialization_version is {config.entity_key_serialization_version}"
    return _why_not_view(task.feature_view)


def _why_not_view(view: Any) -> str:  # noqa: ANN401 - feast has no types
    if type(view) is not FeatureView:  # one that computes, say
        return f"it is a {type(view).__name__}"
    stream, keys = view.stream_source, [field.name for field in view.entity_columns]
    checks = {
        "it is made from other views": view.source_views or view.batch_source is None,
        "it is transformed on the way": _has(view, "feature_transformation") or _has(view, "aggregations"),
        "it is filtered on the way": _has(view, "filter"),
        "Feast validates it on the way": view.enable_validation,
        "it does not go online alone": view.offline or not view.online,
        "it has a stream": stream is not None and type(stream) is not PushSource,
        "its source renames columns": any(source.field_mapping for source in (view.batch_source, stream) if source),
        "it has no entity": not keys or DUMMY_ENTITY_ID in keys,
        "some of its keys are not in its schema": len(keys) != len(view.entities),
        "it has a vector index": any(field.vector_index for field in view.features),
    }
    return next((reason for reason, holds in checks.items() if holds), "")


def _has(view: Any, name: str) -> bool:  # noqa: ANN401 - feast has no types
    return bool(getattr(view, name, None))
