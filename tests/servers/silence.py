"""A server that hangs: it takes every connection, and its answer never gets beyond the first header."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Silence", "silence"]

DRIP_SECONDS = 0.8
"""Between two bytes: clients that ask for some progress, such as S3's (a byte a second), never give up."""


@dataclass
class Silence:
    """The running server.

    Attributes:
        url: where it is.
        asked: set once somebody has connected.
    """

    url: str
    asked: threading.Event = field(default_factory=threading.Event)


@contextmanager
def silence() -> Iterator[Silence]:
    """Serve until the block is left."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as connections:
        server.settimeout(DRIP_SECONDS)
        found = Silence(f"http://127.0.0.1:{server.getsockname()[1]}")

        def serve() -> None:
            waiting: list[socket.socket] = []
            while not over.is_set():
                with suppress(TimeoutError):
                    waiting.append(connections.enter_context(server.accept()[0]))
                    waiting[-1].sendall(b"HTTP/1.1 200 OK\r\nServer: ")
                    found.asked.set()
                    continue
                for connection in waiting:
                    with suppress(OSError):  # the client has had enough
                        connection.sendall(b"............")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()
