"""What the API server may read: a few small files in folders below the artifact root, and nothing else.

The addresses come from XCom, which a Dag's author fills, and so does whoever may write XComs by Airflow's API. So an
address decides nothing by itself: it is normalised, has to lie below ``[mlpipe] artifact_root``, and only files of the
names that we write are read, if they are files, and small.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import MANIFEST, ONLINE, REPORT, VERDICT, S3Options, Storage
from airflow_provider_mlpipe.artifacts.storage import local_path
from airflow_provider_mlpipe.errors import MlpipeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_BYTES", "RefusedError", "Vault", "configured"]

MAX_BYTES = 16 * 1024 * 1024
NAMES = frozenset({MANIFEST, ONLINE, REPORT, VERDICT})
_S3 = "s3://"


class RefusedError(Exception):
    """An address that is not served; the message says why, and is fit for a page."""


@dataclass(frozen=True)
class Vault:
    """The files below an artifact root.

    Attributes:
        root: the artifact root, as it is configured.
        options: returns how to reach it, if it is a bucket. Asked only when something is read.
    """

    root: str
    options: Callable[[], S3Options] = S3Options

    def folder(self, address: object) -> str:
        """Return an artifact's address in its plain form.

        Raises:
            RefusedError: it is none, or does not lie below the root.
        """
        if not isinstance(address, str) or not address.strip():
            raise RefusedError("What the task pushed is not the address of an artifact.")
        if any(ord(letter) < 32 or letter == "\\" or ord(letter) == 127 for letter in address):
            raise RefusedError("The address holds characters that no address of ours has.")
        if self.root.startswith(_S3) or address.startswith(_S3):
            return self._prefix(address)
        return self._path(address)

    def read(self, folder: str, name: str) -> bytes | None:
        """Return one of our files in an artifact's folder, None if there is none.

        Args:
            folder: what `folder` returned.
            name: ``_manifest.json``, ``_validation.json``, ``_report.html`` or ``_online.json``.

        Raises:
            RefusedError: the file is none, or too large to be one of ours.
            MlpipeError: the storage or its connection could not be used.
            OSError: as well.
        """
        if name not in NAMES:
            raise RefusedError(f"{name} is none of the files that are served.")
        folder = self.folder(folder)
        return self._object(folder, name) if folder.startswith(_S3) else _file(Path(folder) / name)

    def _prefix(self, address: str) -> str:
        """A bucket knows no folders and no links: a key is what it says, as long as nobody normalises it."""
        root, address = self.root.rstrip("/") + "/", address.rstrip("/")
        if not address.startswith(root) or not root.startswith(_S3):
            raise _outside()
        if {"", ".", ".."}.intersection(address.removeprefix(root).split("/")):
            raise RefusedError("The address is not in its plain form.")
        return address

    def _path(self, address: str) -> str:
        try:
            path, root = Path(local_path(address)), Path(local_path(self.root))
            if ".." in path.parts:
                raise RefusedError("The address is not in its plain form.")
            # Both as they are on the disk: a link below the root may lead anywhere.
            path, root = path.resolve(), root.resolve()
        except (MlpipeError, OSError, RuntimeError, ValueError) as error:
            raise RefusedError("The address cannot be followed.") from error
        if path == root or not path.is_relative_to(root):
            raise _outside()
        return str(path)

    def _object(self, folder: str, name: str) -> bytes | None:
        import pyarrow.fs as pafs

        place = Storage(folder, self.options())
        info = place.filesystem.get_file_info(place.path(name))
        if info.type == pafs.FileType.NotFound:
            return None
        _check(is_file=info.type == pafs.FileType.File, size=info.size or 0, name=name)
        return place.read(name)


def configured() -> Vault:
    """Return the vault of ``[mlpipe] artifact_root`` and ``artifact_conn_id``."""
    from airflow_provider_mlpipe.hooks import settings
    from airflow_provider_mlpipe.hooks.connections import s3_options

    return Vault(settings.artifact_root().rstrip("/"), lambda: s3_options(settings.artifact_conn_id()))


def _file(path: Path) -> bytes | None:
    """Read a plain file; what is a link, a pipe or a device is never opened to the end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if path.is_symlink():
            raise RefusedError(f"{path.name} is a link, and links are not followed.") from error
        raise
    try:
        found = os.fstat(descriptor)
        _check(is_file=stat.S_ISREG(found.st_mode), size=found.st_size, name=path.name)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_BYTES)
    finally:
        os.close(descriptor)


def _check(*, is_file: bool, size: int, name: str) -> None:
    if not is_file:
        raise RefusedError(f"{name} is not a plain file.")
    if size > MAX_BYTES:
        raise RefusedError(f"{name} has {size:,} bytes; at most {MAX_BYTES:,} are served.")


def _outside() -> RefusedError:
    return RefusedError("It does not lie below [mlpipe] artifact_root of the API server, so it is not served.")
