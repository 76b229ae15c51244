"""The labels: rows with entity keys, a time, and what a model is to learn. They are passed on, never changed."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import Artifact, Input, S3Options, Storage
from airflow_provider_mlpipe.errors import (
    ArtifactReplacedError,
    ConfigError,
    SourceRejectedError,
    SourceUnavailableError,
    did_you_mean,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["FileRows", "Labels", "is_file", "local_copy", "open_labels", "time_problem"]

_CSV = (".csv", ".csv.gz", ".csv.zst")
_ENDINGS = (".parquet", *_CSV)
_BLOCK = 4 * 1024 * 1024

WHERE = "training set"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Rows that can be read more than once, in the same order each time.

    Attributes:
        uri: where they come from, fit for a message.
        input: the reference that the manifest keeps.
        schema: theirs.
        rows: an `Artifact`, or a `FileRows`.
    """

    uri: str
    input: Input
    schema: pa.Schema
    rows: Artifact | FileRows

    @property
    def validation(self) -> str:
        """``passed``, ``failed``, or ``none`` for labels that were not validated as they are."""
        verdict = self.rows.verdict() if isinstance(self.rows, Artifact) else None
        if verdict is None:
            return "none"
        return "passed" if verdict.get("passed") is True else "failed"

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in order."""
        return self.rows.batches(columns)

    def check_unchanged(self) -> None:
        """Look whether somebody replaced the labels since they were first read.

        Raises:
            ArtifactReplacedError: somebody did.
        """
        if isinstance(self.rows, Artifact):
            self.rows.check_parts()
        elif self.rows.origin is not None and stamp_of(self.rows.origin) != self.rows.stamp:
            raise ArtifactReplacedError(
                f"the labels {self.uri} changed while they were read",
                hint="Try again; nothing was published.",
                uri=self.uri,
            )

    def check(self, columns: Sequence[str], time: str) -> None:
        """Look, before anything is computed, whether the columns are there and the time is one.

        Raises:
            ConfigError: a column is missing or there twice, or `time` is not a column of times.
        """
        names = self.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError.invalid(
                where=self.uri, key=repr(twice[0]), problem="the labels have two columns of this name"
            )
        missing = [name for name in dict.fromkeys([time, *columns]) if name not in names]
        if missing:
            guesses = "".join(did_you_mean(name, names) for name in missing)
            raise ConfigError(
                f"{self.uri}: the labels have no column {', '.join(map(repr, missing))}.{guesses} "
                f"They have: {', '.join(names)}.",
                hint="Labels need each entity key of the views and a time; event_timestamp names the column of times.",
                missing=missing,
            )
        if problem := time_problem(self.schema.field(time).type):
            raise ConfigError.invalid(
                where=self.uri,
                key=repr(time),
                problem=problem,
                hint="Make it a timestamp (one without zone is taken as UTC), or name another column.",
            )


@dataclass(frozen=True)
class FileRows:
    """A local parquet file, read like an artifact.

    Attributes:
        path: the file.
        origin: the file that it was made from, or itself.
        stamp: what `stamp_of` said of the origin before it was first read.
    """

    path: Path
    origin: Path | None = None
    stamp: tuple[int, int] = (0, 0)

    def batches(self, columns: Sequence[str] | None = None, batch_size: int = 131_072) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in order."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as parquet:
            yield from parquet.iter_batches(batch_size=batch_size, columns=columns)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and time of change, (0, 0) if the file is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def time_problem(kind: pa.DataType) -> str:
    """Return why a column of this type is no column of times; empty if it is one."""
    import pyarrow as pa

    return "" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else f"is {kind}, not a timestamp"


def is_file(labels: str) -> bool:
    """Return whether this names a file of labels; anything else is an artifact's address."""
    return labels.lower().endswith(_ENDINGS)


