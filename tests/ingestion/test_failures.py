"""The edge: every error of a driver becomes one of ours, the right one, and tells no secret."""

from __future__ import annotations

import builtins
import logging
import os
import signal
import sqlite3
import traceback
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
import httpx
import psycopg
import pyarrow as pa
import pymysql
import pytest
import sqlalchemy.exc

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import (
    ArtifactNotFoundError,
    SourceError,
    SourceRejectedError,
    SourceUnavailableError,
)
from airflow_provider_mlpipe.ingestion import database, ingest
from airflow_provider_mlpipe.ingestion.deduplication import Deduplicator
from airflow_provider_mlpipe.ingestion.failures import Edge, is_transient
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import read
from tests.servers import PASSWORD, free_ports, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage


def exported(module: Any, base: type[BaseException] = Exception) -> Iterator[type[BaseException]]:
    for name in dir(module):
        thing = getattr(module, name)
        if isinstance(thing, type) and issubclass(thing, base) and "Warning" not in thing.__name__:
            yield thing


FOREIGN = {
    *exported(httpx), *exported(adbc_driver_manager), *exported(pa.lib, pa.ArrowException), *exported(sqlite3),
    *exported(psycopg, psycopg.Error), *exported(psycopg.errors, psycopg.Error), *exported(pymysql.err),
    *exported(sqlalchemy.exc, sqlalchemy.exc.SQLAlchemyError), *exported(builtins, OSError),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(FOREIGN, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"))
def test_the_map_is_complete(kind: type[BaseException]) -> None:
    """Every exception class that the drivers export is judged, so that a new release's new class shows here."""
    if issubclass(kind, sqlalchemy.exc.StatementError):
        error: BaseException = kind("it went wrong", "SELECT 1", {}, RuntimeError("it went wrong"))
    else:  # some want a request, a response or a position, which do not matter here
        error = kind.__new__(kind)
        BaseException.__init__(error, "it went wrong")
    assert is_transient(error) in {True, False}
    with pytest.raises(SourceError), Edge("things", "here", frozenset()).mapped():
        raise error


def test_the_map_is_not_about_our_own_faults() -> None:
    for error in (KeyError("x"), TypeError("x"), AssertionError("x"), ZeroDivisionError("x"), MemoryError("x")):
        assert is_transient(error) is None
        with pytest.raises(type(error)), Edge("things", "here", frozenset()).mapped():
            raise error


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (TimeoutError("timed out"), True),
        (FileNotFoundError(2, "No such file"), False),
        (PermissionError(13, "Permission denied"), False),
        (OSError("AWS Error NETWORK_CONNECTION during ListObjectsV2: Could not connect to server"), True),
        (OSError("AWS Error ACCESS_DENIED during GetObject operation"), False),
        (OSError("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation"), False),
        (OSError("[libpq] Execution error [PGRES_FATAL_ERROR]: ERROR:  division by zero"), False),
        (OSError("[libpq] Execution error [PGRES_FATAL_ERROR]: ERROR:  canceling statement due to user request"), True),
        (OSError("[libpq] PQgetCopyData() failed: server closed the connection unexpectedly"), True),
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("no such table: x"), False),
        (psycopg.errors.UndefinedTable("x"), False),
        (psycopg.errors.AdminShutdown("x"), True),
        (psycopg.errors.SerializationFailure("x"), True),
        (psycopg.errors.InsufficientPrivilege("x"), False),
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "x"'), False),
        (pymysql.err.OperationalError(2003, "Can't connect to MySQL server"), True),
        (pymysql.err.OperationalError(1045, "Access denied for user"), False),
        (pymysql.err.ProgrammingError(1146, "Table 'x' doesn't exist"), False),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, pymysql.err.OperationalError(1213, "Deadlock")), True),
        (sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("no such column: x")), False),
        (sqlalchemy.exc.NoSuchModuleError("Can't load plugin: sqlalchemy.dialects:oracel"), False),
        (httpx.ConnectTimeout("timed out"), True),
        (httpx.RemoteProtocolError("hung up"), True),
        (httpx.UnsupportedProtocol("ftp"), False),
        (httpx.DecodingError("not gzip"), False),
        (pa.ArrowInvalid("CSV parse error"), False),
        (ModuleNotFoundError("No module named 'MySQLdb'"), False),
    ],
)  # fmt: skip
def test_what_is_worth_a_retry(error: Exception, transient: bool) -> None:
    kind = SourceUnavailableError if transient else SourceRejectedError
    with pytest.raises(kind, match="source 'things' at here"), Edge("things", "here", frozenset()).mapped():
        raise error


