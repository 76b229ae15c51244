"""One connection to MySQL through PyMySQL: descriptions, small answers, and rows as the texts that the server sends."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from airflow_provider_mlpipe.engines.interruption import heed
from airflow_provider_mlpipe.errors import ConfigError, did_you_mean
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.mysql.watching import Mark, watched

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.mysql.columns import Column

__all__ = ["SETTINGS", "Session", "arguments_of", "known_options", "native_uri", "session"]

CONNECT_SECONDS = 10
SETTINGS = ("SET time_zone = '+00:00'", "SET net_write_timeout = 3600")
"""TIMESTAMPs in UTC; and a server that waits for whoever writes the rows, not just for a minute."""

_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
"""Of ``ssl_mode``, as MySQL's own clients call them."""
_TEXT_OPTIONS = {"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password", "read_default_file",
                 "bind_address", "program_name", "server_public_key"}  # fmt: skip
_WHOLE_OPTIONS = {"connect_timeout", "read_timeout", "write_timeout"}
_SWITCHES = {"ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"}
_ONLY_A_CURSOR = "read_ahead"
"""``read_ahead=false`` asks for the driver that never holds more rows than it was asked for."""
_MODE = "ssl_mode"
_UNHEEDED = {_ONLY_A_CURSOR, "charset", "use_unicode", "local_infile", "autocommit"}
"""What every connection here has its own way with."""
_SECURING = {"ssl", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity"}
"""With one of these a connection is encrypted, or there is none."""


class Session:
    """An open connection.

    Attributes:
        mark: what its statements bear, so that they can be found on the server.
    """

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - pymysql has no types
        self._connection = connection
        self.mark = Mark()

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """Execute a statement and return its few rows."""
        from pymysql.cursors import Cursor

        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(self.mark.on(sql))
            found: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return found

    def describe(self, sql: str) -> list[Any]:
        """Return what the server says of each column of a query's result."""
        from pymysql.cursors import Cursor

        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(self.mark.on(sql))
            return list(cursor._result.fields)  # noqa: SLF001 - cursor.description leaves out flags and character set

    def batches(self, sql: str, columns: list[Column], rows: int) -> Generator[pa.RecordBatch, None, None]:
        """Execute a query and give its rows while the server sends them, `rows` at a time, as texts and bytes."""
        import pyarrow as pa
        from pymysql.cursors import SSCursor

        kinds = [pa.binary() if pa.types.is_binary(column.kind) else pa.string() for column in columns]
        names = [column.name for column in columns]
        cursor = self._connection.cursor(SSCursor)
        try:
            cursor.execute(self.mark.on(sql))
            while some := cursor.fetchmany(rows):
                heed()
                arrays = [pa.array(values, kind) for values, kind in zip(zip(*some, strict=True), kinds, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names=names)
        finally:
            _abandon(cursor)


def _abandon(cursor: Any) -> None:  # noqa: ANN401 - pymysql has no types
    """Let go of an unbuffered cursor, whose connection closes next: left to itself it would read all the rows."""
    if cursor._result is not None:  # noqa: SLF001 - there is no public way
        cursor._result.unbuffered_active = False  # noqa: SLF001
    cursor.connection = None


@contextmanager
def session(uri: str) -> Iterator[Session]:
    """Connect, in UTC, with one snapshot of all tables that know transactions.

    Raises:
        ConfigError: the URL has an option that is not known.
    """
    import pymysql
    from pymysql.converters import encoders  # and no decoders: values stay as they were sent

    arguments = arguments_of(uri)
    connection = pymysql.connect(conv=encoders, charset="utf8mb4", **arguments)
    try:
        found = Session(connection)
        if arguments.keys() & _SECURING and not found.run("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1]:
            # Older versions of PyMySQL go on without.
            raise Unreadable("SSL is required but the server doesn't support it")
        for statement in (*SETTINGS, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"):
            found.run(statement)
        found.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        with watched(uri, found.mark):
            yield found
    finally:
        with suppress(pymysql.err.Error):  # a connection that broke cannot say good-bye
            connection.close()


def arguments_of(uri: str) -> dict[str, Any]:
    """Return PyMySQL's arguments for a SQLAlchemy URL."""
    split = urlsplit(uri)
    found: dict[str, Any] = {
        "host": split.hostname or "localhost",
        "port": split.port or 3306,
        "user": unquote(split.username or ""),
        "password": unquote(split.password or ""),
        "database": unquote(split.path.lstrip("/")) or None,
        "connect_timeout": CONNECT_SECONDS,
    }
    for name, value in parse_qsl(split.query):
        if name in _TEXT_OPTIONS:
            found[name] = value
        elif name in _WHOLE_OPTIONS and value.isdecimal():
            found[name] = int(value)
        elif name in _SWITCHES:
            found[name] = value.lower() in {"1", "true", "yes", "on"}
        elif name == _MODE and value.upper() in _MODES:
            found |= _secured(value.upper())
        elif name not in _UNHEEDED:
            known = sorted(known_options())
            raise ConfigError.invalid(
                where="connection_string", key=name, hint=f"Known are: {', '.join(known)}.",
                problem=f"no such option of a MySQL connection, or no value of it.{did_you_mean(name, known)}",
            )  # fmt: skip
    return found


def _secured(mode: str) -> dict[str, Any]:
    """Return PyMySQL's arguments for a mode; ``PREFERRED`` is what it does anyway."""
    if mode == "REQUIRED":  # encrypted, whoever it is: so MySQL's own clients take it
        import ssl

        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return {"ssl": context}
    return {
        "DISABLED": {"ssl_disabled": True},
        "VERIFY_CA": {"ssl_verify_cert": True},
        "VERIFY_IDENTITY": {"ssl_verify_cert": True, "ssl_verify_identity": True},
    }.get(mode, {})


def known_options() -> set[str]:
    """Return the options of a URL that are honoured."""
    return _TEXT_OPTIONS | _WHOLE_OPTIONS | _SWITCHES | {_ONLY_A_CURSOR, _MODE}


def native_uri(uri: str) -> str | None:
    """Return the URL for connectorx; None if it has options that only PyMySQL honours (TLS files, sockets, read_ahead).

    >>> native_uri("mysql+pymysql://ann:x@db/shop?charset=utf8mb4")
    'mysql://ann:x@db:3306/shop'
    """
    split = urlsplit(uri)
    options = dict(parse_qsl(split.query))
    if options.keys() - _UNHEEDED - _WHOLE_OPTIONS or options.get(_ONLY_A_CURSOR, "").lower() in {"0", "false", "no"}:
        return None
    user = quote(unquote(split.username or ""), safe="")
    password = quote(unquote(split.password or ""), safe="")
    host = f"[{split.hostname}]" if ":" in (split.hostname or "") else split.hostname or "localhost"
    return f"mysql://{user}:{password}@{host}:{split.port or 3306}{split.path}"
