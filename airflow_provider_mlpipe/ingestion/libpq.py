"""One session with PostgreSQL: ADBC's low-level interface, its statements, parameters and streams."""

from __future__ import annotations

import re
import struct
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.interruption import interruptible
from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["Session", "libpq_uri", "session_at"]

CONNECT_SECONDS = 10
BATCH_BYTES = 1_000_000
"""Small, and a little below a power of two: the driver's buffers grow by doubling, and what they take is held until a
row group is full."""

_TEXTS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
"""How values look that the server sends as text. A role or a database may have set it otherwise, and rounded."""

_NOTICE = (
    "SELECT set_config(name, '5s', true) FROM pg_settings "
    "WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%'"
)
"""A server that may (PostgreSQL 14 and later, on Linux) looks every 5 s whether we are still there: if our process was
killed, its query ends too."""


def libpq_uri(uri: str) -> str:
    """Return a SQLAlchemy URL as libpq wants it, with a limit to how long connecting may take.

    >>> libpq_uri("postgresql+psycopg://ann@db/shop")
    'postgresql://ann@db/shop?connect_timeout=10'
    """
    uri = re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", uri)
    if "connect_timeout=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONNECT_SECONDS}"


class Session:
    """One connection of the low-level ADBC interface (its DB-API imports pandas)."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - adbc has no types here
        self._connection = connection
        self._parameters = 0

    def begin(self, snapshot: str | None = None) -> None:
        """Begin the transaction that everything is read in: one snapshot, and texts that no role's settings change.

        Args:
            snapshot: one that another session exported; a new one if None.
        """
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot is not None:
            self.run(f"SET TRANSACTION SNAPSHOT '{snapshot}'")  # the server's own word, and no expression is allowed
        for setting, value in _TEXTS.items():
            self.run(f"SET LOCAL {setting} = '{value}'")
        self.run(_NOTICE)

    def cancel(self) -> None:
        """Stop what another thread of this process runs here."""
        with suppress(Exception):  # it may be over, or the server gone
            self._connection.cancel()

    def values(self, sql: str) -> list[Any]:
        """Return the first column of a small result."""
        with self.query(sql) as reader:
            return [value for batch in reader for value in batch.column(0).to_pylist()]

    def run(self, sql: str, values: pa.RecordBatch | None = None) -> None:
        """Execute a statement whose result does not matter."""
        with self.query(sql, values) as reader:
            for _ in reader:
                pass

    def parameter(self, name: str, value: Any) -> str:  # noqa: ANN401 - any scalar
        """Bind a value, and return the expression that stands for it.

        COPY, which makes the driver fast and keeps its memory bounded, takes no parameters. So the value is bound in
        a statement of its own, to a setting of this transaction, and the query reads the setting.
        """
        import pyarrow as pa

        casts = {bool: "boolean", int: "bigint", float: "double precision", Decimal: "numeric",
                 datetime: "timestamptz", date: "date", str: "text"}  # fmt: skip
        if value is None:
            return "NULL"
        if type(value) not in casts:
            raise ConfigError.invalid(
                where="parameters", key=name, problem=f"a {type(value).__name__} cannot be a query parameter",
                hint="Give a text, number, boolean or time.",
            )  # fmt: skip
        self._parameters += 1
        setting = f"mlpipe.p{self._parameters}"
        text = value.isoformat() if isinstance(value, date) else str(value)
        # Not pa.array([text]): to take a Python value pyarrow imports pandas, 40 MB and a second of CPU.
        encoded = text.encode()
        buffers = [None, pa.py_buffer(struct.pack("=ii", 0, len(encoded))), pa.py_buffer(encoded)]
        bound = pa.record_batch([pa.Array.from_buffers(pa.string(), 1, buffers)], names=["value"])
        self.run(f"SELECT set_config('{setting}', $1, true)", bound)
        return f"(current_setting('{setting}')::{casts[type(value)]})"

    def schema(self, sql: str) -> pa.Schema:
        """Return what a query would give, with PostgreSQL's types in the fields' metadata."""
        import pyarrow as pa

        with self._statement(sql) as statement:
            handle = statement.execute_schema()  # freed with the last reference to it
            return pa.Schema._import_from_c(handle.address)  # noqa: SLF001 - the documented way

    @contextmanager
    def query(self, sql: str, values: pa.RecordBatch | None = None) -> Iterator[pa.RecordBatchReader]:
        """Execute a query and give its result as a stream."""
        import pyarrow as pa

        with self._statement(sql) as statement:
            if values is None:
                statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
            else:
                statement.prepare()
                statement.bind(values)
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(handle.address) as reader:  # noqa: SLF001 - the documented way
                yield reader

    @contextmanager
    def _statement(self, sql: str) -> Iterator[Any]:
        from adbc_driver_manager import AdbcStatement

        statement = AdbcStatement(self._connection)
        try:
            statement.set_sql_query(sql)
            yield statement
        finally:
            statement.close()


@contextmanager
def session_at(uri: str) -> Iterator[Session]:
    """Connect to a database."""
    import adbc_driver_postgresql
    from adbc_driver_manager import AdbcConnection, AdbcDatabase, Error

    with ExitStack() as stack:

        def closing(thing: Any) -> Any:  # noqa: ANN401 - adbc has no types here
            def close() -> None:
                with suppress(Error):  # a connection that broke cannot say good-bye
                    thing.close()

            stack.callback(close)
            return thing

        database = closing(AdbcDatabase(driver=adbc_driver_postgresql._driver_path(), uri=libpq_uri(uri)))  # noqa: SLF001
        session = Session(closing(AdbcConnection(database)))
        with interruptible(session.cancel):
            yield session
