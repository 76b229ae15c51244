"""Which reader serves a configured source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config import ApiSource, DatabaseSource, DltSource, FunctionSource, KafkaSource
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.stream import Reader
    from airflow_provider_mlpipe.ingestion.window import Window
    from airflow_provider_mlpipe.run import Run

__all__ = ["reader_of"]


def reader_of(
    source: Configured[Source],
    connection: Connection,
    *,
    window: Window | None,
    run: Run,
    as_of: datetime | None,
    stage: Storage | None = None,
    rows: Any = None,  # noqa: ANN401 - rows in any of many forms
) -> Reader:
    """Return the reader of `source`; nothing is connected yet.

    Args:
        source: what to read.
        connection: settings resolved from an Airflow connection.
        window: the stretch of time to read; None for everything.
        run: who reads.
        as_of: the end of what is read; the interval's end if None.
        stage: the folder of the dataset's raw partitions, for sources that look at what earlier runs read.
        rows: what a function gave, for a source of type ``function``.

    Raises:
        ConfigError: the configuration does not say where the source is.
    """
    model = source.model
    if rows is not None and not isinstance(model, FunctionSource):
        raise ConfigError.invalid(
            where=source.where("type"), key=f"source {source.name!r}", problem=f"type: {model.type} reads its rows by "
            "itself, and a function gave some",
            hint="Write type: function for rows of a function.",
        )  # fmt: skip
    if isinstance(model, DatabaseSource):
        from airflow_provider_mlpipe.ingestion.database import database_reader

        driver = connection.driver
        if driver is not None or (model.driver is not None and not connection.uri):
            from airflow_provider_mlpipe.ingestion.dbapi import DriverReader, driver_of

            return DriverReader(source, driver or driver_of(source, model), window)
        return database_reader(source, _database_uri(source, model, connection), window)
    if isinstance(model, ApiSource):
        from airflow_provider_mlpipe.ingestion.rest.reader import ApiReader

        return ApiReader(source, model, connection, run=run, as_of=as_of)
    if isinstance(model, (DltSource, FunctionSource)):
        return _of_python(source, model, run=run, as_of=as_of, rows=rows)
    if isinstance(model, KafkaSource):
        from airflow_provider_mlpipe.ingestion.kafka.reader import KafkaReader

        return KafkaReader(source, model, connection, stage=stage, run=run, as_of=as_of)
    from airflow_provider_mlpipe.ingestion.files import FileReader

    return FileReader(source, model, connection, run=run, as_of=as_of, stage=stage)


def _of_python(
    source: Configured[Source], model: DltSource | FunctionSource, *, run: Run, as_of: datetime | None, rows: object
) -> Reader:
    """Return the reader of what Python yields."""
    if isinstance(model, FunctionSource):
        from airflow_provider_mlpipe.ingestion.function import FunctionReader

        return FunctionReader(source, model, rows)
    from airflow_provider_mlpipe.ingestion.dlt_resource import DltReader

    return DltReader(source, model, run=run, as_of=as_of)


def _database_uri(source: Configured[Source], model: DatabaseSource, connection: Connection) -> str:
    if connection.uri:
        return connection.uri
    if model.connection_string is not None:
        return model.connection_string.get_secret_value()
    raise ConfigError.invalid(
        where=source.where("conn_id"),
        key=f"source {source.name!r}",
        problem="nothing says where the database is" if model.conn_id is None
        else f"the connection {model.conn_id!r} is Airflow's, and nobody resolved it here",
        hint="Set connection_string, or run it through SourceIngestOperator with conn_id.",
    )  # fmt: skip
