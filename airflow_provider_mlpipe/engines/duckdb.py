"""The embedded engine: DuckDB under a memory limit, reading artifacts as views.

All that computes over a whole artifact goes through here, so that memory, threads and the place to spill to are set in
one place, and so that another engine can take its seat.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines.engine import ROWS_AT_A_TIME
from airflow_provider_mlpipe.engines.interruption import interruptible
from airflow_provider_mlpipe.engines.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["DuckDBEngine", "DuckDBSettings", "quote"]


@dataclass(frozen=True, kw_only=True)
class DuckDBSettings:
    """What a task may take.

    Attributes:
        memory_limit: what DuckDB's buffers may hold before it spills, in DuckDB's notation.
        threads: as many as cores if None.
        temp_directory: where to spill; a folder of its own that is removed afterwards if None.
    """

    name: ClassVar[str] = "duckdb"

    memory_limit: str = "1GB"
    threads: int | None = None
    temp_directory: str | None = None


class DuckDBEngine:
    """One connection with artifacts as views.

    Use `open` to get one::

        with DuckDBEngine.open() as engine:
            engine.view("users", artifact)
            count, = engine.row("SELECT count(*) FROM users")
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - duckdb is imported late
        self.connection = connection

    @classmethod
    @contextmanager
    def open(cls, settings: DuckDBSettings | None = None) -> Iterator[DuckDBEngine]:
        """Connect, and disconnect and remove what was spilled on leaving."""
        import duckdb

        settings = settings or DuckDBSettings()
        with scratch_folder("mlpipe-spill-", settings.temp_directory) as spill:
            config: dict[str, Any] = {
                "memory_limit": settings.memory_limit,
                "temp_directory": spill,
                "preserve_insertion_order": False,
                # Nothing is fetched from the network behind the user's back.
                "autoinstall_known_extensions": False,
            }
            if settings.threads is not None:
                config["threads"] = settings.threads
            connection = duckdb.connect(config=config)
            try:
                connection.execute("SET TimeZone = 'UTC'")
                # From a parquet footer, which leaves NaN out of min and max, it would conclude that there is no NaN.
                connection.execute("SET disabled_optimizers = 'statistics_propagation'")
                with interruptible(connection.interrupt):
                    yield cls(connection)
            finally:
                connection.close()

    def view(self, name: str, artifact: Artifact) -> None:
        """Make the artifact's rows readable as `name`.

        Local parts are read by DuckDB itself (footers, statistics and all); remote ones stream through Arrow, which
        brings its own S3 client.
        """
        if artifact.place.is_local:
            artifact.check_parts()
            listed = ", ".join(literal(path) for path in artifact.paths)
            self.connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS SELECT * FROM read_parquet([{listed}])"  # noqa: S608
            )
        else:
            self.connection.register(name, artifact.dataset())

    def register(self, name: str, table: pa.Table) -> None:
        """Make a table that is in memory readable as `name`."""
        self.connection.register(name, table)

    def keep(self, name: str, sql: object) -> None:
        """Compute a query once, and make its result readable as `name` until the engine closes."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {sql}")

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """Return the first row of a query."""
        return self.rows(sql, parameters)[0]

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query; for small results."""
        return [tuple(row) for row in self.connection.execute(sql, parameters or []).fetchall()]

    def records(self, sql: object) -> list[dict[str, Any]]:
        """Return all rows of a query, each by column; for small results."""
        cursor = self.connection.execute(str(sql))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def batches(self, sql: object, batch_size: int = ROWS_AT_A_TIME) -> pa.RecordBatchReader:
        """Return the result of a query as a stream; as a relation, since a DB-API result is copied once more."""
        return self.connection.sql(str(sql)).to_arrow_reader(batch_size)

    def ibis(self) -> Any:  # noqa: ANN401 - ibis has no types
        """Return an Ibis backend on this connection; its tables are the views made here."""
        import ibis

        return ibis.duckdb.from_connection(self.connection)


def quote(identifier: str) -> str:
    """Return an SQL identifier in quotes.

    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
