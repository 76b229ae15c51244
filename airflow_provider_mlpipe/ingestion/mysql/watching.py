"""Having a server end what runs for us: when a signal comes, and when this process is killed.

MySQL does not notice that nobody waits for a query, before it has a row to send; only ``KILL QUERY`` on another
connection ends it. It cannot come from a thread: connectorx holds Python's lock while it waits for rows, so that no
thread of this process gets to run and no handler of a signal is called. So `watchman`, a process of its own, sends it.

It finds the statements by a mark in them, a comment. An id would not do: behind one address may be several servers.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.engines.interruption import bell, interruptible
from airflow_provider_mlpipe.ingestion.mysql import watchman

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Iterator

__all__ = ["Mark", "watched"]

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Mark:
    """What is in every statement of a session."""

    token: str = field(default_factory=lambda: f"mlpipe {secrets.token_hex(8)}")

    def on(self, sql: str) -> str:
        """Return a statement that bears it.

        >>> Mark("mlpipe 1").on("SELECT a FROM t")
        'SELECT /* mlpipe 1 */ a FROM t'
        """
        verb, _, rest = sql.strip().partition(" ")
        return f"{verb} /* {self.token} */ {rest}"


@contextmanager
def watched(uri: str, mark: Mark) -> Iterator[None]:
    """End marked statements on the server if a signal comes, or this process dies, while the block runs.

    Without a process more (none could be started) the block runs all the same.
    """
    import socket

    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = _started(theirs)
        if process is None:
            yield
            return
        with suppress(OSError):  # if it ended at once, nothing is watched
            ours.sendall(_order(uri, mark))
        try:
            with interruptible(partial(_call_off, ours)):
                yield
        except BaseException as error:
            ours.close()  # which it takes for our end, and sees to it that there is nothing left
            _leave(process, patient=not isinstance(error, Exception))
            raise
        process.kill()
        process.wait()


def _started(orders: socket.socket) -> subprocess.Popen[bytes] | None:
    import subprocess

    ring = bell()
    try:
        return subprocess.Popen(  # noqa: S603 - this Python, and a file of ours
            # As little of Python as there is: it starts in a hundredth of a second.
            [sys.executable, "-I", "-S", str(Path(watchman.__file__))],
            stdin=orders.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if ring is None else (ring[0],),
            start_new_session=True,  # neither Ctrl-C nor the end of our process group is for it
        )
    except OSError as error:
        logger.debug("no process watches over the queries: %s", error)
        return None


def _leave(process: subprocess.Popen[bytes], *, patient: bool) -> None:
    """Let it finish its work; be `patient` where this process may end next, and take it along."""
    reaper = threading.Thread(target=process.wait, name="mlpipe-watchman", daemon=True)
    reaper.start()
    if patient:
        reaper.join(_PATIENCE_SECONDS)


def _order(uri: str, mark: Mark) -> bytes:
    import airflow_provider_mlpipe

    ring = bell()
    order = {
        "uri": uri,
        "token": mark.token,
        "bell": None if ring is None else ring[0],
        "signals": [] if ring is None else sorted(ring[1]),
        "path": [str(Path(airflow_provider_mlpipe.__file__).parents[1]), *sys.path],
    }
    return json.dumps(order).encode() + b"\n"


def _call_off(ours: socket.socket) -> None:
    import socket

    with suppress(OSError):  # it is gone, or has heard it often enough
        ours.send(watchman.CALL_OFF, socket.MSG_DONTWAIT)
