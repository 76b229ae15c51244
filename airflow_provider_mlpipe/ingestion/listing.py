"""Which files a path means: one file, all data files of a folder, or those that match a glob."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.fs as pafs

    from airflow_provider_mlpipe.artifacts import Storage

__all__ = ["files_at", "is_glob"]

_WILD = re.compile(r"[*?\[]")


def is_glob(path: str) -> bool:
    """Return whether `path` may mean several files."""
    return _WILD.search(path) is not None


def files_at(place: Storage, *, versions: bool = False) -> list[SourceFile]:
    """Return the files that `place` means, in the order of their paths; none if there are none.

    Args:
        place: a file, a folder (all files below it but hidden ones), or a glob.
        versions: whether to tell the version of every file without opening it. A bucket tells it to boto3 only.

    Raises:
        ImportError: versions of files in a bucket are wanted, and boto3 is not installed.
    """
    path = place.root
    wild = _WILD.search(path)
    if wild is not None:
        base, deep = path[: wild.start()].rpartition("/")[0], "/" in path[wild.start() :]
        pattern = _pattern(path)
        found = [
            file for file in _below(place, base, recursive=deep, versions=versions) if pattern.fullmatch(file.path)
        ]
    else:
        found = _one_or_folder(place, path, versions=versions)
    return sorted(found, key=lambda file: file.path)


def _one_or_folder(place: Storage, path: str, *, versions: bool) -> list[SourceFile]:
    import pyarrow.fs as pafs

    info = place.filesystem.get_file_info(path)
    if info.type == pafs.FileType.File:
        file = _listed(place, info)
        if versions and not place.is_local:
            file.version = ""
            file.seekable().close()
        return [file]
    if info.type != pafs.FileType.Directory:
        return []
    below = _below(place, path, recursive=True, versions=versions)
    return [file for file in below if not _hidden(file.path, path)]


def _below(place: Storage, folder: str, *, recursive: bool, versions: bool) -> list[SourceFile]:
    import pyarrow.fs as pafs

    if versions and not place.is_local:
        return list(_in_bucket(place, folder, recursive=recursive))
    selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
    infos = place.filesystem.get_file_info(selector)
    return [_listed(place, info) for info in infos if info.type == pafs.FileType.File]


def _listed(place: Storage, info: pafs.FileInfo) -> SourceFile:
    # A bucket says only when a file is opened which version it is.
    version = f"{info.mtime_ns}-{info.size}" if place.is_local else ""
    return SourceFile(info.path, place.filesystem, version, info.size)


def _in_bucket(place: Storage, folder: str, *, recursive: bool) -> Iterator[SourceFile]:
    """Yield what is below a folder of a bucket: a page of a thousand per request, each file with its ETag."""
    bucket, _, prefix = folder.partition("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    if not recursive:
        asked["Delimiter"] = "/"
    for page in place.client().get_paginator("list_objects_v2").paginate(**asked):
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):
                tag = item["ETag"].strip('"')
                yield SourceFile(f"{bucket}/{item['Key']}", place.filesystem, tag, item["Size"])


def _hidden(path: str, folder: str) -> bool:
    """Return whether a file, or a folder above it, is one of those that are no data: ``_SUCCESS``, ``.tmp``."""
    return any(part.startswith((".", "_")) for part in path.removeprefix(folder).split("/"))


def _pattern(path: str) -> re.Pattern[str]:
    """Return a glob as a pattern.

    >>> bool(_pattern("a/**/x*.csv").fullmatch("a/b/c/x1.csv")), bool(_pattern("a/*.csv").fullmatch("a/b/x.csv"))
    (True, False)
    """
    forms = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", path, re.DOTALL)
    return re.compile(
        "".join(
            forms.get(token)
            or (token.replace("[!", "[^") if token.startswith("[") and len(token) > 1 else re.escape(token))
            for token in tokens
        )
    )
