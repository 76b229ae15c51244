"""Plugged into Feast: its DuckDB offline store, reading our offline data the way it is.

Feast loads this module by name (``offline_store.type``); nothing else imports it, because it imports Feast. Against the
stock class:

* Files are united by column name, so that a feature added today does not make the past unreadable.
* The session's zone is UTC, so that a window does not move with the machine's clock.
* DuckDB runs under a memory limit, and is not the process's shared default.
* S3 is read through pyarrow, with the settings that artifacts are read with; DuckDB would fetch an extension from the
  network for it, and Feast would keep the keys in its configuration.
* `only`: a materialisation reads exactly the rows of one artifact, not whatever lies in the same stretch of time.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import weakref
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feast.infra.offline_stores import ibis as feast_ibis
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from pydantic import field_validator

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine, literal
from airflow_provider_mlpipe.errors import StoreRejectedError
from airflow_provider_mlpipe.feature_store.translation import quiet

if TYPE_CHECKING:
    from collections.abc import Callable

    from feast import FeatureView, RepoConfig
    from feast.data_source import DataSource

__all__ = ["MlpipeOfflineStore", "MlpipeOfflineStoreConfig"]


class MlpipeOfflineStoreConfig(DuckDBOfflineStoreConfig):  # type: ignore[misc]  # feast has no types
    """Settings, made by `Settings.repo_config`, or read from an exported ``feature_store.yaml``.

    Attributes:
        s3: an `S3Options`, or a mapping of its names.
        only: an `Artifact` to read in place of every source.
    """

    type: str = "airflow_provider_mlpipe.feature_store.feast_offline.MlpipeOfflineStore"
    s3: Any = None
    only: Any = None

    @field_validator("s3", mode="before")
    @classmethod
    def _options(cls, value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
        return S3Options(**value) if isinstance(value, Mapping) else value or S3Options()


class MlpipeOfflineStore(DuckDBOfflineStore):  # type: ignore[misc]  # feast has no types
    """The three ways in which Feast reads, each with our reader."""

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Return the newest row per entity of a stretch of time."""
        return _job(feast_ibis.pull_latest_from_table_or_query_ibis, config, kwargs)

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Return the rows of a stretch of time."""
        return _job(feast_ibis.pull_all_from_table_or_query_ibis, config, kwargs)

    @staticmethod
    def get_historical_features(config: RepoConfig, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Feast's signature
        """Join features to entity rows as of their time."""
        names = ("feature_views", "feature_refs", "entity_df", "registry", "project", "full_feature_names")
        given = dict(zip(names, args, strict=False)) | kwargs
        given["feature_views"] = [_with_plain_ttl(view) for view in given["feature_views"]]
        return _job(feast_ibis.get_historical_features_ibis, config, given)


def _job(function: Callable[..., Any], config: RepoConfig, given: dict[str, Any]) -> Any:  # noqa: ANN401 - feast has no types
    """Call Feast's function with our reader, quietly now and when its result is asked for."""
    with quiet():
        job = function(config=config, data_source_reader=_Reader(config), data_source_writer=_refuse_to_write, **given)
    job.__class__ = _QuietJob
    return job


class _Seconds(timedelta):
    """A length that says it in seconds alone, because Ibis takes none of days and hours: 36 hours for one."""

    days = property(lambda _: 0)
    seconds = property(lambda self: int(self // timedelta(seconds=1)))
    microseconds = property(lambda _: 0)


def _with_plain_ttl(view: FeatureView) -> FeatureView:
    """Return the view with a TTL that Ibis takes; lengths are in whole seconds."""
    if not view.ttl or not view.ttl.days or not view.ttl.seconds:
        return view
    changed = copy.copy(view)
    changed.ttl = _Seconds(seconds=view.ttl.total_seconds())
    return changed


class _QuietJob(feast_ibis.IbisRetrievalJob):  # type: ignore[misc]  # feast has no types
    """A retrieval that keeps to itself what Ibis and DuckDB have to say to each other."""

    def _to_df_internal(self, timeout: int | None = None) -> Any:  # noqa: ANN401 - Feast's signature
        with quiet():
            return super()._to_df_internal(timeout)

    def _to_arrow_internal(self, timeout: int | None = None) -> Any:  # noqa: ANN401 - Feast's signature
        with quiet():
            return super()._to_arrow_internal(timeout)


class _Reader:
    """Reads sources as tables of one DuckDB connection, which lives as long as the last of them."""

    def __init__(self, config: RepoConfig) -> None:
        self._settings = config.offline_store
        self._backend: Any = None
        self._engine: DuckDBEngine
        self._number = itertools.count()

    def __call__(self, data_source: DataSource, repo_path: str) -> Any:  # noqa: ANN401, ARG002 - Feast's signature
        backend = self._connected()
        name = f"source_{next(self._number)}"
        if self._settings.only is not None:
            self._engine.view(name, self._settings.only)
        elif str(data_source.path).startswith("s3://"):
            self._engine.connection.register(name, _bucket_dataset(str(data_source.path), self._settings.s3))
        else:
            files = f"read_parquet({_files_of(str(data_source.path))}, union_by_name = true)"
            self._engine.connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM {files}")  # noqa: S608
        return backend.table(name)

    def _connected(self) -> Any:  # noqa: ANN401 - ibis has no types
        if self._backend is None:
            stack = contextlib.ExitStack()
            self._engine = stack.enter_context(DuckDBEngine.open())
            self._backend = self._engine.ibis()
            # Feast runs the query later and elsewhere: the connection must last until nobody can ask it any more.
            weakref.finalize(self._backend, stack.close)
        return self._backend


def _files_of(pattern: str) -> str:
    """Return the files of ``folder/*.parquet`` as an SQL list, one by one, for a folder's name may hold ``[``."""
    files = sorted(Path(pattern).parent.glob(Path(pattern).name))
    if not files:
        raise FileNotFoundError(f"no offline data at {pattern}")
    return f"[{', '.join(literal(str(file)) for file in files)}]"


def _bucket_dataset(pattern: str, options: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the files that `pattern` (``s3://bucket/folder/*.parquet``) names, their columns united by name."""
    import pyarrow as pa
    import pyarrow.dataset as pads

    place = Storage(pattern.rpartition("/")[0], options)
    paths = [place.path(name) for name in sorted(place.names()) if name.endswith(".parquet")]
    if not paths:
        raise FileNotFoundError(f"no offline data at {place.uri}")
    schemas = [pads.dataset([path], filesystem=place.filesystem, format="parquet").schema for path in paths]
    schema = pa.unify_schemas([kind.remove_metadata() for kind in schemas], promote_options="permissive")
    return pads.dataset(paths, schema=schema, filesystem=place.filesystem, format="parquet")


def _refuse_to_write(*_: Any, **__: Any) -> None:  # noqa: ANN401 - Feast's signature
    raise StoreRejectedError(
        "Feast may not write our offline data: each file stands for one interval or push of an artifact",
        hint="Use feature_store.materialize or feature_store.push.",
    )
