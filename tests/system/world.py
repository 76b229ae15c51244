"""What the Dags of these tests read apart from the sample: not there at first, or not for everybody."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PAUSE_SECONDS", "TOKEN", "World", "put", "sources"]

TOKEN = "t0ken-of-the-desk"
PAUSE_SECONDS = 5
"""What the busy API asks for."""


@dataclass
class World:
    """The sources.

    Attributes:
        held: keeps a port, where a database will be: there is nobody, and nobody else gets it until this is closed.
        desk: an API, part of which is closed.
        drops: a folder for files.
        inbox: a folder that is watched.
        opened: opens the API.
    """

    held: socket.socket
    desk: servers.Api
    drops: Path
    inbox: Path
    opened: threading.Event
    port: int = field(init=False)

    def __post_init__(self) -> None:
        """Know the port, closed or not."""
        self.port = self.held.getsockname()[1]

    @property
    def environment(self) -> dict[str, str]:
        """What the Dags are told."""
        return {
            "SYSTEM_LATE_DATABASE": f"postgresql://shop:{servers.PASSWORD}@127.0.0.1:{self.port}/postgres",
            "SYSTEM_DESK": self.desk.url,
            "SYSTEM_DROPS": str(self.drops),
            "SYSTEM_INBOX": str(self.inbox),
            "SYSTEM_TOKEN": TOKEN,
        }


@contextmanager
def sources(folder: Path) -> Iterator[World]:
    """Serve the API, and make the folders in an empty one."""
    opened, refused = threading.Event(), threading.Event()

    def tickets(_: servers.Request) -> servers.Answer:
        rows = {"tickets": [{"ticket": 1}, {"ticket": 2}]}
        return servers.Answer(rows) if opened.is_set() else servers.Answer("closed", status=503)

    def busy(_: servers.Request) -> servers.Answer:
        if refused.is_set():
            return servers.Answer({"calls": [{"call": 1}, {"call": 2}, {"call": 3}]})
        refused.set()
        return servers.Answer("too many requests", status=429, headers={"Retry-After": str(PAUSE_SECONDS)})

    for name in ("drops", "inbox"):
        (folder / name).mkdir()
    with socket.socket() as held, servers.json_api({"/tickets": tickets, "/busy": busy}) as desk:
        held.bind(("127.0.0.1", 0))
        yield World(held, desk, folder / "drops", folder / "inbox", opened)


def put(file: Path, text: str) -> None:
    """Let a file appear, whole."""
    unseen = file.with_suffix(".unseen")
    unseen.write_text(text)
    unseen.rename(file)
