"""Files on disk or in a bucket as a source: CSV, JSON, JSON lines, parquet."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.errors import SourceRejectedError, redact
from airflow_provider_mlpipe.ingestion.detection import detected
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.records import expected_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.fs as pafs

    from airflow_provider_mlpipe.config import Configured, FileSource, Source
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.stream import Stream

__all__ = ["FileReader", "SourceFile"]

_FORMATS = {
    ".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"
}  # fmt: skip
_PACKED = frozenset([".gz", ".bz2", ".zst"])
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourceFile:
    """One file: where it is, and how to open it."""

    path: str
    filesystem: pafs.FileSystem

    @property
    def name(self) -> str:
        """Its name without the folder."""
        return PurePosixPath(self.path).name

    @property
    def format(self) -> str | None:
        """What its name says it is."""
        path = PurePosixPath(self.path)
        if path.suffix in _PACKED:
            path = path.with_suffix("")
        return _FORMATS.get(path.suffix.lower())

    @contextmanager
    def named(self) -> Iterator[None]:
        """Say in which file it was that something could not be read."""
        import pyarrow as pa

        try:
            yield
        except pa.ArrowException as error:
            raise Unreadable(f"{self.name}: {error}") from error

    def unpacked(self) -> Any:  # noqa: ANN401 - pyarrow.NativeFile has no types
        """Open it as a stream of bytes, unpacked as its name says."""
        return self.filesystem.open_input_stream(self.path, compression="detect")

    def seekable(self) -> Any:  # noqa: ANN401 - pyarrow.NativeFile has no types
        """Open it for reading anywhere."""
        return self.filesystem.open_input_file(self.path)


class FileReader:
    """Reads one or many files as one table."""

    def __init__(self, source: Configured[Source], model: FileSource, connection: Connection) -> None:
        self._source, self._model, self._connection = source, model, connection

    @property
    def location(self) -> str:
        """The path as it was given."""
        return redact(self._model.path)

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""
        return self._connection.secrets

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Find the files, tell their common schema, and give their rows in the order of their names."""
        files = self._files()
        kind = self._format(files)
        if kind == "parquet":
            from airflow_provider_mlpipe.ingestion.parquet import parquet_stream

            yield parquet_stream(files, self._model.batch_size)
        elif kind == "csv":
            from airflow_provider_mlpipe.ingestion.csvfiles import csv_stream

            yield csv_stream(files)
        else:
            from airflow_provider_mlpipe.ingestion.jsonfiles import json_frames

            nested = self._model.nested
            frames = json_frames(files, self._model.batch_size, lines=kind == "jsonl", flat=nested == "flatten")
            expected = expected_columns(self._model)
            with detected(frames, expected=expected, structs=nested == "struct") as stream:
                yield stream

    def _files(self) -> list[SourceFile]:
        import pyarrow.fs as pafs

        place = Storage(self._model.path.rstrip("/"), self._connection.s3)
        system, path = place.filesystem, place.root
        wild = _WILD.search(path)
        if wild is None:
            info = system.get_file_info(path)
            if info.type == pafs.FileType.File:
                return [SourceFile(path, system)]
            found = _below(system, path, recursive=True) if info.type == pafs.FileType.Directory else []
            matching = [name for name in found if not _hidden(name, path)]
        else:
            base = path[: wild.start()].rpartition("/")[0]
            deep = "/" in path[wild.start() :]
            pattern = _pattern(path)
            matching = [name for name in _below(system, base, recursive=deep) if pattern.fullmatch(name)]
        if not matching:
            raise self._refused(
                "no file matches" if wild else "there is no such file or folder, or the folder holds no data files",
                "Check the path. * stands for any characters but /, ** also for folders.",
            )
        return [SourceFile(name, system) for name in sorted(matching)]

    def _format(self, files: list[SourceFile]) -> str:
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

    def _refused(self, problem: str, hint: str) -> SourceRejectedError:
        return SourceRejectedError.refused(source=self._source.name, location=self.location, problem=problem, hint=hint)


def _below(system: pafs.FileSystem, folder: str, *, recursive: bool) -> list[str]:
    import pyarrow.fs as pafs

    selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
    return [info.path for info in system.get_file_info(selector) if info.type == pafs.FileType.File]


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
