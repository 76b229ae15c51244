"""Plugged into Feast: its Spark offline store, reading our offline data the way it is.

Feast loads this module by name (``offline_store.type``), on Spark's workers too; nothing else imports it, because it
imports Feast and Spark. Against the stock class:

* Files are united by column name, so that a feature added today does not make the past unreadable.
* Its SQL is read in UTC, so that a window does not move with the session's zone.
* `only`: a materialisation reads exactly the rows of one artifact, not whatever lies in the same stretch of time; by
  DuckDB, unless it is Feast's Spark engine that asks.

The session is Feast's own: the one that is active, else one made from ``spark_conf``.
"""

from __future__ import annotations

import copy
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
    SparkOfflineStore,
    SparkOfflineStoreConfig,
    SparkRetrievalJob,
    get_spark_session_or_start_new_with_repoconfig,
)
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

from airflow_provider_mlpipe.feature_store.definitions import spark_path
from airflow_provider_mlpipe.feature_store.feast_offline import MlpipeOfflineStore
from airflow_provider_mlpipe.feature_store.settings import SPARK_ENGINE
from airflow_provider_mlpipe.feature_store.translation import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from feast import FeatureView, RepoConfig

__all__ = ["MlpipeSparkOfflineStore", "MlpipeSparkOfflineStoreConfig"]

_ZONE = "spark.sql.session.timeZone"


class MlpipeSparkOfflineStoreConfig(SparkOfflineStoreConfig):  # type: ignore[misc]  # feast has no types
    """Settings, made by `Settings.repo_config`: Feast's own, and one of ours.

    Attributes:
        only: an `Artifact` to read in place of every source.
    """

    type: str = "airflow_provider_mlpipe.feature_store.feast_spark.MlpipeSparkOfflineStore"
    only: Any = None


class MlpipeSparkOfflineStore(SparkOfflineStore):  # type: ignore[misc]  # feast has no types
    """The three ways in which Feast reads, each with our reader."""

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Return the newest row per entity of a stretch of time."""
        if _by_duckdb(config):
            return MlpipeOfflineStore.pull_latest_from_table_or_query(config, **kwargs)
        return _pulled(SparkOfflineStore.pull_latest_from_table_or_query, config, kwargs)

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Return the rows of a stretch of time."""
        if _by_duckdb(config):
            return MlpipeOfflineStore.pull_all_from_table_or_query(config, **kwargs)
        return _pulled(SparkOfflineStore.pull_all_from_table_or_query, config, kwargs)

    @staticmethod
    def get_historical_features(config: RepoConfig, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Join features to entity rows as of their time."""
        names = ("feature_views", "feature_refs", "entity_df", "registry", "project", "full_feature_names")
        given = dict(zip(names, args, strict=False)) | kwargs
        with quiet():
            session = get_spark_session_or_start_new_with_repoconfig(config.offline_store)
            given["feature_views"] = [_of_our_files(session, view) for view in given["feature_views"]]
            with _in_utc(session):
                return _ours(SparkOfflineStore.get_historical_features(config=config, **given))


def _by_duckdb(config: RepoConfig) -> bool:
    """Whether an artifact is to be read by an engine that is not on Spark."""
    return config.offline_store.only is not None and config.batch_engine_config != SPARK_ENGINE


def _pulled(function: Callable[..., Any], config: RepoConfig, given: dict[str, Any]) -> Any:  # noqa: ANN401
    """Call Feast's function for a source that is read our way."""
    only, source = config.offline_store.only, given["data_source"]
    with quiet():
        session = get_spark_session_or_start_new_with_repoconfig(config.offline_store)
        paths = [source.path] if only is None else _parts(only)
        return _ours(function(config=config, **given | {"data_source": _united(session, source, paths)}))


def _parts(artifact: Any) -> list[str]:  # noqa: ANN401
    artifact.check_parts()
    place = artifact.place
    return [path if place.is_local else spark_path(f"s3://{path}") for path in artifact.paths]


def _of_our_files(session: Any, view: FeatureView) -> FeatureView:  # noqa: ANN401 - pyspark is not checked
    """Return the view with its files united by column name; one with another source as it is."""
    source = view.batch_source
    if not isinstance(source, SparkSource) or not source.path or source.file_format != "parquet":
        return view
    changed = copy.copy(view)
    changed.batch_source = _united(session, source, [source.path])
    return changed


def _united(session: Any, source: SparkSource, paths: Sequence[str]) -> SparkSource:  # noqa: ANN401
    """Return a source of the same times that reads these files, their columns united by name."""
    name = f"mlpipe_{uuid.uuid4().hex}"
    session.read.option("mergeSchema", "true").parquet(*paths).createOrReplaceTempView(name)
    return SparkSource(
        name=source.name,
        table=name,
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        field_mapping=source.field_mapping,
    )


def _ours(job: SparkRetrievalJob) -> SparkRetrievalJob:
    job.__class__ = _UtcJob
    return job


class _UtcJob(SparkRetrievalJob):  # type: ignore[misc]  # feast has no types
    """A retrieval whose times mean the same in every session."""

    def to_spark_df(self) -> Any:  # noqa: ANN401 - Feast's signature
        """Return Spark's data frame; its query is read in UTC."""
        with quiet(), _in_utc(self.spark_session):
            return super().to_spark_df()

    def _to_df_internal(self, timeout: int | None = None) -> Any:  # noqa: ANN401 - Feast's signature
        with quiet(), _in_utc(self.spark_session):
            return super()._to_df_internal(timeout)


@contextmanager
def _in_utc(session: Any) -> Iterator[None]:  # noqa: ANN401
    before = session.conf.get(_ZONE)
    session.conf.set(_ZONE, "UTC")
    try:
        yield
    finally:
        session.conf.set(_ZONE, before)
