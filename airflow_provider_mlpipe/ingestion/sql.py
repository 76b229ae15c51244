"""Any database with a SQLAlchemy dialect: a streaming cursor, declared types, exact conversion.

Statements are sent as text, so that values come as the driver gives them and are converted here, where what does not
fit is reported; SQLAlchemy's own conversions raise in the middle of a stream, or round.
"""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.interruption import interruptible
from airflow_provider_mlpipe.errors import SourceRejectedError
from airflow_provider_mlpipe.ingestion.connection import location_of
from airflow_provider_mlpipe.ingestion.conversion import ColumnType, convert, schema_of, timestamp
from airflow_provider_mlpipe.ingestion.database import DatabaseReader, named_parameters
from airflow_provider_mlpipe.ingestion.dbapi import frames_of
from airflow_provider_mlpipe.ingestion.detection import detected
from airflow_provider_mlpipe.ingestion.sqltypes import arrow_type
from airflow_provider_mlpipe.ingestion.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, CursorResult, Dialect, Engine

    from airflow_provider_mlpipe.ingestion.detection import Frame

__all__ = ["SqlReader"]

_BEGIN = {
    "postgresql": ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TIME ZONE 'UTC'"),
    "mysql": ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET time_zone = '+00:00'"),
    "mariadb": ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET time_zone = '+00:00'"),
}


