"""Partitions beside a partition: the earlier runs of the same dataset and stage, told from their folders' names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts.storage import Storage

__all__ = ["earlier_partitions"]

_INTERVAL = re.compile(r"(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)(-m\d+)?")
_MAPPED = re.compile(r"-m\d{4,}$")


def earlier_partitions(place: Storage, own: str, *, before: datetime | None) -> list[str]:
    """Return the partitions that a run may look back on, the newest first.

    A partition counts if its interval ends before, or when, that of the run begins, so that a replay of an old day
    looks back on what that day did. Partitions of runs without an interval say nothing of when they are about: they
    are left out, unless the asking run has no interval either; then they come after all others. A mapped partition has
    those of the same map index beside it: another index is another part of the data.

    Args:
        place: the folder of a dataset's stage.
        own: the asking run's partition, which is not among them.
        before: the begin of its interval in UTC; None if it has none.

    Raises:
        OSError: the folder cannot be listed.
    """
    import pyarrow.fs as pafs

    infos = place.filesystem.get_file_info(pafs.FileSelector(place.root, allow_not_found=True))
    names = {info.base_name for info in infos if info.type == pafs.FileType.Directory} - {own}
    alike = [name for name in names if _mapped(name) == _mapped(own)]
    until = None if before is None else before.strftime("%Y%m%dT%H%M%SZ")
    dated = [(match[2], name) for name in alike if (match := _INTERVAL.fullmatch(name))]
    newest = [name for end, name in sorted(dated, reverse=True) if until is None or end <= until]
    others = (
        [] if until is not None else sorted((name for name in alike if not _INTERVAL.fullmatch(name)), reverse=True)
    )
    return [*newest, *others]


def _mapped(partition: str) -> str:
    match = _MAPPED.search(partition)
    return match[0] if match else ""
