"""The edge: what drivers, HTTP and files raise, turned into the two errors that an operator understands.

`SourceUnavailableError` is worth a retry: refused, timed out, overloaded. `SourceRejectedError` is not: no such table,
no permission, an answer that cannot be read. Classes are known by name, so that no library is imported for its errors.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_mlpipe.errors import MlpipeError, SourceRejectedError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["Edge", "Overloaded", "Replaced", "Unreadable", "is_transient"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_HINTS = (
    (re.compile(r"does not support SSL|certificate|SSL was required|SSL is required", re.IGNORECASE),
     "Compare the certificates and the mode (sslmode, ssl_mode) of the connection with what the server offers."),
    (re.compile(r"invalid (URI|connection) (query parameter|option)", re.IGNORECASE),
     "The extras of the connection go to libpq by their names: correct the name, or take the extra out."),
    (re.compile(r"authentication failed|access denied|no password supplied|password|SIGNATURE|INVALID_ACCESS_KEY"
                r"|ACCESS_DENIED|\b40[137]\b", re.IGNORECASE),
     "Check user, password or token of the connection, and what it may read."),
    (re.compile(r"no such (table|column)|does not exist|unknown (column|database)|doesn't exist", re.IGNORECASE),
     "Check the names in the configuration against the database."),
    (re.compile(r"no such file|not found|NO_SUCH_", re.IGNORECASE),
     "Check the path in the configuration, and that it can be seen from this machine."),
    (re.compile(r"truncated|inflate|magic|footer|corrupt|CSV|JSON|HTML|Parquet", re.IGNORECASE),
     "Look at what the source gives: it is damaged, or of another format than expected."),
    (re.compile(r"syntax", re.IGNORECASE),
     "Run the query in the database's own client first; a :name in it needs a value under parameters."),
    (re.compile(r"No module named|Can't load plugin", re.IGNORECASE),
     "Install the driver: pip install 'airflow-provider-mlpipe[postgres]' or [mysql]."),
)  # fmt: skip


class Unreadable(Exception):  # noqa: N818 - users never see it: the edge maps it
    """A source answered, and asking again will not make the answer better."""


class Replaced(Exception):  # noqa: N818 - users never see it: the edge maps it
    """What was being read became something else; a retry reads the new."""


class Overloaded(Exception):  # noqa: N818 - users never see it: the edge maps it
    """A source asks to come back later: in `wait` seconds, if it says when."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class Edge:
    """Maps the errors of one source.

    Args:
        source: its name.
        location: where it is, without secrets.
        secrets: texts that no message may hold.
    """

    def __init__(self, source: str, location: str, secrets: frozenset[str]) -> None:
        self._source, self._location = source, location
        # The longest first, so that no rest of one is left when another is a part of it.
        # What is shorter than three characters stands in every text, so hiding it would hide everything.
        self._secrets = sorted((text for text in secrets if len(text) > 2), key=len, reverse=True)

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """Turn what is raised inside into our errors."""
        try:
            yield
        except MlpipeError:
            raise
        except Exception as error:
            transient = is_transient(error)
            if transient is None:
                raise
            # A traceback shows the cause as well: it must not say what the message hides.
            cause = None if self._reveals(error) else error
            raise self._ours(error, transient=transient) from cause

    @contextmanager
    def around(self, manager: AbstractContextManager[T]) -> Iterator[T]:
        """Enter and leave `manager` with its errors mapped; errors of the body pass through."""
        with self.mapped():
            entered = manager.__enter__()
        try:
            yield entered
        except BaseException as error:
            try:
                manager.__exit__(type(error), error, error.__traceback__)
            except Exception as closing:  # noqa: BLE001 - whatever it is, it is the consequence, not the cause
                if closing is not error:
                    logger.debug("source %s: closing failed too: %s", self._source, type(closing).__name__)
            raise
        with self.mapped():
            manager.__exit__(None, None, None)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield every item with the errors of taking it mapped."""
        iterator = iter(items)
        while True:
            with self.mapped():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _ours(self, error: Exception, *, transient: bool) -> MlpipeError:
        problem = self._clean(_problem(error))
        if transient:
            return SourceUnavailableError.unreachable(
                source=self._source, location=self._location, problem=problem, retry_after=getattr(error, "wait", None)
            )
        hint = next(
            (hint for pattern, hint in _HINTS if pattern.search(problem)),
            "Compare what the source gives with what the configuration says of it.",
        )
        return SourceRejectedError.refused(source=self._source, location=self._location, problem=problem, hint=hint)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _reveals(self, error: BaseException | None) -> bool:
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if any(secret in f"{error!s}{error!r}" for secret in self._secrets):
                return True
            error = error.__cause__ or error.__context__
        return False


def is_transient(error: BaseException) -> bool | None:
    """Return whether trying again may help; None if `error` is none that a source raises."""
    for kind in type(error).__mro__:
        judge = _JUDGES.get(f"{kind.__module__}.{kind.__qualname__}")
        if judge is not None:
            return judge(error)
    return None


def _problem(error: Exception) -> str:
    """Return what happened in a line or two, without the statement and what libraries add."""
    original = getattr(error, "orig", None) or error
    text = _STATEMENT.split(str(original))[0]
    lines = [line.strip() for line in _PREFIX.sub("", text).splitlines()]
    return " ".join([line for line in lines if line.strip("^ ")][:4])[:500] or type(original).__name__


_STATEMENT = re.compile(r"\n\s*(?:Query was:|LINE \d+:|\[SQL|\(Background)")
_PREFIX = re.compile(
    r"^(?:[A-Z_]+: )?(?:\[libpq\] |Failed to prepare query: |Execution error \[\w+\]: )*(?:ERROR:\s+)?"
)


# ------------------------------------------------------------------ judges

_CERTIFICATE = re.compile(r"certificate|SSL is required", re.IGNORECASE)
"""What a handshake says that will not get better."""
_AGAIN_STATES = ("08", "53", "57P", "57014", "40001", "40P01", "55P03", "58")
"""SQLSTATE prefixes: connection lost, out of resources, shutting down, cancelled, conflict, lock, system error."""
_DENIED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|(database|role|user) .* does not exist"
    r"|not permitted to log in|permission denied|does not support SSL|certificate"
    r"|invalid .*(option|port|uri|connection)|missing \"=\"", re.IGNORECASE
)  # fmt: skip
_POSTGRES_AGAIN = re.compile(
    r"cancel|terminat|timeout|deadlock|serialize|conflict|memory|No space|FATAL:|PANIC:", re.IGNORECASE
)
_MYSQL_AGAIN = {1040, 1053, 1203, 1205, 1213, 1317, 2002, 2003, 2006, 2013, 2055, 3024}
_S3_REFUSED = re.compile(
    r"ACCESS_DENIED|SIGNATURE|INVALID_ACCESS_KEY|NO_SUCH_|INVALID_|UNRECOGNIZED|HTTP status 40[0134]"
    r"|certificate|inflate|bz2|ZSTD|LZ4|Truncated compressed|gzip|decompress", re.IGNORECASE
)  # fmt: skip


def _postgres(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None)
    if state:
        return str(state).startswith(_AGAIN_STATES)
    name = type(error).__name__
    return name in {"OperationalError", "InterfaceError", "ConnectionTimeout"} and not _DENIED.search(str(error))


def _sqlite(error: BaseException) -> bool:
    return bool(re.search(r"database (table )?is locked|disk I/O|busy", str(error)))


def _mysql(error: BaseException) -> bool:
    if _CERTIFICATE.search(str(error)):
        return False
    return bool(error.args) and error.args[0] in _MYSQL_AGAIN


def _sqlalchemy(error: BaseException) -> bool:
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        judged = is_transient(original)
        if judged is not None:
            return judged
    return type(error).__name__ in {"TimeoutError", "OperationalError", "InterfaceError"} or bool(
        getattr(error, "connection_invalidated", False)
    )


def _system(error: BaseException) -> bool:
    text = str(error)
    if "PGRES_FATAL_ERROR" in text and "ERROR:" in text:  # ADBC in the middle of a stream, without SQLSTATE
        return bool(_POSTGRES_AGAIN.search(text))
    wrong = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return not isinstance(error, wrong) and not _S3_REFUSED.search(text)


def _http(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    if _CERTIFICATE.search(str(error)):
        return False
    return bool(names & {"TransportError"}) and not names & {"UnsupportedProtocol", "LocalProtocolError"}


def _aws(error: BaseException) -> bool:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return bool(status >= 500 or status == 429)
    return "Connection" in type(error).__name__ or "Timeout" in type(error).__name__


def _always(_: BaseException) -> bool:
    return True


def _never(_: BaseException) -> bool:
    return False


_JUDGES: dict[str, Callable[[Any], bool]] = {
    "adbc_driver_manager.Error": _postgres,
    "adbc_driver_manager._lib.Error": _postgres,
    "psycopg.Error": _postgres,
    "psycopg2.Error": _postgres,
    "sqlite3.Error": _sqlite,
    "pymysql.err.MySQLError": _mysql,
    "MySQLdb.Error": _mysql,
    "sqlalchemy.exc.SQLAlchemyError": _sqlalchemy,
    "httpx.HTTPError": _http,
    "httpx.InvalidURL": _never,
    "httpx.StreamError": _never,
    "httpx.CookieConflict": _never,
    "pyarrow.lib.ArrowException": _never,
    "botocore.exceptions.ClientError": _aws,
    "botocore.exceptions.BotoCoreError": _aws,
    "airflow_provider_mlpipe.ingestion.failures.Replaced": _always,
    "airflow_provider_mlpipe.ingestion.failures.Overloaded": _always,
    "airflow_provider_mlpipe.ingestion.failures.Unreadable": _never,
    "builtins.OSError": _system,
    "builtins.UnicodeDecodeError": _never,
    "builtins.ModuleNotFoundError": _never,
}
