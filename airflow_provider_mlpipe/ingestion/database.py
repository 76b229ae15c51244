"""A table or query of a database: which way leads to it, and the statement to send."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from importlib.util import find_spec
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.config import DatabaseSource
from airflow_provider_mlpipe.errors import SourceRejectedError, did_you_mean
from airflow_provider_mlpipe.ingestion.connection import location_of, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.ingestion.stream import Reader
    from airflow_provider_mlpipe.ingestion.window import Window

__all__ = ["DatabaseReader", "DatabaseRequest", "database_reader", "named_parameters"]

_PARAMETER = re.compile(r"(?<![:\w\\]):([A-Za-z_]\w*)(?!:(?!:))")
_PART = r'"(?:[^"]|"")+"|[^".]+'
_TABLE = re.compile(rf"(?:({_PART})\.)?({_PART})")
_LITERALS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)


class DatabaseRequest:
    """What to read from a database.

    Attributes:
        name: the source's name.
        model: the configuration.
        uri: a SQLAlchemy URL or a libpq URI, with secrets.
        window: the rows to read; all if None.
    """

    def __init__(self, source: Configured[Source], uri: str, window: Window | None) -> None:
        assert isinstance(source.model, DatabaseSource)  # noqa: S101 - the caller looked
        self.name, self.model, self.uri, self.window = source.name, source.model, uri, window

    @property
    def location(self) -> str:
        """The address for people, with the table."""
        table = f" table {self.model.table}" if self.model.table else " (query)"
        return location_of(self.uri) + table

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""
        return secrets_of(self.uri)

    @property
    def table(self) -> tuple[str | None, str]:
        """Schema (None if not given) and name of the table."""
        given = self.model.table or ""
        found = _TABLE.fullmatch(given)
        schema, name = found.groups() if found else given.rpartition(".")[::2]
        return _unquoted(schema or "") or None, _unquoted(name)

    def no_table(self, available: Iterable[str]) -> SourceRejectedError:
        """Return the error for a table that is not there."""
        names = sorted(available)
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        wanted = str(self.model.table)
        return SourceRejectedError.refused(
            source=self.name,
            location=location_of(self.uri),
            problem=f"there is no table {wanted!r}.{did_you_mean(wanted, names)} It has: {shown or 'no table'}.",
            hint="Correct table in the configuration, or check that this user may see it. A name with a dot in it "
            "stands in double quotes.",
        )


def _unquoted(part: str) -> str:
    """Return a part of a table's name as the database has it.

    >>> _unquoted('"a ""b"".c"'), _unquoted("Orders")
    ('a "b".c', 'Orders')
    """
    return part[1:-1].replace('""', '"') if len(part) > 1 and part[0] == part[-1] == '"' else part


class DatabaseReader(ABC):
    """What the readers of databases have in common: the request, and what may be said of it."""

    def __init__(self, request: DatabaseRequest) -> None:
        self._request = request

    @property
    def location(self) -> str:
        """The address for people."""
        return self._request.location

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""
        return self._request.secrets

    @property
    def window(self) -> Window:
        """The rows to look at, for `newest`."""
        assert self._request.window is not None, "the caller gave one"  # noqa: S101
        return self._request.window

    @abstractmethod
    def newest(self) -> datetime | None:
        """Return the latest time of the cursor column inside the window; None if no row is there.

        One small query: with an index on the column it costs next to nothing.
        """


def named_parameters(
    query: str, names: Iterable[str], replacement: Callable[[str], str], literals: re.Pattern[str] = _LITERALS
) -> str:
    """Replace ``:name`` of the given names outside of literals, quoted names and comments.

    >>> named_parameters("SELECT ':a', x::text FROM t WHERE a = :a::int", ["a"], lambda name: f"<{name}>")
    "SELECT ':a', x::text FROM t WHERE a = <a>::int"
    """
    known = set(names)

    def swap(match: re.Match[str]) -> str:
        return replacement(match[1]) if match[1] in known else match[0]

    parts: list[str] = []
    last = 0
    for literal in literals.finditer(query):
        parts += [_PARAMETER.sub(swap, query[last : literal.start()]), literal[0]]
        last = literal.end()
    return "".join([*parts, _PARAMETER.sub(swap, query[last:])])


def database_reader(source: Configured[Source], uri: str, window: Window | None) -> Reader:
    """Return the fastest exact way: ADBC for PostgreSQL, our own reader for MySQL, else a SQLAlchemy cursor."""
    request = DatabaseRequest(source, uri, window)
    dialect = uri.partition(":")[0].partition("+")[0]
    if dialect in {"postgresql", "postgres"} and find_spec("adbc_driver_postgresql") is not None:
        from airflow_provider_mlpipe.ingestion.postgres import PostgresReader

        return PostgresReader(request)
    if dialect in {"mysql", "mariadb"} and find_spec("pymysql") is not None:
        from airflow_provider_mlpipe.ingestion.mysql.reader import MysqlReader

        return MysqlReader(request)
    from airflow_provider_mlpipe.ingestion.sql import SqlReader

    return SqlReader(request)
