"""One file of a source: where it is, which version of it, and how to open it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.failures import Replaced, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.fs as pafs

__all__ = ["SourceFile"]

_FORMATS = {
    ".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"
}  # fmt: skip
_PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass
class SourceFile:
    """One file.

    Attributes:
        path: as its file system names it.
        filesystem: where it is.
        version: the ETag in a bucket, else time and size; empty until it is known. Once it is, another one is an error.
        size: in bytes, as listed.
    """

    path: str
    filesystem: pafs.FileSystem
    version: str = ""
    size: int = 0

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
        """Say in which file it was that something could not be read; if it was replaced, say that."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, UnicodeDecodeError) as error:
            self.check()
            raise Unreadable(f"{self.name}: {error}") from error
        except OSError as error:
            if self.name in str(error):
                raise
            raise type(error)(f"{self.name}: {error}") from error

    def unpacked(self) -> Any:  # noqa: ANN401 - pyarrow.NativeFile has no types
        """Open it as a stream of bytes, unpacked as its name says."""
        import pyarrow as pa

        stream = self._checked(self.filesystem.open_input_stream(self.path, compression=None))
        codec = _PACKED.get(PurePosixPath(self.path).suffix)
        return stream if codec is None else pa.CompressedInputStream(stream, codec)

    def seekable(self) -> Any:  # noqa: ANN401 - pyarrow.NativeFile has no types
        """Open it for reading anywhere."""
        return self._checked(self.filesystem.open_input_file(self.path))

    def check(self) -> None:
        """Compare what is there now with what was opened first.

        Raises:
            Replaced: it is another version, or gone.
        """
        try:
            self.seekable().close()
        except FileNotFoundError as error:
            raise Replaced(f"{self.name} was removed while it was read") from error

    def _checked(self, opened: Any) -> Any:  # noqa: ANN401
        version = self._version(opened)
        if self.version and version != self.version:
            opened.close()
            raise Replaced(f"{self.name} was replaced while it was read")
        self.version = version
        return opened

    def _version(self, opened: Any) -> str:  # noqa: ANN401
        tag = (opened.metadata() or {}).get("ETag", b"")
        if tag:
            return str(tag.decode().strip('"'))
        info = self.filesystem.get_file_info(self.path)
        return f"{info.mtime_ns}-{info.size}"
