"""One part of a Spark, with artifacts as views."""

from __future__ import annotations

import logging
import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.engines.engine import ROWS_AT_A_TIME
from airflow_provider_mlpipe.engines.refusals import refusal
from airflow_provider_mlpipe.engines.scratch import scratch_folder
from airflow_provider_mlpipe.engines.spark.columns import columns_of, quoted
from airflow_provider_mlpipe.engines.spark.session import is_local, jobs_end, spark_session
from airflow_provider_mlpipe.engines.spark.settings import SparkSettings
from airflow_provider_mlpipe.errors import ConfigError, redact, samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["SparkEngine"]

_log = logging.getLogger(__name__)


class SparkEngine:
    """A Spark session of our own with artifacts as views; the same as `DuckDBEngine` to whoever holds it.

    Use `open` to get one::

        with SparkEngine.open(SparkSettings(master="local[2]")) as engine:
            engine.view("users", artifact)
            count, = engine.row("SELECT count(*) FROM users")
    """

    def __init__(self, session: Any, scratch: Storage, folder: str) -> None:  # noqa: ANN401 - pyspark is imported late
        self.session = session
        self._scratch = scratch
        self._folder = folder
        self._kept: dict[str, Any] = {}

    @classmethod
    @contextmanager
    def open(cls, settings: SparkSettings | None = None) -> Iterator[SparkEngine]:
        """Find or start Spark; on leaving, drop what was kept, and stop it if it was started here.

        Raises:
            ConfigError: pyspark or Java is missing, or a cluster lacks a scratch folder.
            EngineUnavailableError: Spark did not start.
        """
        settings = settings or SparkSettings()
        with (
            scratch_folder("mlpipe-spark-", settings.temp_directory) as folder,
            spark_session(settings, folder) as session,
        ):
            if not (settings.scratch or is_local(session)):
                raise ConfigError(
                    f"Spark at {redact(session.sparkContext.master)} has no scratch folder for its results.",
                    hint="Set scratch ([mlpipe] spark_scratch, --spark-scratch) to a folder or s3:// prefix that the "
                    "driver and all executors reach.",
                )
            place = Storage(f"{(settings.scratch or folder).rstrip('/')}/mlpipe-{uuid.uuid4().hex}", settings.s3)
            engine = cls(session, place, folder)
            try:
                with jobs_end(session.sparkContext):
                    yield engine
            finally:
                engine.close()

    def close(self) -> None:
        """Release what was kept, and remove what was not read. Spark itself stays."""
        while self._kept:
            self._kept.popitem()[1].unpersist()
        for name in self.session.catalog.listTables():
            if name.isTemporary:
                self.session.catalog.dropTempView(name.name)
        with suppress(FileNotFoundError):
            self._scratch.filesystem.delete_dir(self._scratch.root)

    def view(self, name: str, artifact: Artifact) -> None:
        """Make the artifact's rows readable as `name`: exactly the parts that its manifest lists.

        Columns of a type that Spark does not have are left out.

        Raises:
            ConfigError: the artifact lies in a bucket, and Spark has no way to read from one.
        """
        artifact.check_parts()
        if artifact.place.is_local:
            addresses = [self._plain_path(path) for path in artifact.paths]
        elif self._reads_s3():
            addresses = [f"s3a://{path}" for path in artifact.paths]
        elif is_local(self.session):
            addresses = [self._write(name, artifact.batches(), artifact.schema)]
        else:
            raise ConfigError(
                f"Spark at {redact(self.session.sparkContext.master)} cannot read {redact(artifact.uri)}: it lacks "
                "hadoop-aws.",
                hint="Set spark.jars.packages=org.apache.hadoop:hadoop-aws:<the cluster's Hadoop version> and "
                "spark.hadoop.fs.s3a.* in the cluster's configuration or in conf.",
            )
        self._read(name, addresses, artifact.schema)

    def register(self, name: str, table: pa.Table) -> None:
        """Make a table that is in memory readable as `name`."""
        self._read(name, [self._write(name, table.to_batches(), table.schema)], table.schema)

    def keep(self, name: str, sql: object) -> None:
        """Make the result of a query readable as `name`; it is computed once, when it is first read."""
        frame = self.session.sql(str(sql)).persist()
        if name in self._kept:
            self._kept[name].unpersist()
        self._kept[name] = frame
        frame.createOrReplaceTempView(name)

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """Return the first row of a query."""
        return self.rows(sql, parameters)[0]

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query; for small results."""
        columns = self._collected(sql, parameters).columns
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def records(self, sql: object) -> list[dict[str, Any]]:
        """Return all rows of a query, each by column; for small results."""
        found: list[dict[str, Any]] = self._collected(str(sql)).to_pylist()
        return found

    def batches(self, sql: object, batch_size: int = ROWS_AT_A_TIME) -> pa.RecordBatchReader:
        """Return the result of a query as a stream, in the query's order.

        The executors write it to the scratch folder, from where it is read file by file: no process ever holds all of
        it, and nothing passes through the driver's JVM.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = self._scratch.below(uuid.uuid4().hex)
        self.session.sql(str(sql)).write.parquet(_address(place))
        # Spark numbers the files in the order of the rows.
        names = sorted(name for name in place.names() if name.startswith("part-"))
        paths = [place.path(name) for name in names]
        schema = _plain(pq.read_schema(place.filesystem.open_input_file(paths[0])))
        return pa.RecordBatchReader.from_batches(schema, _streamed(place, names, schema, batch_size))

    def ibis(self) -> Any:  # noqa: ANN401 - ibis has no types
        """Return an Ibis backend that compiles for Spark; its tables are the views made here."""
        from airflow_provider_mlpipe.engines.spark.dialect import backend

        return backend(self.session)

    def _collected(self, sql: str, parameters: list[Any] | None = None) -> pa.Table:
        """Return a result as Arrow, which, unlike Spark's rows, keeps time zones."""
        return self.session.sql(sql, args=parameters or None).toArrow()

    def _read(self, name: str, addresses: list[str], schema: pa.Schema) -> None:
        columns, left_out = columns_of(schema)
        if left_out:
            _log.warning("%s: Spark has no type for %s, so they are not there", name, samples(left_out))
        stored = ", ".join(f"{quoted(column.name)} {column.stored}" for column in columns if column.stored)
        values = [f"{column.value} AS {quoted(column.name)}" for column in columns]
        if addresses:
            frame = self.session.read.schema(stored).parquet(*addresses)
        else:
            nothing = (f"CAST(NULL AS {c.stored}) AS {quoted(c.name)}" for c in columns if c.stored)
            frame = self.session.sql(f"SELECT {', '.join(nothing)} WHERE false")
        frame.selectExpr(*values).createOrReplaceTempView(name)

    def _plain_path(self, path: str) -> str:
        """Return a path without characters that Spark takes for a pattern, or that Java's locale cannot spell."""
        if not is_local(self.session) or re.fullmatch(r"[A-Za-z0-9 ._/=+@~-]+", path):
            return f"file:{path}"
        link = Path(self._folder, f"{uuid.uuid4().hex}.parquet")
        link.symlink_to(path)
        return f"file:{link}"

    def _write(self, name: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> str:
        """Write batches where a local Spark reads them, and return the file's path."""
        import pyarrow.parquet as pq

        path = f"{self._folder}/{uuid.uuid4().hex}.parquet"
        _log.debug("%s is staged", name)
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        return f"file:{path}"

    def _reads_s3(self) -> bool:
        """Return whether hadoop-aws is among Spark's jars."""
        try:
            thread = self.session._jvm.java.lang.Thread.currentThread()  # noqa: SLF001 - there is no other way to ask
            thread.getContextClassLoader().loadClass("org.apache.hadoop.fs.s3a.S3AFileSystem")
        except Exception as error:
            if refusal(error) is None:
                raise
            return False
        return True


def _streamed(place: Storage, names: list[str], schema: pa.Schema, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of Spark's files in their order; a file that was read is removed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in names:
        with place.filesystem.open_input_file(place.path(name)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=batch_size):
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        place.delete(name)


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema without what Spark and parquet note in it."""
    import pyarrow as pa

    return pa.schema([(item.name, item.type) for item in schema])


def _address(place: Storage) -> str:
    """Return a place as Spark names it."""
    return f"file:{place.root}" if place.is_local else f"s3a://{place.root}"
