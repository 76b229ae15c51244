"""The offline data of a view: its files, what they say they hold, and one fingerprint for each that is read."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Input, Storage
from airflow_provider_mlpipe.artifacts.storage import join
from airflow_provider_mlpipe.errors import (
    ArtifactReplacedError,
    ConfigError,
    StoreRejectedError,
    StoreUnavailableError,
    did_you_mean,
    redact,
)
from airflow_provider_mlpipe.feature_store.training.labels import local_copy, time_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import S3Options
    from airflow_provider_mlpipe.feature_store.training.selection import Chosen

__all__ = ["History", "OfflineFile", "Snapshot"]


@dataclass(frozen=True, kw_only=True)
class OfflineFile:
    """A parquet file, as its footer describes it.

    Attributes:
        name: relative to the folder.
        size: in bytes.
        changed: when it was last written, in nanoseconds since the epoch.
        schema: its columns.
        first: the earliest event time in it; None if the footer does not say.
        last: the latest.
    """

    name: str
    size: int
    changed: int
    schema: pa.Schema
    first: datetime | None
    last: datetime | None

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        """Return whether it may hold rows of [start, end], both included, None being no bound."""
        before = start is not None and self.last is not None and self.last < start
        after = end is not None and self.first is not None and self.first > end
        return not (before or after)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Files to be read: on this disk, each with the fingerprint of its bytes."""

    files: tuple[OfflineFile, ...]
    paths: tuple[str, ...]
    inputs: tuple[Input, ...]


