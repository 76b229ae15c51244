"""What commands take from where they run: a shell, or Airflow.

`mlpipe` runs in a shell, whose environment variables say how to reach a bucket. ``airflow mlpipe`` runs the same
commands with what Airflow knows besides: its connections and its ``[mlpipe]`` configuration. Commands ask `current`,
and so need not know which of the two it is.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.config import Configured, FeatureStore, Source
    from airflow_provider_mlpipe.engines import DuckDBSettings, EngineSettings, SparkSettings
    from airflow_provider_mlpipe.ingestion import Connection

__all__ = ["Surroundings", "current", "within"]


class Surroundings:
    """Those of a shell. A subclass knows more.

    Attributes:
        program: how a user calls the commands.
    """

    program: str = "mlpipe"

    def s3(self, uri: str) -> S3Options:  # noqa: ARG002 - others look at it
        """Return how to reach a bucket; keys and roles are found by the S3 client itself."""
        from airflow_provider_mlpipe.artifacts import S3Options

        environment = os.environ
        return S3Options(
            endpoint_url=environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL", ""),
            region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", ""),
        )

    def config(self, path: Path) -> Path:
        """Return where a configuration file is."""
        return path

    def connection(self, source: Configured[Source], conn_id: str | None) -> Connection | None:  # noqa: ARG002
        """Return how to reach a source beside what its file says; None if the file says it all.

        Args:
            source: the source.
            conn_id: the connection that was asked for, in place of the file's.

        Raises:
            ConfigError: there is no such connection.
        """
        if conn_id is not None:
            raise _only_airflow("--conn-id", conn_id)
        return None

    def feature_store(self, config: Path, conn_id: str | None) -> FeatureStore:
        """Return where Feast is, by a feature file or by a connection.

        Raises:
            ConfigError: the file is wrong, or there is no such connection.
        """
        from airflow_provider_mlpipe.config import feature_store

        if conn_id is not None:
            raise _only_airflow("--feast-conn-id", conn_id)
        return feature_store(config).model

    def duckdb(self) -> DuckDBSettings:
        """Return what the embedded engine may take."""
        from airflow_provider_mlpipe.engines import DuckDBSettings

        return DuckDBSettings()

    def spark(self, master: str) -> SparkSettings:
        """Return which Spark to use; `master` is empty if nobody said."""
        from airflow_provider_mlpipe.engines import SparkSettings

        return SparkSettings(master=master)

    def engine(self, *names: str | None, master: str = "") -> EngineSettings:
        """Return the settings of the first engine that is named, of DuckDB if none is.

        Raises:
            ConfigError: there is no engine of that name.
        """
        from airflow_provider_mlpipe.engines import settings_named

        return settings_named(*names, duckdb=self.duckdb(), spark=self.spark(master))


_CURRENT: ContextVar[Surroundings | None] = ContextVar("surroundings", default=None)


def current() -> Surroundings:
    """Return where the command runs."""
    return _CURRENT.get() or Surroundings()


@contextmanager
def within(surroundings: Surroundings) -> Iterator[Surroundings]:
    """Let commands run there."""
    token = _CURRENT.set(surroundings)
    try:
        yield surroundings
    finally:
        _CURRENT.reset(token)


def _only_airflow(option: str, conn_id: str) -> ConfigError:
    return ConfigError.invalid(
        where="mlpipe",
        key=option,
        problem=f"the connection {conn_id!r} is Airflow's, which mlpipe does not know",
        hint="Run the same command as: airflow mlpipe ...",
    )
