"""Feast at arm's length: its warnings and prints stay here, its exceptions become ours, its secrets stay secret."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import (
    MlpipeError,
    StoreRejectedError,
    StoreUnavailableError,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["at_most", "hidden_values", "quiet", "translated", "unprinted", "with_placeholders"]

_SECRET_KEY = re.compile(r"password|passwd|secret|token|credential|access_key|api_key", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"://[^\s:/@]*:([^\s@]+)@")
_ASSIGNMENT = re.compile(r"(?:^|[,;&?\s])(?P<name>[\w\-]+)=(?P<value>[^,;&\s]+)")

_UNAVAILABLE = frozenset(
    {
        "redis.exceptions.ConnectionError",
        "redis.exceptions.TimeoutError",
        "redis.exceptions.BusyLoadingError",
        "redis.exceptions.ReadOnlyError",
        "redis.exceptions.OutOfMemoryError",
        "redis.exceptions.ClusterDownError",
        "sqlalchemy.exc.OperationalError",
        "sqlalchemy.exc.TimeoutError",
        "sqlalchemy.exc.InterfaceError",
        "psycopg.OperationalError",
        "psycopg.errors.OperationalError",
        "sqlite3.OperationalError",
        "feast.errors.ConcurrentVersionConflict",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "botocore.errorfactory.InternalServerError",
        "botocore.errorfactory.LimitExceededException",
        "botocore.errorfactory.ProvisionedThroughputExceededException",
        "botocore.errorfactory.RequestLimitExceeded",
        "botocore.errorfactory.ResourceInUseException",
        "botocore.errorfactory.ThrottlingException",
    }
)
"""Exceptions, by full name (the libraries may be absent), after which a later try may succeed."""

_REJECTED = frozenset(
    {
        "redis.exceptions.AuthenticationError",
        "redis.exceptions.AuthorizationError",
        "botocore.exceptions.SSLError",
    }
)
"""Of those, the ones (by inheritance) that a later try does not help."""

_PYTHON_ERROR = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Timeout)\b.*)$", re.MULTILINE)

_LASTING = re.compile(
    r"no such (table|column)|password authentication failed|does not exist|permission denied|unable to open database"
    r"|readonly database|has no column|access denied",
    re.IGNORECASE,
)
"""What an OperationalError says when it is not a passing trouble."""


def hidden_values(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets in a store's settings, longest first, so that they can be cut out of any message.

    >>> hidden_values({"connection_string": "cache:6379,password=pa55,db=0", "registry": "mysql://u:pw@h/d"})
    ('pa55', 'pw')
    """
    found: set[str] = set()
    for key, value in settings.items():
        text = str(value)
        if _SECRET_KEY.search(key):
            found.add(text)
        found |= {match for match in _PASSWORD_IN_URL.findall(text) if match}
        found |= {m["value"] for m in _ASSIGNMENT.finditer(text) if _SECRET_KEY.search(m["name"])}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def with_placeholders(settings: Mapping[str, Any], *, prefix: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a store's settings with ``${VARIABLE}`` in place of every secret, and the names of the variables.

    >>> with_placeholders({"type": "redis", "connection_string": "cache:6379,password=pa55,db=0"}, prefix="FEAST")
    ({'type': 'redis', 'connection_string': 'cache:6379,password=${FEAST_PASSWORD},db=0'}, ('FEAST_PASSWORD',))
    """
    variables: dict[tuple[str, str], str] = {}

    def stand_in(name: str, value: str) -> str:
        base = f"{prefix}_{re.sub(r'[^A-Z0-9]+', '_', name.upper())}"
        if (name, value) not in variables:
            taken = sum(other.startswith(base) for other in variables.values())
            variables[name, value] = f"{base}_{taken + 1}" if taken else base
        return f"${{{variables[name, value]}}}"

    def assignment(found: re.Match[str]) -> str:
        if not _SECRET_KEY.search(found["name"]):
            return found[0]
        return found[0].removesuffix(found["value"]) + stand_in(found["name"], found["value"])

    def replaced(key: str, value: Any) -> Any:  # noqa: ANN401 - any setting
        if isinstance(value, dict):
            return {name: replaced(str(name), inner) for name, inner in value.items()}
        if _SECRET_KEY.search(key) and value not in (None, ""):
            return stand_in(key, str(value))
        if not isinstance(value, str):
            return value
        text = _PASSWORD_IN_URL.sub(lambda m: m[0].removesuffix(f"{m[1]}@") + stand_in("password", m[1]) + "@", value)
        return _ASSIGNMENT.sub(assignment, text)

    return {name: replaced(name, value) for name, value in settings.items()}, tuple(variables.values())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what Feast warns of; our own log says what matters.

    Importing Feast also changes the process's warning filters, which is undone here. Dropped are what Feast itself
    warns of and notes (that its registry cache was filled, say), and what Ibis 12 provokes from DuckDB 2 whenever it
    looks at a table; nothing else.
    """
    with at_most(logging.WARNING), _quiet_warnings():
        yield


@contextmanager
def at_most(level: int) -> Iterator[None]:
    """Let Feast log nothing below `level`."""
    theirs = logging.getLogger("feast")
    before = theirs.level
    theirs.setLevel(max(before, level))
    try:
        yield
    finally:
        theirs.setLevel(before)


@contextmanager
def _quiet_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"fetch_arrow_table\(\) is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", module=r"feast(\..*)?$")
        yield


