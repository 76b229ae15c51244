"""Airflow's four lasting services as local processes, and a client of their API."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.compose.local import Local

__all__ = ["NAMES", "Api", "airflow_services", "healthy"]

NAMES = ("airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@dataclass
class Api:
    """The API server's address, and the token of whoever logged in."""

    url: str
    token: str = ""

    def login(self, password: str) -> None:
        """Get a token as ``admin``."""
        self.token = self.call("POST", "/auth/token", {"username": "admin", "password": password})["access_token"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send JSON and return the JSON of the answer."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=content, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def answers(self, path: str) -> bool:
        """Return whether there is something at `path`."""
        try:
            self.call("GET", path)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


@contextmanager
def airflow_services(stack: Local) -> Iterator[Api]:
    """Start the services by their own commands, in the order that the file demands; only the ports are ours."""
    api, health, logs, trigger_logs = servers.free_ports(4)
    stack.addresses |= {
        "airflow-api-server:8080": f"127.0.0.1:{api}", "127.0.0.1:8080": f"127.0.0.1:{api}",
        "127.0.0.1:8974": f"127.0.0.1:{health}",
    }  # fmt: skip
    stack.ports = {
        "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(api), "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(health),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
    }  # fmt: skip
    with ExitStack() as running:
        for name in NAMES:
            # The image's entrypoint puts `airflow` before what is no program of its own.
            command = ["airflow", *stack.services[name]["command"]]
            stack.mount(name)
            ready = (lambda: healthy(stack, "airflow-api-server")) if name == NAMES[0] else (lambda: True)
            running.enter_context(servers.process(command, ready, env=stack.environment(name), cwd=stack.folder))
        yield Api(f"http://127.0.0.1:{api}")


def healthy(stack: Local, name: str) -> bool:
    """Run a service's own healthcheck once."""
    kind, *words = stack.services[name]["healthcheck"]["test"]
    command = words if kind == "CMD" else ["sh", "-c", *words]
    environment = stack.environment(name)
    program = shutil.which(command[0], path=environment["PATH"])
    assert program, f"the image has {command[0]}, this machine has not: apt-get install {command[0]}"
    done = subprocess.run([program, *map(stack.here, command[1:])], env=environment, capture_output=True, check=False)
    return done.returncode == 0
