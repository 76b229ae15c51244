"""Until when an incremental source has been read, where no interval says it: kept in a store, moved forward only.

The order that a crash cannot break: the artifact is published first, then the watermark moves. Killed between the two,
a run finds its own artifact on the next try and reads the same window again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError, redact
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.run import Run

__all__ = ["AssetWatermark", "FileWatermark", "HeldWatermark", "Watermark", "advance", "start_of"]

_log = logging.getLogger(__name__)


class Watermark(Protocol):
    """A store of one moment."""

    def read(self) -> datetime | None:
        """Return the moment; None if there is none yet."""

    def write(self, moment: datetime) -> None:
        """Keep another moment."""


@dataclass(frozen=True)
class FileWatermark:
    """A file ``_watermark.json`` beside the partitions of a dataset's raw artifacts.

    Attributes:
        place: that folder.
        name: the file; one per map index, as each reads another part of the data.
    """

    place: Storage
    name: str = "_watermark.json"

    @classmethod
    def of(cls, source: Configured[Source], root: Storage, run: Run) -> FileWatermark:
        """Return the watermark of a source."""
        name = "_watermark.json" if run.map_index < 0 else f"_watermark-m{run.map_index:04d}.json"
        return cls(root.below(f"{source.model.dataset or source.name}/raw"), name)

    def read(self) -> datetime | None:
        """Return the moment; None if there is no such file.

        Raises:
            ConfigError: the file is not one that this class wrote.
        """
        content = self.place.read(self.name)
        if content is None:
            return None
        try:
            return instant(str(json.loads(content)["until"]))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise ConfigError(
                f"the watermark {redact(self.place.below(self.name).uri)} cannot be read.",
                hint='Write {"until": "2026-01-15T00:00:00Z"} into it; or delete it, then incremental.initial counts.',
            ) from error

    def write(self, moment: datetime) -> None:
        """Replace the file as a whole."""
        self.place.make_folder()
        self.place.replace(self.name, json.dumps({"until": moment.isoformat()}).encode())


@dataclass(frozen=True)
class AssetWatermark:
    """Airflow's asset state, which people see in its pages.

    Attributes:
        state: ``context["asset_state_store"][asset]``, anything with ``get`` and ``set``.
        key: the name in it.
        before: where it was kept until the task had an asset; read while the asset has none.
    """

    state: Any
    key: str
    before: Watermark | None = None

    def read(self) -> datetime | None:
        """Return the moment."""
        found = self.state.get(self.key)
        if found is None:
            return self.before.read() if self.before is not None else None
        return instant(str(found))

    def write(self, moment: datetime) -> None:
        """Set the state."""
        self.state.set(self.key, moment.isoformat())


@dataclass(frozen=True)
class HeldWatermark:
    """A watermark that a run reads and does not move.

    Attributes:
        kept: the watermark.
        reason: who does not move it, for the log.
    """

    kept: Watermark
    reason: str

    def read(self) -> datetime | None:
        """Return the moment."""
        return self.kept.read()

    def write(self, moment: datetime) -> None:
        """Say that it stays where it is."""
        _log.info("the watermark is not moved to %s: %s", moment.isoformat(), self.reason)


def start_of(
    source: Configured[Source], run: Run, end: datetime, watermark: Watermark, root: Storage
) -> datetime | None:
    """Return where a run begins to read that reads until `end`; None for the begin of all time.

    A run that has published before begins where it began then. One that is about a time before the watermark (a
    backfill) reads its own interval.

    Raises:
        ConfigError: it is about a time before the watermark, and has no interval.
    """
    incremental = source.model.incremental
    assert incremental is not None  # noqa: S101 - the caller looked
    again = _published(source, run, end, root)
    if again is not None:
        return again[0]
    mark = watermark.read()
    if mark is not None and end <= mark:
        if run.interval is None or run.interval.empty:
            raise ConfigError.invalid(
                where=source.where("incremental"), key="incremental.window",
                problem=f"everything before {mark.isoformat()} has been read already, and this run is about "
                f"{end.isoformat()} without an interval that says which part to read again",
                hint="Run it with a data interval, or with a later as_of.",
            )  # fmt: skip
        mark = run.interval.start
    if mark is None:
        return None if incremental.initial is None else instant(incremental.initial)
    return mark - incremental.lookback_length


def advance(watermark: Watermark, end: datetime) -> None:
    """Move a watermark to `end`, unless it is there or further: another run may have come first."""
    mark = watermark.read()
    if mark is None or mark < end:
        watermark.write(end)


def _published(source: Configured[Source], run: Run, end: datetime, root: Storage) -> tuple[datetime | None] | None:
    """Return the start of what this very run published until `end`; None if it has not."""
    dataset = source.model.dataset or source.name
    try:
        manifest = Artifact.open(root.below(f"{dataset}/raw/{run.partition}").uri, root.options).manifest
    except ArtifactError:
        return None
    window = manifest.details.get("window")
    if not window or window[1] != end.isoformat() or manifest.run["run_id"] != run.run_id:
        return None
    return (None if window[0] is None else instant(window[0]),)
