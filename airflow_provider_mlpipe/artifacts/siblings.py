"""Partitions beside a partition: the other runs of the same dataset and stage, told from their folders' names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_mlpipe.artifacts.manifest import MANIFEST
from airflow_provider_mlpipe.errors import ArtifactError, redact

if TYPE_CHECKING:
    import pyarrow.fs as pafs

    from airflow_provider_mlpipe.artifacts.storage import Storage

__all__ = ["Published", "Sibling", "published", "siblings"]

_INTERVAL = re.compile(r"(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)(-m\d+)?")
_MAPPED = re.compile(r"-m\d{4,}$")


@dataclass(frozen=True)
class Sibling:
    """One partition.

    Attributes:
        name: its folder.
        start, end: of the interval that its name says, in UTC; None for a run without one.
    """

    name: str
    start: datetime | None = None
    end: datetime | None = None


class Published(NamedTuple):
    """What tells a manifest from the one that was there before.

    Attributes:
        written: when, in ns since the epoch; 0 if the storage does not say.
        size: in bytes.
    """

    written: int
    size: int


def siblings(place: Storage, own: str) -> list[Sibling]:
    """Return the partitions beside `own`: those of intervals first, the newest first; then the others, by name.

    A mapped partition has those of the same map index beside it: another index is another part of the data. Whether a
    partition was ever published does not show in its name.

    Args:
        place: the folder of a dataset's stage.
        own: the partition of the run that asks.

    Raises:
        ArtifactError: the folder cannot be listed.
    """
    import pyarrow.fs as pafs

    names = {info.base_name for info in _listed(place) if info.type == pafs.FileType.Directory} - {own}
    alike = [_sibling(name) for name in names if _mapped(name) == _mapped(own)]
    dated = sorted((one for one in alike if one.end), key=lambda one: (str(one.end), one.name), reverse=True)
    return [*dated, *sorted((one for one in alike if not one.end), key=lambda one: one.name, reverse=True)]


def published(place: Storage) -> dict[str, Published]:
    """Return what tells the manifests of a dataset's stage apart, by partition, in one listing.

    Raises:
        ArtifactError: the folder cannot be listed.
    """
    return {
        info.path.split("/")[-2]: Published(info.mtime_ns or 0, info.size)
        for info in _listed(place, recursive=True)
        if info.base_name == MANIFEST
    }


def _listed(place: Storage, *, recursive: bool = False) -> list[pafs.FileInfo]:
    import pyarrow.fs as pafs

    selector = pafs.FileSelector(place.root, allow_not_found=True, recursive=recursive)
    try:
        return list(place.filesystem.get_file_info(selector))
    except OSError as error:
        raise ArtifactError(
            f"the partitions in {redact(place.uri)} cannot be listed: {redact(str(error))}",
            hint="Check that the storage is reachable and that you may list it; then try again.",
        ) from error


def _sibling(name: str) -> Sibling:
    match = _INTERVAL.fullmatch(name)
    try:
        return Sibling(name) if match is None else Sibling(name, _instant(match[1]), _instant(match[2]))
    except ValueError:  # digits that are no date: nothing of ours
        return Sibling(name)


def _instant(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _mapped(partition: str) -> str:
    match = _MAPPED.search(partition)
    return match[0] if match else ""
