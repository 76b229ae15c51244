"""The small Python API: one source to one parquet file, with the numbers as the result.

>>> config = IngestionConfig(
...     source_type=DataSourceType.DATABASE,
...     source_config={"connection_string": "sqlite:///shop.db", "table": "users", "required_columns": ["user_id"]},
...     target_path="raw_users.parquet",
... )
>>> DatabaseIngestion(config).run()["records_read"]  # doctest: +SKIP
961
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.observability import Metrics
from airflow_provider_mlpipe.run import Interval, Run, instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "APIIngestion",
    "DataSourceType",
    "DatabaseIngestion",
    "FileIngestion",
    "IngestionConfig",
    "IngestionMetrics",
]


class DataSourceType(StrEnum):
    """The kinds of sources."""

    DATABASE = "database"
    API = "api"
    FILE = "file"


@dataclass(frozen=True, kw_only=True)
class IngestionConfig:
    """One source and one file.

    Attributes:
        source_type: what kind of source it is.
        source_config: the keys that ``ingestion_config.yaml`` knows for this kind.
        target_path: the parquet file to write; rows that fail go to ``NAME.quarantine.parquet`` beside it.
        batch_size: rows to fetch at a time.
        interval: start and end of what an incremental source reads.
    """

    source_type: DataSourceType
    source_config: Mapping[str, Any] = field(repr=False)
    target_path: str | Path
    batch_size: int = 10_000
    interval: tuple[datetime | str, datetime | str] | None = None


class IngestionMetrics(Metrics):
    """The numbers of a run, as ``metrics.records_read`` and as ``metrics["records_read"]``."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - int or float
        """Return the metric `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Ingestion:
    """Reads what the configuration says into one parquet file."""

    source_type: ClassVar[DataSourceType]

    def __init__(self, config: IngestionConfig) -> None:
        if DataSourceType(config.source_type) is not self.source_type:
            raise ConfigError.invalid(
                where="IngestionConfig",
                key="source_type",
                problem=f"{type(self).__name__} reads {self.source_type.value!r} sources",
                value=repr(str(config.source_type)),
            )
        self.config = config

    def run(self) -> IngestionMetrics:
        """Read everything and write the file, as a whole or not at all.

        Raises:
            ConfigError: the configuration is wrong.
            SourceError: the source did not give its rows.
            PublishError: the file could not be written.
        """
        from airflow_provider_mlpipe import config as configuration
        from airflow_provider_mlpipe.ingestion.connection import Connection
        from airflow_provider_mlpipe.ingestion.pipeline import transfer
        from airflow_provider_mlpipe.ingestion.readers import reader_of
        from airflow_provider_mlpipe.ingestion.target import FileTarget
        from airflow_provider_mlpipe.ingestion.window import window_of

        path = Path(self.config.target_path).expanduser().absolute()
        mapping = {"batch_size": self.config.batch_size, **self.config.source_config, "type": self.source_type.value}
        source = configuration.source(mapping, path.stem)
        interval = self.config.interval
        run = Run(interval=interval and Interval(start=instant(interval[0]), end=instant(interval[1])))
        window = window_of(source, run, None)
        reader = reader_of(source, Connection(), window=window, run=run, as_of=None)
        return IngestionMetrics(**transfer(source, reader, FileTarget(path), window=window))


class DatabaseIngestion(_Ingestion):
    """A table or query to a parquet file."""

    source_type = DataSourceType.DATABASE


class APIIngestion(_Ingestion):
    """The answers of a REST endpoint to a parquet file."""

    source_type = DataSourceType.API


class FileIngestion(_Ingestion):
    """Files on disk or in a bucket to a parquet file."""

    source_type = DataSourceType.FILE