class SqlReader(DatabaseReader):
    """Reads through SQLAlchemy."""

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Connect, and give the rows."""
        with self._connected() as connection:
            declared = self._declared(connection)
            with closing(self._execute(connection)) as result, self._typed(result, declared) as stream:
                yield stream

    def newest(self) -> datetime | None:
        """Return the latest time inside the window.

        SQLite keeps times as text in more than one spelling, whose order is not that of the times: there the values of
        the days that may hold it are looked at.
        """
        with self._connected() as connection:
            self._check_cursor(connection)
            key = _quoting(connection.dialect)(self.window.column).replace(":", r"\:")
            some = f"DISTINCT {key}" if connection.dialect.name == "sqlite" else f"max({key})"
            with closing(self._execute(connection, some)) as result:
                return max(self._inside(value for (value,) in result), default=None)

    def _inside(self, values: Iterable[Any]) -> Iterator[datetime]:
        start, end = self.window.start, self.window.end
        for value in values:
            with suppress(ValueError, TypeError):  # no time at all: reading it will say so
                moment = timestamp(value, aware=True)
                if moment < end and (start is None or moment >= start):
                    yield moment

    def _check_cursor(self, connection: Connection) -> None:
        """Refuse a source without the cursor column: SQLite takes an unknown name in quotes for a text."""
        names = list(self._declared(connection))
        if not names and connection.dialect.name == "sqlite":
            with closing(self._execute(connection)) as result:  # gives no row before it is asked for one
                names = list(result.keys())
        if names and self.window.column not in names:
            raise SourceRejectedError.missing_columns(
                source=self._request.name, location=self.location, missing=[self.window.column], available=names
            )

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                _keep_texts(connection)
                for statement in _BEGIN.get(engine.dialect.name, ()):
                    connection.exec_driver_sql(statement)
                    connection.commit()
                with interruptible(partial(_call_off, connection.connection.driver_connection)):
                    yield connection
        finally:
            engine.dispose()

    @contextmanager
    def _typed(self, result: CursorResult[Any], declared: dict[str, Any]) -> Iterator[Stream]:
        """Give the rows in their declared types; without one the values tell, which takes a look at all of them."""
        import pyarrow as pa

        names = list(result.keys())
        if len(set(names)) < len(names):
            yield Stream(
                schema_of([ColumnType(name, pa.null()) for name in names]), iter(())
            )  # refused by the contract
            return
        known = [ColumnType(name, kind) for name in names if (kind := declared.get(name)) is not None]
        frames = self._frames(result, names)
        if len(known) == len(names):
            yield Stream(schema_of(known), (convert(known, frame.values, frame.rows) for frame in frames))
            return
        with detected(frames, known, order=names) as stream:
            yield stream

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine, make_url
        from sqlalchemy.exc import ArgumentError
        from sqlalchemy.pool import NullPool

        try:
            url = make_url(self._request.uri)
        except ArgumentError:
            raise self._refused("this is no database URL", "Write sqlite:///path or postgresql://...") from None
        if url.drivername in {"postgresql", "postgres"}:
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}:
            path = Path(str(url.database))
            if not str(path).startswith("file:") and not path.is_file():
                # SQLite would create an empty database and then find no table in it.
                raise self._refused("there is no such file", "Check the path; `mlpipe sample` makes the sample.")
        return create_engine(url, poolclass=NullPool, hide_parameters=True)

    def _refused(self, problem: str, hint: str) -> SourceRejectedError:
        return SourceRejectedError.refused(
            source=self._request.name, location=location_of(self._request.uri), problem=problem, hint=hint
        )

    def _declared(self, connection: Connection) -> dict[str, Any]:
        """Return the Arrow types of a table's columns; nothing for a query."""
        import warnings

        from sqlalchemy import inspect
        from sqlalchemy.exc import NoSuchTableError, SAWarning

        if self._request.model.table is None:
            return {}
        schema, name = self._request.table
        inspector = inspect(connection)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # of types it does not know: they are told from the values
                columns = inspector.get_columns(name, schema=schema)
        except NoSuchTableError:
            columns = []
        if not columns:
            available = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
            prefix = f"{schema}." if schema else ""
            raise self._request.no_table(prefix + found for found in available)
        return {column["name"]: arrow_type(column["type"]) for column in columns}

    def _execute(self, connection: Connection, selected: str = "*") -> CursorResult[Any]:
        from sqlalchemy import text

        request = self._request
        quoted = _quoting(connection.dialect)
        parameters = dict(request.model.parameters)
        if request.model.table is not None:
            schema, name = request.table
            base = f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)
        else:
            marked = named_parameters(str(request.model.query), parameters, lambda name: f"\0{name}\0")
            escaped = marked.replace(":", r"\:")
            for name in parameters:
                escaped = escaped.replace(f"\0{name}\0", f":{name}")
            base = escaped.rstrip().rstrip(";")
        condition, bounds = self._window(quoted, connection.dialect.name)
        if condition and request.model.query is not None:
            base = f"(\n{base}\n) mlpipe_query"  # without AS, which Oracle refuses
        alone = request.model.query is not None and not condition
        statement = text(base if alone else f"SELECT {selected} FROM {base}{condition}")  # noqa: S608 - quoted, or the user's own
        streaming = connection.execution_options(stream_results=True, max_row_buffer=request.model.batch_size)
        return streaming.execute(statement, parameters | bounds)

    def _window(self, quoted: Callable[[str], str], dialect: str) -> tuple[str, dict[str, Any]]:
        """Return a condition that leaves out rows outside the window, and its values.

        The exact cut is made on converted values. SQLite keeps times as text in more than one spelling: there only
        whole days are left out, and what is no time at all is read, to be reported.
        """
        window = self._request.window
        if window is None:
            return "", {}
        column = quoted(window.column).replace(":", r"\:")
        day = timedelta(days=2) if dialect == "sqlite" else timedelta(0)
        values: dict[str, Any] = {"mlpipe_end": (window.end + day).replace(tzinfo=None)}
        tests = [f"{column} < :mlpipe_end"]
        if window.start is not None:
            values["mlpipe_start"] = (window.start - day).replace(tzinfo=None)
            tests.append(f"{column} >= :mlpipe_start")
        condition = " AND ".join(tests)
        if dialect == "sqlite":
            values = {name: value.date().isoformat() for name, value in values.items()}
            odd = f"{column} NOT GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' OR typeof({column}) <> 'text'"
            condition = f"({condition}) OR ({column} IS NOT NULL AND ({odd}))"
        if window.on_null != "exclude":
            condition = f"({condition}) OR {column} IS NULL"
        return f" WHERE {condition}", values

    def _frames(self, result: CursorResult[Any], names: list[str]) -> Iterator[Frame]:
        # Not result.cursor: SQLAlchemy has taken the first rows from it already when it is a server-side one.
        return frames_of(result.fetchmany, names, self._request.model.batch_size)


def _quoting(dialect: Dialect) -> Callable[[str], str]:
    """Return what puts a name into quotes, spelled as the database stores it.

    To SQLAlchemy a name that Oracle or Firebird stores in upper case, since nobody quoted it, is one in lower case.
    """
    quote = dialect.identifier_preparer.quote_identifier
    if not dialect.requires_name_normalize:
        return quote
    return lambda name: quote(str(dialect.denormalize_name(name)))


def _call_off(driver: Any) -> None:  # noqa: ANN401 - a connection of any driver
    """Stop what a driver waits for in C code: sqlite3 has `interrupt` for that, psycopg and others have `cancel`."""
    for name in ("interrupt", "cancel"):
        if callable(stop := getattr(driver, name, None)):
            stop()
            return


def _keep_texts(connection: Connection) -> None:
    """Have psycopg leave as text what Python would reformat: json loses digits, intervals their months."""
    if connection.dialect.driver != "psycopg":
        return
    from psycopg.types.string import TextLoader

    driver: Any = connection.connection.driver_connection
    for name in ("json", "jsonb", "interval"):
        driver.adapters.register_loader(name, TextLoader)
