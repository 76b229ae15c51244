"""A lock between processes of one machine: a file that the system unlocks when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage

__all__ = ["held", "remove_leftovers"]

_log = logging.getLogger(__name__)

WAIT_SECONDS = 1800.0
"""A materialisation may take this long before one that waits for it gives up (and Airflow tries again)."""

_PAUSE_SECONDS = 0.05


@contextmanager
def held(path: Path, *, what: str, seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock at `path`, waiting for whoever has it.

    Args:
        path: the lock file; it stays, for removing it would let two in.
        what: what it guards, for the log and the error.
        seconds: how long to wait.

    Raises:
        StoreUnavailableError: it was not released in time.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot lock {what}: {path.parent}: {error.strerror}", hint="Make the folder writable."
        ) from error
    try:
        _wait(descriptor, what, seconds)
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(place: Storage, name: str) -> None:
    """Remove what killed writers of a file left beside it: ``.<name>.<anything>``. The caller holds its lock."""
    for left in place.names():
        if left.startswith(f".{name}."):
            place.delete(left)


def _wait(descriptor: int, what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreUnavailableError(
                    f"{what} is locked by another process, for more than {seconds:.0f} s",
                    hint="Another materialisation is at work; try again when it is done.",
                ) from None
            if not told:
                _log.info("Waiting for another process to release %s", what)
                told = True
            time.sleep(_PAUSE_SECONDS)
        else:
            return
