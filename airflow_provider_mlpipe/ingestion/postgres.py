"""PostgreSQL through ADBC: binary COPY to Arrow, in one snapshot, with every type either exact or as text.

What the driver would change is not left to it: numeric without precision, arrays (it flattens those of several
dimensions), json, uuid, ranges, enums and all that it does not know are sent as text by the server; numeric(p, s)
becomes a decimal of that size; infinite times, which Arrow cannot hold, are rejected rows.

With ``parallel`` several connections read a part each, all in the snapshot of the first one.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.duckdb import quote
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.concurrency import together
from airflow_provider_mlpipe.ingestion.database import DatabaseReader, named_parameters
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.libpq import session_at
from airflow_provider_mlpipe.ingestion.postgres_types import checked, column_of, declared_type
from airflow_provider_mlpipe.ingestion.stream import Stream
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.libpq import Session
    from airflow_provider_mlpipe.ingestion.postgres_types import Column


__all__ = ["PostgresReader"]

_log = logging.getLogger(__name__)

PAGES = 128
"""A part of a table has so many pages at least (1 MB): a connection costs more than it wins below that."""

_UNDEFINED_TABLE = "42P01"
_TABLES = """
    SELECT CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE n.nspname || '.' END || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    ORDER BY 1 LIMIT 500"""
_PAGES = """
    SELECT CASE WHEN c.relkind IN ('r', 'm', 'p') THEN
      greatest(pg_relation_size(c.oid), (SELECT max(pg_relation_size(relid)) FROM pg_partition_tree(c.oid)))
      / current_setting('block_size')::bigint END
    FROM pg_class c WHERE c.oid = to_regclass({name})"""


class PostgresReader(DatabaseReader):
    """Reads through ADBC."""

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Connect, tell the types, and give the rows of one snapshot."""
        import pyarrow as pa

        with session_at(self._request.uri) as session:
            session.begin()
            base = self.base(session)
            found = self._introspect(session, base)
            columns = [column_of(field) for field in found]
            schema = pa.schema([pa.field(column.name, column.kind) for column in columns])
            if not schema.names:
                raise Unreadable("it has no columns")
            if len(set(schema.names)) < len(schema.names):
                yield Stream(schema, iter(()))  # refused by the contract, with all the names
                return
            if self._request.window is not None:
                self._request.window.check(schema)
            ranges = self._ranges(session, base, found)
            if len(ranges) > 1:
                with self._in_parallel(session, columns, ranges) as batches:
                    yield Stream(schema, (checked(batch, columns, schema) for batch in batches))
            else:
                with session.query(self.statement(session, base, columns)) as reader:
                    yield Stream(schema, (checked(batch, columns, schema) for batch in reader))

    def newest(self) -> datetime | None:
        """Return the latest finite time inside the window."""
        key = quote(self.window.column)
        with session_at(self._request.uri) as session:
            session.begin()
            base = self.base(session)
            self.window.check(self._introspect(session, base))
            # As text, in UTC: Arrow's times would need pytz on their way to Python.
            latest, inside = f"max({key})::timestamptz::text", f"{self._condition(session)} AND isfinite({key})"
            [found] = session.values(f"SELECT {latest} FROM {base} WHERE {inside}")  # noqa: S608 - quoted, bound
            return None if found is None else instant(str(found))

    def base(self, session: Session) -> str:
        """Return what stands behind FROM; values of parameters are bound, see `Session.parameter`."""
        model = self._request.model
        if model.table is not None:
            return self._table()
        values = {name: session.parameter(name, value) for name, value in model.parameters.items()}
        query = named_parameters(str(model.query), values, lambda name: values[name])
        return f"(\n{query.rstrip().rstrip(';')}\n) AS mlpipe_query"

    def statement(self, session: Session, base: str, columns: list[Column], part: str = "") -> str:
        """Return the SELECT of the window's rows; of those, the ones for which `part` is true."""
        expressions = ", ".join(column.expression for column in columns) or "1 AS nothing"
        conditions = [f"({text})" for text in (self._condition(session), part) if text]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {expressions} FROM {base}{where}"  # noqa: S608 - identifiers are quoted, values bound

    def _table(self) -> str:
        schema, name = self._request.table
        return f"{quote(schema)}.{quote(name)}" if schema else quote(name)

    def _introspect(self, session: Session, base: str) -> pa.Schema:
        try:
            return session.schema(f"SELECT * FROM {base}")  # noqa: S608 - identifiers are quoted
        except Exception as error:
            if self._request.model.table is None or getattr(error, "sqlstate", None) != _UNDEFINED_TABLE:
                raise
        session.run("ROLLBACK")
        raise self._request.no_table(str(name) for name in session.values(_TABLES))

    def _condition(self, session: Session) -> str:
        window = self._request.window
        return "" if window is None else window.where(quote(window.column), session.parameter)

    # ------------------------------------------------------------------ parallel

    def _ranges(self, session: Session, base: str, found: pa.Schema) -> list[str]:
        """Return conditions that each row fulfils exactly one of; nothing if one connection reads all."""
        model = self._request.model
        if model.parallel == 1:
            return []
        if model.parallel_key is not None:
            return self._key_ranges(session, base, found)
        pages = session.values(_PAGES.format(name=session.parameter("table", self._table()))) if model.table else []
        if not pages or pages[0] is None:
            raise ConfigError.invalid(
                where=f"source {self._request.name!r}", key="parallel",
                problem="only a table has pages to be divided by, a view, a foreign table or a query has none",
                hint="Name a column to divide by with parallel_key: best one with an index, and evenly spread.",
            )  # fmt: skip
        parts = min(model.parallel, max(1, pages[0] // PAGES))
        return _between("ctid", [f"'({pages[0] * number // parts},0)'::tid" for number in range(1, parts)])

    def _key_ranges(self, session: Session, base: str, found: pa.Schema) -> list[str]:
        """Divide from the least to the greatest key in equal steps; the server computes the bounds in its own types."""
        model = self._request.model
        name = str(model.parallel_key)
        if name not in found.names:
            raise SourceRejectedError.missing_columns(
                source=self._request.name, location=self.location, missing=[name], available=list(found.names)
            )
        declared = declared_type(found.field(name))
        if declared not in _KEYS:
            raise ConfigError.invalid(
                where=f"source {self._request.name!r}", key="parallel_key",
                problem=f"column {name!r} is {declared}, which cannot be divided into ranges",
                hint="Choose a column of whole numbers, numeric, dates or times.",
            )  # fmt: skip
        key = quote(name)
        cast, finite = _KEYS[declared]
        where = finite and f" WHERE {finite.format(key=key)}"
        bounds = session.values(
            f"SELECT (low{cast} + (high{cast} - low{cast}) * number / {model.parallel})::{declared}::text "  # noqa: S608
            f"FROM (SELECT min({key}) AS low, max({key}) AS high FROM {base}{where}) AS ends, "
            f"generate_series(1, {model.parallel - 1}) AS number ORDER BY number"
        )
        known = dict.fromkeys(text for text in bounds if text not in {None, "NaN", "Infinity", "-Infinity"})
        return _between(key, [f"'{text}'::{declared}" for text in known])

    @contextmanager
    def _in_parallel(
        self, session: Session, columns: list[Column], ranges: list[str]
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        [snapshot] = session.values("SELECT pg_export_snapshot()")
        _log.info("source %s: %d connections read in snapshot %s", self._request.name, len(ranges), snapshot)
        parts = [_Part(self, str(snapshot), columns, condition) for condition in ranges]
        with together(parts, held=len(parts)) as batches:
            yield batches


_WHOLE, _TIME = ("::numeric", ""), ("", "isfinite({key})")
_KEYS = {"int2": _WHOLE, "int4": _WHOLE, "int8": _WHOLE, "numeric": ("", "{key} < 'NaN'"),
         "date": _TIME, "timestamp": _TIME, "timestamptz": _TIME}  # fmt: skip
"""Types that have ranges: what their ends are cast to so that no step overflows, and which values count for them. What
lies beyond all others (NaN, an infinite time) is in the first or last range, but must not become a bound."""


def _between(key: str, bounds: list[str]) -> list[str]:
    """Return the conditions of the ranges that `bounds` divide; nulls are in the first."""
    if not bounds:
        return []
    inner = [f"{key} >= {low} AND {key} < {high}" for low, high in pairwise(bounds)]
    return [f"{key} < {bounds[0]} OR {key} IS NULL", *inner, f"{key} >= {bounds[-1]}"]


class _Part:
    """One connection's share of the rows."""

    def __init__(self, reader: PostgresReader, snapshot: str, columns: list[Column], condition: str) -> None:
        self._reader, self._snapshot, self._columns, self._condition = reader, snapshot, columns, condition
        self._session: Session | None = None
        self._cancelled = False

    def items(self) -> Iterator[pa.RecordBatch]:
        """Give the batches."""
        with session_at(self._reader._request.uri) as session:  # noqa: SLF001 - of the same module
            self._session = session
            session.begin(self._snapshot)
            base = self._reader.base(session)
            statement = self._reader.statement(session, base, self._columns, self._condition)
            if self._cancelled:
                return
            with session.query(statement) as reader:
                yield from reader

    def cancel(self) -> None:
        """Stop the server's work."""
        self._cancelled = True
        if self._session is not None:
            self._session.cancel()
