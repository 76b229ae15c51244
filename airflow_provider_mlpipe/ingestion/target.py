"""Where rows go: an artifact, or (for the small Python API) one parquet file. Both appear as a whole or not at all."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_mlpipe.artifacts import MANIFEST, Artifact, ArtifactWriter, Description
from airflow_provider_mlpipe.artifacts.siblings import siblings
from airflow_provider_mlpipe.artifacts.writer import ROW_GROUP_ROWS, plain_batch, plain_schema
from airflow_provider_mlpipe.errors import ArtifactError, PublishError
from airflow_provider_mlpipe.ingestion.evolution import Accepted
from airflow_provider_mlpipe.ingestion.quarantine import quarantine_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.run import Run

__all__ = ["ArtifactTarget", "FileTarget", "Target"]

LOOK_BACK = 10
"""Partitions that are looked at for the last accepted schema: unpublished ones are rare."""


class Target(Protocol):
    """Opens writers with ``write(batch)`` and ``publish(...)``."""

    def writer(self, schema: pa.Schema) -> AbstractContextManager[Any]:
        """Open the place of the good rows."""

    def quarantine(self) -> AbstractContextManager[Any]:
        """Open the place of the others; its ``publish()`` returns where that is."""

    def has_quarantine(self) -> bool:
        """Whether an earlier attempt left a quarantine there."""

    def accepted(self) -> Accepted | None:
        """Return the schema that was last published; None if there was none."""


@dataclass(frozen=True, kw_only=True)
class ArtifactTarget:
    """``{root}/{dataset}/raw/{partition}``, and ``quarantine`` beside ``raw``."""

    root: Storage
    source: Configured[Source]
    run: Run

    def _description(self, stage: str) -> Description:
        return Description(
            dataset=self.source.model.dataset or self.source.name,
            stage=stage,
            run=self.run,
            config_hash=self.source.document.text_hash,
        )

    @property
    def stage(self) -> Storage:
        """The folder of the dataset's raw partitions."""
        return self.root.below(self._description("raw").folder.rpartition("/")[0])

    def writer(self, schema: pa.Schema) -> ArtifactWriter:
        """Open the artifact."""
        return ArtifactWriter(self.root, self._description("raw"), schema)

    @contextmanager
    def quarantine(self) -> Iterator[Any]:
        """Open the quarantine artifact."""
        with ArtifactWriter(self.root, self._description("quarantine"), quarantine_schema()) as writer:
            yield _Located(writer)

    def has_quarantine(self) -> bool:
        """Whether an earlier attempt published one."""
        return self.root.below(self._description("quarantine").folder).read(MANIFEST) is not None

    def accepted(self) -> Accepted | None:
        """Return the schema of the newest earlier partition that can be read.

        Earlier are those whose interval ends before, or when, that of this run begins, so that a replay of an old day
        compares with what that day compared with. A run without an interval is later than all others.
        """
        interval = self.run.interval
        start = None if interval is None or interval.empty else interval.start
        found = siblings(self.stage, self.run.partition)
        earlier = [one for one in found if start is None or (one.end is not None and one.end <= start)]
        for one in earlier[:LOOK_BACK]:
            try:
                return Accepted(Artifact.open(self.stage.below(one.name).uri, self.root.options).schema, one.name)
            except ArtifactError:  # a folder without a manifest: a run that never published
                continue
        return None


@dataclass(frozen=True)
class _Located:
    """An artifact writer whose publish returns the address."""

    writer: ArtifactWriter

    def write(self, batch: pa.RecordBatch) -> None:
        self.writer.write(batch)

    def publish(self) -> str:
        return self.writer.publish({"records_failed": self.writer.rows}).uri


@dataclass(frozen=True)
class FileTarget:
    """One parquet file at `path`, and ``name.quarantine.parquet`` beside it."""

    path: Path

    @contextmanager
    def writer(self, schema: pa.Schema) -> Iterator[_ParquetFile]:
        """Open the file under a temporary name."""
        with _ParquetFile.open(self.path, schema) as file:
            yield file

    @contextmanager
    def quarantine(self) -> Iterator[_ParquetFile]:
        """Open the quarantine under a temporary name."""
        with _ParquetFile.open(self._beside, quarantine_schema()) as file:
            yield file

    def has_quarantine(self) -> bool:
        """Whether an earlier run left one."""
        return self._beside.exists()

    def accepted(self) -> Accepted | None:
        """Return None: a file that stands alone is the schema's whole history, and it is about to be replaced."""
        return None

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.quarantine.parquet")


class _ParquetFile:
    """A parquet file that gets its name when it is complete."""

    def __init__(self, path: Path, temporary: Path, writer: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        self._path, self._temporary, self._writer = path, temporary, writer
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    @classmethod
    @contextmanager
    def open(cls, path: Path, schema: pa.Schema) -> Iterator[_ParquetFile]:
        import pyarrow.parquet as pq

        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(temporary, plain_schema(schema), compression="zstd") as writer:
                yield cls(path, temporary, writer)
        except OSError as error:
            raise PublishError.failed(str(path), error.strerror or str(error)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; they wait until a whole row group is together."""
        self._waiting.append(plain_batch(batch))
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        arrays = [pa.chunked_array(columns) for columns in zip(*(b.columns for b in self._waiting), strict=True)]
        if self._rows:
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._writer.schema))
        self._waiting, self._rows = [], 0

    def publish(self, metrics: Mapping[str, Any] | None = None, _: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Give the file its name; return the metrics, or the path if there are none. A bare file keeps no details."""
        self._flush()
        self._writer.close()
        self._temporary.replace(self._path)
        return str(self._path) if metrics is None else dict(metrics)
