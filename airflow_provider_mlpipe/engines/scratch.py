"""Folders for what is spilled: gone when the work ends, and when its process was killed, by the next one's hand."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["scratch_folder"]

logger = logging.getLogger(__name__)

_RANDOM = re.compile(r"[a-z0-9_]{8}")
"""How `tempfile` ends the names of its folders."""


@contextmanager
def scratch_folder(prefix: str, parent: str | None = None) -> Iterator[str]:
    """Make a folder, give its path, and remove it; before that, those that killed processes left beside it.

    Every folder is locked by its owner: the system unlocks it when the process ends, however it ends.

    Args:
        prefix: how the names of such folders begin; folders of other names are left alone.
        parent: where; the system's temporary directory if None.

    Raises:
        OSError: no folder can be made there.
    """
    folder, descriptor = _made(prefix, parent)
    try:
        _remove_abandoned(folder.parent, prefix)
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made(prefix: str, parent: str | None) -> tuple[Path, int]:
    """Make a folder and lock it; another one if somebody took it for abandoned before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # a file system without locks: nobody can take it there either
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        if not _RANDOM.fullmatch(folder.name.removeprefix(prefix)):
            continue
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # somebody else's, or gone
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
