"""Sockets that take in what others send: datagrams, and HTTP requests for a handler."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

__all__ = ["datagrams", "handling"]


@contextmanager
def datagrams(into: list[str]) -> Iterator[int]:
    """Receive UDP on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)

        def receive() -> None:
            while (datagram := receiver.recv(65_535)) != b"end":
                into.append(datagram.decode())

        port = receiver.getsockname()[1]
        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield port
        finally:
            receiver.sendto(b"end", ("127.0.0.1", port))
            thread.join()


@contextmanager
def handling(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve HTTP by a handler on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