class History:
    """What is there of one view. Looks at footers only, until `take`.

    Args:
        chosen: what is wanted of the view.
        options: how to reach S3.

    Raises:
        StoreRejectedError: no file, or not the columns that Feast knows of.
        StoreUnavailableError: the storage does not answer.
    """

    def __init__(self, chosen: Chosen, options: S3Options) -> None:
        self.chosen = chosen
        self.place, pattern = _base(chosen.path, options)
        with self._reading():
            self.files = tuple(_footer(self.place, info, chosen) for info in _listed(self.place, pattern))
        if not self.files:
            raise StoreRejectedError(
                f"feature view {chosen.view!r} has no offline data: no parquet file at {redact(chosen.path)}",
                hint="Materialize a feature artifact first; that keeps its rows for training sets, too.",
                view=chosen.view,
            )
        self.schema = self._united()
        self._check_columns()

    def within(self, start: datetime | None, end: datetime | None) -> list[OfflineFile]:
        """Return the files that may hold rows of that stretch of time."""
        return [file for file in self.files if file.overlaps(start, end)]

    def take(self, files: Sequence[OfflineFile], scratch: Path) -> Snapshot:
        """Read the files once for their fingerprints; those of a bucket are copied to `scratch` on the way."""
        paths, inputs = [], []
        for number, file in enumerate(files):
            target = None if self.place.is_local else scratch / f"{self.chosen.view}-{number:05d}.parquet"
            with self._reading():
                try:
                    digest = local_copy(self.place, file.name, target)
                except FileNotFoundError:
                    raise self._replaced(file) from None
            paths.append(str(target or self.place.path(file.name)))
            uri = redact(join(self.place.uri, file.name))
            inputs.append(Input(name=f"{self.chosen.view}/{file.name}", uri=uri, fingerprint=digest))
        snapshot = Snapshot(files=tuple(files), paths=tuple(paths), inputs=tuple(inputs))
        self.check_unchanged(snapshot)
        return snapshot

    def check_unchanged(self, snapshot: Snapshot) -> None:
        """Look whether somebody replaced a file since its footer was read.

        Raises:
            ArtifactReplacedError: somebody did, so what was computed is not of the content that was recorded.
        """
        with self._reading():
            infos = self.place.filesystem.get_file_info([self.place.path(file.name) for file in snapshot.files])
        for file, info in zip(snapshot.files, infos, strict=True):
            if not info.is_file or (info.size, info.mtime_ns) != (file.size, file.changed):
                raise self._replaced(file)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what the storage says into one of our errors."""
        try:
            yield
        except OSError as error:
            raise StoreUnavailableError(
                f"offline data of {self.chosen.view!r} at {redact(self.place.uri)} cannot be read: "
                f"{redact(error.strerror or str(error))}",
                hint="Check that the storage is reachable and that there is room for a copy; then try again.",
                view=self.chosen.view,
            ) from error

    def _replaced(self, file: OfflineFile) -> ArtifactReplacedError:
        return ArtifactReplacedError(
            f"offline data of {self.chosen.view!r} changed while it was read: {file.name}",
            hint="An interval was materialized again at the same time. Try again; nothing was published.",
            view=self.chosen.view,
        )

    def _united(self) -> pa.Schema:
        import pyarrow as pa

        try:
            return pa.unify_schemas([file.schema for file in self.files], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            names = [name for name in self.chosen.columns if self._kinds(name) > 1]
            raise StoreRejectedError(
                f"feature view {self.chosen.view!r}: its {len(self.files)} files do not agree on the type of "
                f"{', '.join(map(repr, names)) or 'a column'}: {error}",
                hint="Materialize the older intervals again, so that all are of one type.",
                view=self.chosen.view,
            ) from error

    def _kinds(self, name: str) -> int:
        return len({str(file.schema.field(name).type) for file in self.files if name in file.schema.names})

    def _check_columns(self) -> None:
        names = self.schema.names
        missing = [name for name in self.chosen.columns if name not in names]
        if missing:
            guesses = "".join(did_you_mean(name, names) for name in missing)
            raise StoreRejectedError(
                f"feature view {self.chosen.view!r}: none of its {len(self.files)} files has a column "
                f"{', '.join(map(repr, missing))}.{guesses} They have: {', '.join(names)}.",
                hint="Feast's definition and the data have parted: materialize again, or take the feature out.",
                view=self.chosen.view,
                missing=missing,
            )
        for name in self.chosen.columns:
            # DuckDB does not tell them apart, and would take the one for the other.
            alike = [other for other in names if other != name and other.lower() == name.lower()]
            if alike:
                raise StoreRejectedError(
                    f"feature view {self.chosen.view!r}: columns {name!r} and {alike[0]!r} differ in nothing but case",
                    hint="Give one of them another name.",
                    view=self.chosen.view,
                )
        if problem := time_problem(self.schema.field(self.chosen.timestamp).type):
            raise ConfigError.invalid(
                where=self.chosen.view, key=self.chosen.timestamp, problem=f"in the offline data it {problem}"
            )


def _base(path: str, options: S3Options) -> tuple[Storage, str]:
    """Return the folder, and what file names below it must look like. Only ``*`` stands for something else."""
    steps = path.split("/")
    first = next((number for number, step in enumerate(steps) if "*" in step), None)
    if first is not None:
        return Storage("/".join(steps[:first]) or "/", options), "/".join(steps[first:])
    if path.endswith(".parquet"):
        return Storage(path.rpartition("/")[0] or "/", options), steps[-1]
    return Storage(path.rstrip("/"), options), "**/*.parquet"


def _listed(place: Storage, pattern: str) -> list[Any]:
    """Return the infos of the files, in the order of their names, without hidden ones."""
    import pyarrow.fs as pafs

    selector = pafs.FileSelector(place.root, allow_not_found=True, recursive="/" in pattern)
    flat = pattern.replace("**/", "").replace("[", "[[]").replace("?", "[?]")
    start = len(place.root.rstrip("/")) + 1
    found = [info for info in place.filesystem.get_file_info(selector) if info.is_file]
    named = [info for info in found if not any(step.startswith((".", "_")) for step in info.path[start:].split("/"))]
    return sorted((info for info in named if fnmatchcase(info.path[start:], flat)), key=lambda info: str(info.path))


def _footer(place: Storage, info: Any, chosen: Chosen) -> OfflineFile:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa
    import pyarrow.parquet as pq

    from airflow_provider_mlpipe.artifacts.writer import plain_schema

    try:
        with place.filesystem.open_input_file(info.path) as stream, pq.ParquetFile(stream) as parquet:
            schema, metadata = plain_schema(parquet.schema_arrow), parquet.metadata
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreRejectedError(
            f"feature view {chosen.view!r}: {redact(info.path)} cannot be read: {redact(str(error))}",
            hint="Materialize that interval again: it replaces the file as a whole.",
            view=chosen.view,
        ) from error
    first, last = _extent(metadata, chosen.timestamp)
    return OfflineFile(
        name=info.path[len(place.root.rstrip("/")) + 1 :],
        size=info.size,
        changed=info.mtime_ns,
        schema=schema.remove_metadata(),
        first=first,
        last=last,
    )


def _extent(metadata: Any, column: str) -> tuple[datetime | None, datetime | None]:  # noqa: ANN401 - pyarrow has no types
    """Return the first and the last time in the file, if all row groups tell."""
    firsts, lasts = [], []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        chunks = (row_group.column(number) for number in range(row_group.num_columns))
        chunk = next((chunk for chunk in chunks if chunk.path_in_schema == column), None)
        statistics = chunk.statistics if chunk is not None else None
        if statistics is None or not statistics.has_min_max:
            return None, None
        if not (isinstance(statistics.min, datetime) and isinstance(statistics.max, datetime)):
            return None, None
        firsts.append(_aware(statistics.min))
        lasts.append(_aware(statistics.max))
    return (min(firsts), max(lasts)) if firsts else (None, None)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
