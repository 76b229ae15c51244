"""Which files earlier runs have read: no state but the manifests of the artifacts that they published.

Every version of a file is read by exactly one partition. A run reads what the run that published last has not listed; a
run that published before reads again what it read then. So a replay of an old day gives what that day gave, and never
moves anything for the days after it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.artifacts.siblings import published, siblings
from airflow_provider_mlpipe.errors import ArtifactError, ArtifactNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile
    from airflow_provider_mlpipe.run import Run

__all__ = ["KEY", "Choice", "FileState", "chosen"]

logger = logging.getLogger(__name__)

KEY = "files"
"""Where it stands in a manifest's details."""

LOOK_BACK = 10
"""Partitions that are looked at for the one that published last: the newest by interval, and as many written last."""


@dataclass(frozen=True)
class FileState:
    """What a published partition says of files.

    Attributes:
        read: version by path of those whose rows it holds.
        skipped: of those that were there and had been read before.
        schema: the source's schema, encoded as in a manifest, for a run that finds nothing new.
        partition: its name.
        sequence: how many runs had published before, replays apart.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    schema: str = ""
    partition: str = ""
    sequence: int = 0

    @property
    def known(self) -> dict[str, str]:
        """All that need not be read again."""
        return {**self.skipped, **self.read}


@dataclass(frozen=True)
class Choice:
    """What a run reads.

    Attributes:
        read: these files.
        skipped: these not, as they have been read.
        schema: that of the source the last time; empty if there was none.
        sequence: how many runs had published before, replays apart.
        again: whether the run published before, and reads what it read.
    """

    read: list[SourceFile]
    skipped: Mapping[str, str]
    schema: str = ""
    sequence: int = 0
    again: bool = False


class NotAsReadError(Exception):
    """Files that a run read are not there any more as they were, so it cannot be repeated."""

    def __init__(self, partition: str, names: Sequence[str], of: int) -> None:
        super().__init__(partition, names, of)
        self.partition, self.names, self.of = partition, list(names), of


def chosen(files: Sequence[SourceFile], stage: Storage, run: Run, *, level: int = logging.INFO) -> Choice:
    """Return which of `files` the run has to read.

    Args:
        files: what is there now, with versions.
        stage: the folder of the dataset's raw partitions.
        run: who asks.
        level: of the line in the log that says it.

    Raises:
        NotAsReadError: the run published before, and what it read is gone.
        ArtifactError: an earlier manifest cannot be read.
        OSError: the partitions cannot be listed.
    """
    own = _state(stage, run.partition)
    if own is not None:
        return _again(files, own, level)
    earlier = _newest(stage, run)
    known = earlier.known
    new = [file for file in files if known.get(file.path) != file.version]
    seen = {file.path: file.version for file in files if known.get(file.path) == file.version}
    since = earlier.partition or "the beginning"
    logger.log(level, "%d of %d files are new or changed since %s", len(new), len(files), since)
    return Choice(new, seen, earlier.schema, earlier.sequence + 1)


def _again(files: Sequence[SourceFile], own: FileState, level: int) -> Choice:
    there = {file.path: file for file in files}
    gone = [path for path, version in own.read.items() if path not in there or there[path].version != version]
    if gone:
        raise NotAsReadError(own.partition, gone, len(own.read))
    logger.log(level, "this run published before: it reads the same %d files again", len(own.read))
    return Choice([there[path] for path in own.read], own.skipped, own.schema, own.sequence, again=True)


def _newest(stage: Storage, run: Run) -> FileState:
    """Return the state of the run that published last.

    Other than with schemas, also a later interval counts: what it read, one filled in belatedly must not read again.
    """
    bounded = run.interval is not None and not run.interval.empty
    partitions = [one.name for one in siblings(stage, run.partition) if one.end is not None or not bounded]
    written = published(stage)
    recent = sorted((name for name in partitions if name in written), key=written.__getitem__, reverse=True)
    found = [_state(stage, name) for name in dict.fromkeys([*recent[:LOOK_BACK], *partitions[:LOOK_BACK]])]
    return max((state for state in found if state is not None), key=lambda state: state.sequence, default=FileState())


def _state(stage: Storage, partition: str) -> FileState | None:
    try:
        details: Any = Artifact.open(stage.below(partition).uri, stage.options).manifest.details.get(KEY)
    except ArtifactNotFoundError:
        return None
    if not isinstance(details, dict) or "read" not in details:
        return None
    try:
        read, skipped = dict(details["read"]), dict(details["skipped"])
        return FileState(read, skipped, str(details["schema"]), partition, int(details["sequence"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the manifest of {partition} does not say which files were read: {error}",
            hint="It was not written by this provider, or is damaged.",
        ) from error
