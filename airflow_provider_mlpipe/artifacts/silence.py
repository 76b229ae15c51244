"""Connections on which nothing comes: ending what waits for them in C code that cannot be told to stop.

pyarrow's requests cannot be called off, and who waits for one waits in C, wherever it was asked for: in a scan, in a
page of a file, while an upload is completed. But they all have a connection, and its process may close that.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["close_silent"]

_SENT, _RECEIVED = 44, 52
"""Where Linux' ``struct tcp_info`` has the milliseconds since anything was sent or received."""


def close_silent(ports: Collection[int], seconds: float) -> None:
    """Close this process' connections to these ports on which nothing was sent or received for so many seconds.

    What is closed is the connection, not the file: who has it open finds that the server has gone.
    """
    for name in _descriptors():
        with suppress(OSError), socket.socket(fileno=_copy(name)) as connection:
            if connection.type == socket.SOCK_STREAM and _port(connection) in ports and _silent(connection, seconds):
                connection.shutdown(socket.SHUT_RDWR)


def _descriptors() -> list[int]:
    """Return what this process has open; nothing where the system does not tell."""
    with suppress(OSError):
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - numbers, not paths
    return []


def _copy(descriptor: int) -> int:
    """Return another descriptor of the same socket: the number itself may mean something else a moment later."""
    copy = os.dup(descriptor)
    if stat.S_ISSOCK(os.fstat(copy).st_mode):
        return copy
    os.close(copy)
    raise OSError(f"{descriptor} is no socket")


def _port(connection: socket.socket) -> int | None:
    peer = connection.getpeername() if connection.family in {socket.AF_INET, socket.AF_INET6} else None
    return peer[1] if peer else None


def _silent(connection: socket.socket, seconds: float) -> bool:
    """Return whether nothing goes on. Where the system does not tell, everything is taken for silent."""
    try:
        facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED + 4)
    except (AttributeError, OSError):  # macOS
        return True
    since = min(struct.unpack_from("=I", facts, offset)[0] for offset in (_SENT, _RECEIVED))
    return bool(since >= seconds * 1000)
