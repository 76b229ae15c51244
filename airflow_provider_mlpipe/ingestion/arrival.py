"""Whether a source has what a run is about to read: one cheap look, for whoever waits. Nothing is written.

What counts is what `ingest` of the same run would read, decided by the same code: the same listing and the same memory
of files, the same window and the same watermark. Only a `lookback` does not count: its rows were there the last time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.config import ApiSource, DatabaseSource, FileSource
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.connection import Connection
from airflow_provider_mlpipe.ingestion.failures import Edge
from airflow_provider_mlpipe.ingestion.readers import reader_of
from airflow_provider_mlpipe.ingestion.target import ArtifactTarget
from airflow_provider_mlpipe.ingestion.watermark import FileWatermark, start_of
from airflow_provider_mlpipe.ingestion.window import window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.ingestion.watermark import Watermark
    from airflow_provider_mlpipe.ingestion.window import Window
    from airflow_provider_mlpipe.run import Run

__all__ = ["Arrival", "Visit", "api_answers", "new_objects", "new_rows"]

FAR = datetime(9000, 1, 1, tzinfo=UTC)
"""The end of a window that has none: later than any row, and a time in every database."""

NAMED = 20
"""Paths that are named among the facts."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What a look found.

    Attributes:
        there: whether the run has something to read.
        facts: what, as JSON values.
        tokens: tell what was found from what another look finds.
    """

    there: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Who looks, and where.

    Attributes:
        source: what would be read.
        root: the artifact root, where it stands what was read before.
        run: who would read.
        as_of: until when; None for a look that is about no run.
        connection: settings resolved from an Airflow connection.
    """

    source: Configured[Source]
    root: Storage
    run: Run
    as_of: datetime | None = None
    connection: Connection = field(default_factory=Connection)

    @property
    def stage(self) -> Storage:
        """The folder of the dataset's raw partitions."""
        return ArtifactTarget(root=self.root, source=self.source, run=self.run).stage


def new_objects(visit: Visit) -> Arrival:
    """Look for files that the run would read: with ``only_new`` those that no earlier run has read, else any.

    Raises:
        ConfigError: the source is no files, or its path names a time that the run does not have.
        SourceUnavailableError: the place cannot be reached now.
        SourceRejectedError: there is no such bucket, or no permission; what a published run read is gone.
        ArtifactError: what earlier runs read cannot be told.
    """
    from airflow_provider_mlpipe.ingestion.files import FileReader

    model = visit.source.model
    if not isinstance(model, FileSource):
        raise _no_such_thing(visit.source, "objects", "file")
    reader = FileReader(visit.source, model, visit.connection, run=visit.run, as_of=visit.as_of, stage=visit.stage)
    with Edge(visit.source.name, reader.location, reader.secrets).mapped():
        choice = reader.awaited()
    paths = [file.path for file in choice.read]
    return Arrival(
        # A run that published reads again what it read, and be it nothing.
        there=bool(choice.read) or choice.again,
        facts={
            "source": visit.source.name,
            "location": reader.location,
            "objects": len(paths),
            "bytes": sum(file.size for file in choice.read),
            "paths": paths[:NAMED],
        },
        tokens=frozenset(f"{file.path}@{file.version}" for file in choice.read),
    )


def new_rows(visit: Visit, watermark: Watermark | None = None, *, beyond_as_of: bool = False) -> Arrival:
    """Look for rows that the run would read and no earlier run has: one query for the newest.

    Args:
        visit: who looks.
        watermark: where ``window: watermark`` is kept; the file beside the artifacts if None.
        beyond_as_of: rows at or after as_of count, too.

    Raises:
        ConfigError: the source is no database, is not incremental, or has a window that this run does not bound.
        SourceUnavailableError: the database cannot be reached now.
        SourceRejectedError: there is no such table or column, or no permission.
    """
    from airflow_provider_mlpipe.ingestion.database import DatabaseReader

    source = visit.source
    if not isinstance(source.model, DatabaseSource):
        raise _no_such_thing(source, "rows", "database")
    if source.model.incremental is None:
        raise ConfigError.invalid(
            where=source.where(), key="incremental", problem="nothing says which rows are new",
            hint="Name the time column: incremental: {cursor_column: updated_at, window: watermark}.",
        )  # fmt: skip
    window = _window(visit, watermark, beyond_as_of=beyond_as_of)
    reader = reader_of(source, visit.connection, window=window, run=visit.run, as_of=visit.as_of, stage=visit.stage)
    assert isinstance(reader, DatabaseReader)  # noqa: S101 - of a database source
    with Edge(source.name, reader.location, reader.secrets).mapped():
        newest = reader.newest()
    facts = {
        "source": source.name,
        "location": reader.location,
        "since": None if window.start is None else window.start.isoformat(),
        "newest": None if newest is None else newest.isoformat(),
        # An as_of with which the run's window holds the newest row.
        "until": None if newest is None else (newest + timedelta(microseconds=1)).isoformat(),
    }
    return Arrival(there=newest is not None, facts=facts, tokens=frozenset(filter(None, [facts["newest"]])))


def api_answers(visit: Visit) -> Arrival:
    """Ask an endpoint for its first page, as the run would, and look at nothing but whether it answers.

    Raises:
        ConfigError: the source is no API, or an address or credential is missing.
        SourceUnavailableError: refused, timed out, 408, 425, 429 or 5xx.
        SourceRejectedError: any other status, or a redirect that must not be followed.
    """
    from airflow_provider_mlpipe.ingestion.rest.reader import ApiReader

    model = visit.source.model
    if not isinstance(model, ApiSource):
        raise _no_such_thing(visit.source, "an answer", "api")
    reader = ApiReader(visit.source, model, visit.connection, run=visit.run, as_of=visit.as_of)
    with Edge(visit.source.name, reader.location, reader.secrets).mapped():
        reader.reach()
    return Arrival(there=True, facts={"source": visit.source.name, "location": reader.location})


def _window(visit: Visit, watermark: Watermark | None, *, beyond_as_of: bool) -> Window:
    """Return the stretch whose rows are new: the run's window, without its lookback."""
    source, run = visit.source, visit.run
    incremental = source.model.incremental
    assert incremental is not None  # noqa: S101 - the caller looked
    if visit.as_of is None and incremental.length is not None:
        raise ConfigError.invalid(
            where=source.where("incremental", "window"), key="incremental.window",
            problem=f"{incremental.window} counts from a run's as_of, and here is no run",
            hint="Set window: watermark.",
        )  # fmt: skip
    plain = replace(
        source, model=source.model.model_copy(update={"incremental": incremental.model_copy(update={"lookback": "0s"})})
    )
    mark = watermark or FileWatermark.of(source, visit.root, run)
    as_of = visit.as_of if visit.as_of is not None and not beyond_as_of else FAR
    end = visit.as_of if incremental.length is not None else as_of
    window = window_of(plain, run, end, lambda end: start_of(plain, run, end, mark, visit.root))
    assert window is not None  # noqa: S101 - it is incremental
    return replace(window, on_null="exclude", end=as_of)


def _no_such_thing(source: Configured[Source], thing: str, kind: str) -> ConfigError:
    return ConfigError.invalid(
        where=source.where("type"), key=f"source {source.name!r}",
        problem=f"{thing} can be waited for where type is {kind}, it is {source.model.type}",
    )  # fmt: skip