@contextmanager
def unprinted() -> Iterator[None]:
    """Drop what is printed: Feast prints the progress of a materialisation to standard output."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@contextmanager
def translated(
    secrets: tuple[str, ...], *, doing: str, refusal: type[MlpipeError] = StoreRejectedError
) -> Iterator[None]:
    """Run Feast quietly, and turn what it or a store raises into one of our errors, without secrets.

    Args:
        secrets: values to cut out of messages.
        doing: what was tried, after "the feature store could not ...".
        refusal: the error for what is not a passing trouble.
    """
    try:
        with quiet():
            yield
    except MlpipeError:
        raise
    except Exception as error:  # noqa: BLE001 - Feast raises what its stores raise, and any of it may hold a secret
        raise _ours(error, secrets, doing, refusal) from _clean(error, secrets)


def _ours(error: Exception, secrets: tuple[str, ...], doing: str, refusal: type[MlpipeError]) -> MlpipeError:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    text = hide(str(error) or type(error).__name__, secrets)
    text = text.partition("\n[SQL:")[0].partition("\n(Background on")[0].strip()
    if any(name.startswith("pyspark.") for name in names):
        text = _raised_by_worker(text)
        names |= {name for name in _UNAVAILABLE if text.startswith(f"{name}:")}
    message = f"the feature store could not {doing}: {type(error).__name__}: {text[:1000]}"
    passing = bool(names & _UNAVAILABLE) or isinstance(error, (ConnectionError, TimeoutError))
    if passing and not names & _REJECTED and not _LASTING.search(text):
        return StoreUnavailableError(
            message, hint="Check that the registry and the online store are up; then try again."
        )
    return refusal(message, hint="Compare the feature_store section with what the registry and the online store say.")


def _raised_by_worker(text: str) -> str:
    r"""Return the last error that a report of Spark's names, without the stacks of two languages around it.

    >>> _raised_by_worker("Job aborted\nTraceback (most recent call last):\n  File x\nValueError: no\n\tat java.Y")
    'ValueError: no'
    """
    found = _PYTHON_ERROR.findall(text)
    return str(found[-1]) if found and "Traceback" in text else text


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Cut secrets out of a message."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return redact(text)


def _clean(error: BaseException, secrets: tuple[str, ...]) -> BaseException | None:
    """Return `error` as the cause to show, unless it or what led to it would show a secret."""
    link: BaseException | None = error
    while link is not None:
        if hide(str(link), secrets) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error
