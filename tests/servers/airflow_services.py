"""Airflow's lasting services as local processes, and a client of their API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.servers.processes import free_ports, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Api", "Service", "ports", "start"]

API_SECONDS = 300
"""An answer that takes longer will not come."""


@dataclass(frozen=True)
class Service:
    """One service of Airflow.

    Attributes:
        name: what it is called in messages.
        command: what starts it.
        environment: the whole environment of its process.
        folder: where it runs.
        log: where its output goes; dropped if absent, unless it does not come up.
        ready: whether it is up.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path | None = None
    ready: Callable[[], bool] = field(default=lambda: True)


@dataclass(frozen=True)
class Api:
    """The API server's address, and the token of whoever logged in."""

    url: str
    token: str = ""

    def login(self, user: str, password: str) -> Api:
        """Return the same API for a user."""
        token = self.call("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        return replace(self, token=token)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send JSON and return the JSON of the answer.

        Raises:
            urllib.error.HTTPError: the answer is an error.
        """
        return json.loads(self.read(path, method=method, body=body) or b"null")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON at `path`, asked for with more headers."""
        return json.loads(self.read(path, headers=headers))

    def read(
        self, path: str, *, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Return what is at `path`, as it is."""
        login = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = {"Content-Type": "application/json", **login, **(headers or {})}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=content, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=API_SECONDS) as answer:
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace")[:2000])
            raise
        return found

    def status(self, path: str) -> int:
        """Return the HTTP status of `path`."""
        try:
            self.read(path)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def answers(self, path: str) -> bool:
        """Return whether there is something at `path`."""
        try:
            self.read(path)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


def ports() -> dict[str, str]:
    """Return the settings by which all services of one Airflow listen on free ports of 127.0.0.1."""
    api, health, logs, trigger_logs = map(str, free_ports(4))
    return {
        "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": api, "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": health,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": logs,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_logs,
    }  # fmt: skip


@contextmanager
def start(services: Sequence[Service]) -> Iterator[None]:
    """Start the services one after the other, each once the one before is ready; stop them when the block is left."""
    with ExitStack() as running:
        for service in services:
            running.enter_context(
                process(
                    list(service.command), service.ready, output=service.log, env=dict(service.environment),
                    cwd=service.folder, start_new_session=True,
                )
            )  # fmt: skip
        yield
