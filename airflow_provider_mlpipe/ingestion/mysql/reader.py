"""Reads a table or query of MySQL or MariaDB, with every type either exact or as text."""

from __future__ import annotations

import itertools
import logging
import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.interruption import heed
from airflow_provider_mlpipe.errors import SourceRejectedError
from airflow_provider_mlpipe.ingestion.database import DatabaseReader, named_parameters
from airflow_provider_mlpipe.ingestion.mysql import native
from airflow_provider_mlpipe.ingestion.mysql.columns import Column, column_of, quoted
from airflow_provider_mlpipe.ingestion.mysql.session import SETTINGS, native_uri, session
from airflow_provider_mlpipe.ingestion.mysql.values import Fitter, literal
from airflow_provider_mlpipe.ingestion.stream import Stream
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.mysql.session import Session

__all__ = ["MysqlReader"]

logger = logging.getLogger(__name__)

BATCH_BYTES = 32 * 1024 * 1024
ROWS_OF_LONG_VALUES = 1_000
"""Rows to hold at a time where a value may be megabytes and nothing tells how long they are: no driver counts bytes."""
_NO_SUCH_TABLE = 1146
_LITERALS = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`|(?:--(?=\s)|\#)[^\n]*|/\*.*?\*/", re.DOTALL
)
_TABLES = """
    SELECT CASE WHEN table_schema = DATABASE() THEN '' ELSE CONCAT(table_schema, '.') END, table_name
    FROM information_schema.tables
    WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY 1, 2 LIMIT 500"""


class MysqlReader(DatabaseReader):
    """Reads through connectorx, or through PyMySQL where connectorx is absent or would not do."""

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Connect, tell the types, and give the rows of one snapshot."""
        import pyarrow as pa

        model, window = self._request.model, self._request.window
        with session(self._request.uri) as connected:
            base = self._base()
            columns = self._columns(connected, base)
            schema = pa.schema([pa.field(column.name, column.kind) for column in columns])
            if window is not None:
                window.check(schema)
            selected = ", ".join(column.selected for column in columns)
            sql = f"SELECT {selected} FROM {base}{self._condition()}"  # noqa: S608 - quoted names, literal values
            fitter = Fitter(columns, model.zero_dates)
            driver, batches = self._batches(connected, sql, columns)
            details = {"driver": driver, "zero_dates_as_null": fitter.nulled}
            with closing(batches):
                yield Stream(schema, (fitter.fit(batch) for batch in batches), details=details)

    def newest(self) -> datetime | None:
        """Return the latest time inside the window that a calendar has."""
        import pyarrow as pa

        with session(self._request.uri) as connected:
            base = self._base()
            columns = self._columns(connected, base)
            self.window.check(pa.schema([pa.field(column.name, column.kind) for column in columns]))
            latest = f"MAX({quoted(self.window.column)})"
            [[found]] = connected.run(f"SELECT {latest} FROM {base}{self._condition()}")  # noqa: S608 - as above
            return None if found is None else instant(found if isinstance(found, str) else found.decode())

    def _base(self) -> str:
        """Return what stands behind FROM."""
        model = self._request.model
        if model.table is not None:
            schema, name = self._request.table
            return f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)
        values = {name: literal(name, value) for name, value in model.parameters.items()}
        query = named_parameters(str(model.query), values, lambda name: values[name], literals=_LITERALS)
        return f"(\n{query.rstrip().rstrip(';')}\n) AS mlpipe_query"

    def _columns(self, connected: Session, base: str) -> list[Column]:
        from pymysql.err import ProgrammingError

        request = self._request
        try:
            fields = connected.describe(f"SELECT * FROM {base} LIMIT 0")  # noqa: S608 - as above
        except ProgrammingError as error:
            if request.model.table is None or error.args[0] != _NO_SUCH_TABLE:
                raise
            raise request.no_table(schema + name for schema, name in connected.run(_TABLES)) from None
        found = []
        for field in fields:
            column = column_of(field, dates_as_text=request.model.zero_dates == "text")
            if column is None:
                raise SourceRejectedError.refused(
                    source=request.name, location=request.location,
                    problem=f"column {field.name!r} has a type that is not known here (number {field.type_code})",
                    hint="Leave it out, or convert it, in a query.",
                )  # fmt: skip
            found.append(column)
        return found

    def _rows_of_long_values(self, connected: Session) -> int:
        """Return how many rows to hold, by the length of a row in the server's statistics of the table."""
        schema, name = self._request.table
        where = "DATABASE()" if schema is None else literal("schema", schema)
        found = connected.run(
            f"SELECT avg_row_length FROM information_schema.tables WHERE table_schema = {where}"  # noqa: S608 - literals
            f" AND table_name = {literal('table', name)}"
        )
        length = int(found[0][0] or 0) if found else 0  # 0 for views
        return max(10, BATCH_BYTES // length) if length else ROWS_OF_LONG_VALUES

    def _condition(self) -> str:
        window = self._request.window
        return "" if window is None else f" WHERE {window.where(quoted(window.column), literal)}"

    def _batches(
        self, connected: Session, sql: str, columns: list[Column]
    ) -> tuple[str, Generator[pa.RecordBatch, None, None]]:
        """Return the driver that gives the rows, and the rows."""
        rows = self._request.model.batch_size
        if any(column.long for column in columns):
            rows = min(rows, self._rows_of_long_values(connected))
        uri = native_uri(self._request.uri)
        if uri is not None and native.available():
            batches = native.native_batches(uri, connected.mark.on(sql), list(SETTINGS), rows)
            try:
                first = list(itertools.islice(batches, 1))
            except Exception as error:  # noqa: BLE001 - whatever it is, the cursor gets to the bottom of it
                heed()
                logger.warning("source %s: connectorx cannot read this (%s); a cursor reads it, more slowly",
                               self._request.name, type(error).__name__)  # fmt: skip
            else:
                return "connectorx", _chained(first, batches)
        return "pymysql", connected.batches(sql, columns, rows)


def _chained(
    first: list[pa.RecordBatch], others: Generator[pa.RecordBatch, None, None]
) -> Generator[pa.RecordBatch, None, None]:
    with closing(others):
        yield from first
        yield from others
