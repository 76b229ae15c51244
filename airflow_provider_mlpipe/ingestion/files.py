"""Files on disk or in a bucket as a source: CSV, JSON, JSON lines, parquet."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.artifacts.manifest import decode_schema, encode_schema
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, did_you_mean, redact
from airflow_provider_mlpipe.ingestion.filestate import KEY, Choice, NotAsReadError, chosen
from airflow_provider_mlpipe.ingestion.listing import files_at, is_glob
from airflow_provider_mlpipe.ingestion.markers import moments_of, needs_interval
from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile
from airflow_provider_mlpipe.ingestion.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, FileSource, Source
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.stream import Chunk
    from airflow_provider_mlpipe.run import Run

__all__ = ["FileReader", "SourceFile"]

_MOMENT = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_DAY = "%Y-%m-%d"


class FileReader:
    """Reads one or many files as one table.

    Args:
        source: the configured source.
        model: the same, as what it is.
        connection: how to reach a bucket.
        run: who reads; None if nothing depends on it.
        as_of: the end of what is read; that of the run's interval if None.
        stage: the folder of the dataset's partitions, where `only_new` looks for what was read; None if rows go
            elsewhere.

    Raises:
        ConfigError: the path names a time that the run does not have, or only_new has nowhere to look.
    """

    def __init__(
        self,
        source: Configured[Source],
        model: FileSource,
        connection: Connection,
        *,
        run: Run | None = None,
        as_of: datetime | None = None,
        stage: Storage | None = None,
    ) -> None:
        self._source, self._model, self._connection = source, model, connection
        self._run, self._stage = run, stage
        self._path = self._dated(model.path, run, as_of)
        if model.only_new and (run is None or stage is None):
            raise self._misconfigured(
                "only_new", "what was read stands in the manifests of artifacts, and none is written here", ""
            )

    @property
    def location(self) -> str:
        """The path as it was given, with its times filled in."""
        return redact(self._path)

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""
        return self._connection.secrets

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Find the files, tell their common schema, and give their rows in the order of their names."""
        files = self.files()
        kind = self.format_of(files)
        choice = self._choice(files) if self._model.only_new else Choice(files, {})
        with ExitStack() as stack:
            # Without a file to read there is one that was read, and what it gave is known.
            if choice.read:
                stream = self._stream(choice.read, kind, stack)
            else:
                stream = Stream(decode_schema(choice.schema), iter(()))
            stream.chunks = _until_checked(stream.chunks, choice.read)
            stream.details[KEY] = self._said(choice, stream)
            yield stream

    def files(self) -> list[SourceFile]:
        """Return the files that the path means, in the order of their names.

        Raises:
            SourceRejectedError: there is none.
        """
        found = self._listed(versions=self._model.only_new)
        if not found:
            raise self._refused(
                "no file matches"
                if is_glob(self._path)
                else "there is no such file or folder, or the folder holds no data files",
                "Check the path. * stands for any characters but /, ** also for folders.",
            )
        return found

    def awaited(self) -> Choice:
        """Return what the run would read now, with versions: nothing is no error here, for it may come yet."""
        files = self._listed(versions=True)
        return self._choice(files, level=logging.DEBUG) if self._model.only_new else Choice(files, {})

    def _listed(self, *, versions: bool) -> list[SourceFile]:
        try:
            return files_at(Storage(self._path.rstrip("/"), self._connection.s3), versions=versions)
        except ImportError as error:
            raise self._misconfigured("only_new", "listing a bucket needs boto3", "Install the extra [s3].") from error

    def format_of(self, files: Sequence[SourceFile]) -> str:
        """Return the format of `files`: ``csv``, ``json``, ``jsonl`` or ``parquet``.

        Raises:
            SourceRejectedError: their names tell none, or several.
        """
        if self._model.format != "auto":
            return self._model.format
        formats = {file.format for file in files}
        if len(formats) == 1 and (only := formats.pop()) is not None:
            return only
        odd = next((file for file in files if file.format is None), None)
        problem = (
            "the files are of different formats" if odd is None else f"the name {odd.name!r} does not tell the format"
        )
        raise self._refused(problem, "Set format to csv, json, jsonl or parquet, or narrow the path with a glob.")

    def _stream(self, files: Sequence[SourceFile], kind: str, stack: ExitStack) -> Stream:
        model = self._model
        if kind == "parquet":
            from airflow_provider_mlpipe.ingestion.parquet import BATCH_ROWS, parquet_stream

            # Wide rows are bounded by their bytes, so only who asks for it gets small batches.
            rows = model.batch_size if "batch_size" in model.model_fields_set else BATCH_ROWS
            stream = parquet_stream(files, rows, select=model.select, declared=self._declared())
        elif kind == "csv":
            from airflow_provider_mlpipe.ingestion.csvfiles import csv_stream

            stream = csv_stream(files, model.csv, select=model.select, longest=model.max_record_bytes)
        else:
            return self._json_stream(files, stack, lines=kind == "jsonl")
        self._require_selected(stream.schema.names)
        return stream

    def _json_stream(self, files: Sequence[SourceFile], stack: ExitStack, *, lines: bool) -> Stream:
        model = self._model
        from airflow_provider_mlpipe.ingestion.detection import detected
        from airflow_provider_mlpipe.ingestion.jsonfiles import JsonReading, json_frames
        from airflow_provider_mlpipe.ingestion.records import expected_columns

        reading = JsonReading(
            batch_size=model.batch_size,
            lines=lines,
            flat=model.nested == "flatten",
            select=frozenset(model.select),
            longest=model.max_record_bytes,
        )
        expected = [*dict.fromkeys([*expected_columns(model), *model.select])]
        frames = json_frames(files, reading)
        stream = stack.enter_context(detected(frames, expected=expected, structs=model.nested == "struct"))
        self._require_selected(sorted(reading.seen) or expected)  # without any record nothing is missing
        return stream

    def _declared(self) -> dict[str, str]:
        """Return the declared types by the files' names."""
        return {self._model.columns.get(name) or name: word for name, word in self._model.types.items()}

    def _choice(self, files: Sequence[SourceFile], *, level: int = logging.INFO) -> Choice:
        assert self._run is not None  # noqa: S101 - the constructor looked
        assert self._stage is not None  # noqa: S101
        try:
            return chosen(files, self._stage, self._run, level=level)
        except NotAsReadError as error:
            names = ", ".join(error.names[:5]) + (" ..." if len(error.names) > 5 else "")
            raise self._refused(
                f"{len(error.names)} of the {error.of} files that {error.partition} read are gone or changed since: "
                f"{names}",
                "A run that published reads the same again. Put them back; or delete that partition, and the run "
                "reads what no other partition has read.",
            ) from error

    def _said(self, choice: Choice, stream: Stream) -> dict[str, Any]:
        """Return what the manifest says of the files; versions only where a later run looks at them."""
        said: dict[str, Any] = {"count": len(choice.read), "bytes": sum(file.size for file in choice.read)}
        if self._model.only_new:
            said["read"] = {file.path: file.version for file in choice.read}
            said["skipped"] = dict(choice.skipped)
            said["schema"] = encode_schema(stream.schema)
            said["sequence"] = choice.sequence
        return said

    def _require_selected(self, available: Sequence[str]) -> None:
        missing = [name for name in self._model.select if name not in available]
        if missing:
            raise SourceRejectedError.missing_columns(
                source=self._source.name, location=self.location, missing=missing, available=list(available)
            )

    def _dated(self, path: str, run: Run | None, as_of: datetime | None) -> str:
        moments = moments_of(run, as_of)

        def filled(match: re.Match[str]) -> str:
            word, form = match[1], match[2]
            if word not in moments:
                problem = f"{match[0]} stands for nothing.{did_you_mean(word, list(moments))}"
                raise self._misconfigured("path", problem, "Write {start:%Y/%m/%d} or {end:%Y/%m/%d}.")
            moment = moments[word]
            if moment is None:
                raise self._misconfigured("path", needs_interval(match[0]), "Give an interval or as_of.")
            return moment.strftime(form or _DAY)

        return _MOMENT.sub(filled, path)

    def _misconfigured(self, key: str, problem: str, hint: str) -> ConfigError:
        return ConfigError.invalid(where=self._source.where(key), key=key, problem=problem, hint=hint)

    def _refused(self, problem: str, hint: str) -> SourceRejectedError:
        return SourceRejectedError.refused(source=self._source.name, location=self.location, problem=problem, hint=hint)


def _until_checked(chunks: Iterator[Chunk], files: Sequence[SourceFile]) -> Iterator[Chunk]:
    """Yield all chunks, and then make sure that the files are still those that were opened."""
    yield from chunks
    for file in files:
        file.check()
