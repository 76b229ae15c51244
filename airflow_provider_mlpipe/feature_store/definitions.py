"""Feast's definitions, made from what a feature artifact says of itself: entity, source, view, service."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config import FeastView
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["CREATED", "DIGEST_TAG", "TIMESTAMP", "Definition", "apply", "spark_path"]

_log = logging.getLogger(__name__)

TIMESTAMP = "event_timestamp"
CREATED = "created_timestamp"

_KEY_TYPES = frozenset({"STRING", "INT32", "INT64"})

DIGEST_TAG = "mlpipe_definition"
"""The view's tag with the digest of everything that it was made from, by which a change is recognised."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a feature artifact is called in Feast, in plain values.

    Attributes:
        view: the FeatureView.
        service: the FeatureService with all features of the view.
        entity: the key column, which is the entity's name and join key.
        columns: Feast's type name by column: the entity first, then the features.
        texts: description by feature.
        created: whether rows say when they were computed, which decides between two of the same time.
    """

    view: str
    service: str
    entity: str
    columns: dict[str, str]
    texts: dict[str, str]
    ttl: timedelta
    tags: dict[str, str]
    description: str
    owner: str
    created: bool

    @classmethod
    def of(cls, artifact: Artifact) -> Definition:
        """Read it from the manifest and the schema.

        Raises:
            ConfigError: this is not a feature artifact.
            StoreRejectedError: a feature is of a type that Feast does not hold exactly.
        """
        details, schema = artifact.manifest.details, artifact.schema
        names = _feature_names(artifact)
        entity = str(details["entity"])
        feast: dict[str, Any] = details.get("feast") or {}
        view = feast.get("view") or FeastView().name_for(str(details["feature_set"]))
        columns = {name: _type_of(artifact, schema.field(name)) for name in (entity, *names)}
        if columns[entity] not in _KEY_TYPES:
            raise StoreRejectedError(
                f"{artifact.uri}: the key {entity!r} is {schema.field(entity).type}, which cannot be a key in Feast",
                hint="Make it text or a whole number.",
                column=entity,
            )
        return cls(
            view=view,
            service=feast.get("service") or f"{view}_service",
            entity=entity,
            columns=columns,
            texts={item["name"]: _text(item) for item in details.get("features", []) if item["name"] in names},
            ttl=timedelta(seconds=feast.get("ttl_seconds") or 0),
            tags={str(key): str(value) for key, value in (feast.get("tags") or {}).items()},
            description=feast.get("description") or "",
            owner=feast.get("owner") or "",
            created=CREATED in schema.names,
        )

    @property
    def features(self) -> list[str]:
        """The features' names, in the order of the artifact."""
        return [name for name in self.columns if name != self.entity]

    @property
    def references(self) -> list[str]:
        """The features as Feast's calls want them."""
        return [f"{self.view}:{name}" for name in self.features]

    def digest(self, source: str) -> str:
        """Return what changes when anything changes that Feast is told.

        Args:
            source: where the offline data are, and who reads them.
        """
        facts = {**vars(self), "ttl": self.ttl.total_seconds(), "columns": list(self.columns.items()), "source": source}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def objects(self, pattern: str, *, by_spark: bool = False) -> list[Any]:
        """Return Feast's objects.

        Args:
            pattern: the offline data's files.
            by_spark: whether Feast reads them by Spark, which takes other sources than its other stores.
        """
        from feast import Entity, FeatureService, FeatureView, Field, ValueType
        from feast.types import from_value_type

        kinds = {name: ValueType[kind] for name, kind in self.columns.items()}
        entity = Entity(name=self.entity, join_keys=[self.entity], value_type=kinds[self.entity])
        source = self._source(pattern, by_spark=by_spark)
        schema = [
            Field(name=name, dtype=from_value_type(kind), description=self.texts.get(name, ""))
            for name, kind in kinds.items()
        ]
        view = FeatureView(
            name=self.view,
            entities=[entity],
            schema=schema,
            source=source,
            ttl=self.ttl,
            online=True,
            tags={**self.tags, DIGEST_TAG: self.digest(_read_by(pattern, by_spark=by_spark))},
            description=self.description,
            owner=self.owner,
        )
        service = FeatureService(
            name=self.service,
            features=[view],
            tags=self.tags,
            description=self.description,
            owner=self.owner,
        )
        return [entity, source, view, service]

    def _source(self, pattern: str, *, by_spark: bool) -> Any:  # noqa: ANN401 - feast has no types
        times = {"timestamp_field": TIMESTAMP, "created_timestamp_column": CREATED if self.created else ""}
        name = f"{self.view}_source"
        if by_spark:
            from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

            return SparkSource(name=name, path=spark_path(pattern), file_format="parquet", **times)
        from feast import FileSource
        from feast.data_format import ParquetFormat

        return FileSource(name=name, path=pattern, file_format=ParquetFormat(), **times)


def spark_path(path: str) -> str:
    """Return a path as Spark names it: buckets are reached by the ``s3a`` file system.

    >>> spark_path("s3://lake/_feast/offline/view/*.parquet")
    's3a://lake/_feast/offline/view/*.parquet'
    """
    return f"s3a://{path.removeprefix('s3://')}" if path.startswith("s3://") else path


