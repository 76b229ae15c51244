"""Folders for what is spilled: gone when the work ends, and when its process was killed, by the next one's hand."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["scratch_folder"]

logger = logging.getLogger(__name__)

_LOCK = ".mlpipe-in-use"
"""Every folder holds one, locked by its owner: the system unlocks it when the process ends, however it ends."""


@contextmanager
def scratch_folder(prefix: str, parent: str | None = None) -> Iterator[str]:
    """Make a folder, give its path, and remove it; before that, those that killed processes left beside it.

    Args:
        prefix: how the names of such folders begin; folders of other names are left alone.
        parent: where; the system's temporary directory if None.

    Raises:
        OSError: no folder can be made there.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        descriptor = os.open(Path(folder, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _remove_abandoned(Path(folder).parent, prefix)
            yield folder
        finally:
            os.close(descriptor)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:  # just being made, somebody else's, or gone
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # in use
            continue
        else:
            logger.debug("removing what a killed process left: %s", folder)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)