def test_a_cause_that_tells_a_secret_is_left_out() -> None:
    edge = Edge("things", "here", frozenset([PASSWORD]))
    outer = PermissionError("outer")
    outer.__cause__ = ValueError(f"inner {PASSWORD}")
    with pytest.raises(SourceRejectedError) as caught, edge.mapped():
        raise outer
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(SourceRejectedError) as caught, edge.mapped():
        raise PermissionError("harmless")
    assert isinstance(caught.value.__cause__, PermissionError)


# ------------------------------------------------------------------ PostgreSQL, for real


@pytest.fixture(params=["adbc", "cursor"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "cursor":
        monkeypatch.setattr(database, "find_spec", lambda _: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ((PASSWORD, "wr0ng-" + PASSWORD), SourceRejectedError, "password authentication failed"),
        (("/postgres", "/nowhere"), SourceRejectedError, 'database "nowhere" does not exist'),
        (("PORT", ""), SourceUnavailableError, "[Cc]onnection refused"),
    ],
)
def test_connecting_fails_with_the_right_kind_and_no_password(
    postgres: str, root: Storage, caplog: pytest.LogCaptureFixture, change: tuple[str, str],
    kind: type[SourceError], message: str,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    uri = postgres.replace(*change)
    if change[0] == "PORT":
        uri = postgres.replace(postgres.rpartition(":")[2].partition("/")[0], str(free_ports()[0]))
    with pytest.raises(kind, match=message) as caught:
        read({"type": "database", "connection_string": uri, "table": "things"}, root)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.as_dict()) + caplog.text
    assert PASSWORD not in told


@pytest.mark.usefixtures("way")
def test_no_password_in_manifest_or_log(postgres: str, root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    artifact = read({"type": "database", "connection_string": postgres, "query": "SELECT 1 AS a"}, root)
    assert PASSWORD not in (artifact.place.read("_manifest.json") or b"").decode()
    assert artifact.manifest.details["location"].startswith("postgresql://shop:***@127.0.0.1:")
    assert PASSWORD not in caplog.text


@pytest.mark.usefixtures("way")
def test_a_server_killed_in_the_middle_leaves_nothing_and_is_worth_a_retry(root: Storage) -> None:
    source = {"type": "database", "table": "many", "batch_size": 1000}
    with postgres_server() as server:
        server.psql("CREATE TABLE many AS SELECT i, repeat('x', 500) AS t FROM generate_series(1, 100000) i")
        seen: list[int] = []

        def kill(rows: int) -> None:
            if not seen:
                # SIGQUIT: the postmaster ends its children at once, without saying good-bye to clients.
                os.kill(server.process.pid, signal.SIGQUIT)
            seen.append(rows)

        configured = config.source({**source, "connection_string": server.uri}, "things")
        with pytest.raises(SourceUnavailableError):
            ingest(configured, root=root, run=Run(), progress=kill)
    assert 0 < seen[-1] < 100_000
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(f"{root.uri}/things/raw/run-manual")


def test_an_error_of_the_caller_is_not_the_sources(tmp_path: Path, root: Storage) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")

    def broken(rows: int) -> None:
        raise BrokenPipeError("the progress bar's terminal is gone")

    with pytest.raises(BrokenPipeError):
        read({"type": "file", "path": str(tmp_path / "t.csv")}, root, progress=broken)


def test_rows_that_do_not_add_up_are_not_published(
    tmp_path: Path, root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a fault of ours: a deduplication that gives back more than it was given."""
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    kept = Deduplicator.kept
    monkeypatch.setattr(Deduplicator, "kept", lambda self: [batch for batch in kept(self) for _ in range(2)])
    with pytest.raises(SourceError, match="the rows do not add up: 2 read, 4 written, 0 failed, -2 duplicates"):
        read({"type": "file", "path": str(tmp_path / "t.csv"), "deduplicate": {"keys": ["a"]}}, root)
    assert not list(tmp_path.rglob("*.parquet"))
