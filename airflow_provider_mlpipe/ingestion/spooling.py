"""Temporary files that rows wait in on their way: a disk that is full is no fault of the source."""

from __future__ import annotations

import errno
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from airflow_provider_mlpipe.errors import PublishError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["no_room", "spool_file", "spooling"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def spooling() -> Iterator[None]:
    """Say of a failed write that there is no room, and where.

    Raises:
        PublishError: the disk, the quota or the largest size of a file is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise no_room(error) from error


def no_room(error: Exception) -> PublishError:
    """Return the error for a temporary file that could not grow."""
    return PublishError.no_room(tempfile.gettempdir(), getattr(error, "strerror", None) or str(error))


@contextmanager
def spool_file() -> Iterator[IO[bytes]]:
    """Open a file without a name, which is gone with its process however that ends.

    Raises:
        PublishError: there is no room for it.
    """
    with spooling():
        spool = tempfile.TemporaryFile(prefix="mlpipe-")  # noqa: SIM115 - closed below, where closing may fail
    try:
        yield spool
    finally:
        with suppress(OSError):  # what waits to be written finds no room either
            spool.close()