def _read_by(pattern: str, *, by_spark: bool) -> str:
    return f"spark {pattern}" if by_spark else pattern


def apply(
    store: Any,  # noqa: ANN401 - feast has no types
    definition: Definition,
    pattern: str,
    *,
    complete: bool,
    by_spark: bool = False,
) -> bool:
    """Tell Feast, if there is anything new to tell, and return whether there was.

    Args:
        store: a `feast.FeatureStore`.
        definition: what to tell.
        pattern: the offline data's files.
        complete: whether the online store has its table; it is made again otherwise.
        by_spark: whether Feast reads the offline data by Spark.

    Raises:
        StoreRejectedError: another view has the same entity with keys of another type.
    """
    from feast.errors import FeastObjectNotFoundException

    try:
        present = store.registry.get_feature_view(definition.view, store.project)
    except FeastObjectNotFoundException:
        present = None
    digest = definition.digest(_read_by(pattern, by_spark=by_spark))
    if present is not None and complete and present.tags.get(DIGEST_TAG) == digest:
        return False
    _refuse_other_keys(store, definition)
    store.apply(definition.objects(pattern, by_spark=by_spark))
    what = "Registered" if present is None else "Changed"
    _log.info("%s feature view %s (%d features) in Feast", what, definition.view, len(definition.features))
    return True


def _refuse_other_keys(store: Any, definition: Definition) -> None:  # noqa: ANN401
    wanted = definition.columns[definition.entity]
    for entity in store.registry.list_entities(store.project):
        if entity.name != definition.entity or entity.value_type.name == wanted:
            continue
        others = [
            view.name
            for view in store.registry.list_feature_views(store.project)
            if definition.entity in view.entities and view.name != definition.view
        ]
        if others:
            raise StoreRejectedError(
                f"feature view {definition.view!r}: the keys {definition.entity!r} are {wanted} here and "
                f"{entity.value_type.name} in {', '.join(map(repr, others))}",
                hint="One entity has one type: convert the column, or give the set another project or entity.",
                view=definition.view,
            )


def _feature_names(artifact: Artifact) -> list[str]:
    """Return the feature columns, which are all but key and times, after checking that it is a feature artifact."""
    details, names = artifact.manifest.details, artifact.schema.names
    missing = [key for key in ("feature_set", "entity") if not details.get(key)]
    if missing:
        raise ConfigError(
            f"{artifact.uri} is not a feature artifact: its manifest has no details.{missing[0]} "
            f"(it is {artifact.manifest.dataset!r} of stage {artifact.manifest.stage!r})",
            hint="Give the URI that ExtractFeaturesOperator or `mlpipe extract` returned.",
            uri=artifact.uri,
        )
    absent = [name for name in (str(details["entity"]), TIMESTAMP) if name not in names]
    if absent:
        raise ConfigError(
            f"{artifact.uri} has no column {absent[0]!r}; it has {', '.join(names)}",
            hint="Feature rows need the entity's key and event_timestamp.",
            uri=artifact.uri,
        )
    features = [name for name in names if name not in {details["entity"], TIMESTAMP, CREATED}]
    if not features:
        raise ConfigError(
            f"{artifact.uri} has no feature columns", hint="Select features in the YAML.", uri=artifact.uri
        )
    return features


def _text(item: dict[str, Any]) -> str:
    unit = f" [{item['unit']}]" if item.get("unit") else ""
    return f"{item.get('description') or ''}{unit}".strip()


def _type_of(artifact: Artifact, field: pa.Field) -> str:
    """Return Feast's type for an Arrow field.

    Feast's own table takes large_string, which DuckDB and pandas hand out for plain text, for JSON; and it knows no
    dates, decimals and nested types that come back from the online store as they went in.
    """
    import pyarrow.types as kinds

    kind = field.type
    is_list = kinds.is_list(kind) or kinds.is_large_list(kind)
    name = _scalar_type(kind.value_type if is_list else kind)
    if name is None or (is_list and name == "UNIX_TIMESTAMP"):
        raise StoreRejectedError(
            f"{artifact.uri}: column {field.name!r} is {kind}, which Feast cannot hold exactly",
            hint="Cast it: to double, bigint, text, boolean or timestamp.",
            column=field.name,
        )
    return f"{name}_LIST" if is_list else name


def _scalar_type(kind: pa.DataType) -> str | None:
    import pyarrow.types as kinds

    checks = (
        (kinds.is_boolean, "BOOL"),
        (lambda t: kinds.is_int8(t) or kinds.is_int16(t) or kinds.is_int32(t), "INT32"),
        (lambda t: kinds.is_uint8(t) or kinds.is_uint16(t), "INT32"),
        (lambda t: kinds.is_int64(t) or kinds.is_uint32(t), "INT64"),
        (kinds.is_float32, "FLOAT"),
        (kinds.is_float64, "DOUBLE"),
        (lambda t: kinds.is_string(t) or kinds.is_large_string(t), "STRING"),
        (lambda t: kinds.is_binary(t) or kinds.is_large_binary(t), "BYTES"),
        (kinds.is_timestamp, "UNIX_TIMESTAMP"),
    )
    return next((name for check, name in checks if check(kind)), None)