@contextmanager
def open_labels(
    labels: Artifact | str | Path, options: S3Options, scratch: Path, texts: Mapping[str, str]
) -> Iterator[Labels]:
    """Open labels wherever they are.

    Args:
        labels: an artifact, its address, or a parquet or CSV file on disk or at ``s3://``.
        options: how to reach S3.
        scratch: a folder for copies.
        texts: SQL types by column for a CSV file, which has none: its keys and its time must not be guessed, for
            ``007`` is not 7. The other columns' types are told from all their values.

    Raises:
        ArtifactNotFoundError: no such artifact.
        SourceRejectedError: no such file, or not one of labels.
        SourceUnavailableError: the bucket does not answer.
    """
    if isinstance(labels, Path):
        labels = str(labels)
    if isinstance(labels, str) and not is_file(labels):
        labels = Artifact.open(labels, options)
    if isinstance(labels, Artifact):
        yield Labels(uri=redact(labels.uri), input=labels.as_input("labels"), schema=labels.schema, rows=labels)
        return
    uri = redact(labels)
    local, digest, stamp = _fetched(labels, options, scratch)
    path = local if local.name.lower().endswith(".parquet") else _as_parquet(local, scratch, texts, uri)
    yield Labels(
        uri=uri,
        input=Input(name="labels", uri=uri, fingerprint=digest),
        schema=_schema(path, uri),
        rows=FileRows(path, local, stamp),
    )


def _schema(path: Path, uri: str) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(uri, str(error)) from error


def _fetched(uri: str, options: S3Options, scratch: Path) -> tuple[Path, str, tuple[int, int]]:
    """Return a local path with the file's content, its fingerprint, and its stamp."""
    folder, _, name = uri.rpartition("/")
    place = Storage(folder or ("/" if uri.startswith("/") else "."), options)
    target = None if place.is_local else scratch / f"labels-{name}"
    local = target or Path(place.path(name))
    try:
        before = stamp_of(local)
        digest = local_copy(place, name, target)
    except FileNotFoundError:
        raise _unreadable(redact(uri), "there is no such file") from None
    except OSError as error:
        if place.is_local:
            raise _unreadable(redact(uri), redact(str(error))) from error
        raise SourceUnavailableError.unreachable(source="labels", location=uri, problem=str(error)) from error
    return local, digest, before if target is None else stamp_of(target)


def local_copy(place: Storage, name: str, target: Path | None) -> str:
    """Read a file once, copy it to `target` if that is given, and return the fingerprint of its bytes."""
    digest = hashlib.sha256()
    with place.filesystem.open_input_stream(place.path(name), compression=None) as source:
        sink = None if target is None else target.open("wb")
        try:
            while block := source.read(_BLOCK):
                digest.update(block)
                if sink is not None:
                    sink.write(block)
        finally:
            if sink is not None:
                sink.close()
    return f"file-{digest.hexdigest()[:40]}"


def _as_parquet(path: Path, scratch: Path, texts: Mapping[str, str], uri: str) -> Path:
    """Turn a CSV file into parquet, row by row in its order."""
    import duckdb

    from airflow_provider_mlpipe.engines import DuckDBEngine, literal

    target = scratch / "labels.parquet"
    try:
        with DuckDBEngine.open() as engine:
            engine.connection.execute("SET preserve_insertion_order = true")
            read = f"read_csv({literal(str(path))}, header = true, sample_size = -1"
            found = {str(row[0]) for row in engine.rows(f"DESCRIBE SELECT * FROM {read})")}  # noqa: S608
            types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in texts.items() if name in found)
            typed = f", types = {{{types}}}" if types else ""
            engine.connection.execute(f"COPY (SELECT * FROM {read}{typed})) TO {literal(str(target))} (FORMAT parquet)")  # noqa: S608
    except duckdb.Error as error:
        raise _unreadable(uri, str(error).partition("\n\n")[0]) from error
    return target


def _unreadable(uri: str, problem: str) -> SourceRejectedError:
    return SourceRejectedError.refused(
        source="labels",
        location=uri,
        problem=f"the labels cannot be read: {problem}",
        hint=f"Give an artifact, or a file that ends in {', '.join(_ENDINGS)}.",
    )
