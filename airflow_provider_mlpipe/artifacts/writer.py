"""Writing an artifact: parts first, manifest last.

While a writer is at work its parts are invisible, because readers follow the manifest. `publish` swaps the manifest in
one atomic step and only then removes what the previous attempt left. A process killed at any moment leaves the old
artifact or none.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.artifacts.artifact import Artifact
from airflow_provider_mlpipe.artifacts.fingerprint import Fingerprint
from airflow_provider_mlpipe.artifacts.manifest import (
    MANIFEST,
    Input,
    Manifest,
    Part,
    encode_schema,
    schema_fields,
)
from airflow_provider_mlpipe.errors import ArtifactReplacedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts.storage import Storage
    from airflow_provider_mlpipe.run import Run

__all__ = ["ArtifactWriter", "Description"]

ROW_GROUP_ROWS = 131_072
ROW_GROUP_BYTES = 64 * 1024 * 1024
PART_ROWS = 4_194_304
DICTIONARY_BYTES = 256 * 1024
"""Parquet's usual 1 MiB per column costs tens of megabytes while a row group is encoded; zstd makes up for the rest."""
SAMPLE_ROWS = 16_384
DISTINCT_SHARE = 0.75
"""A column of which more of the first rows differ than this has some 30,000 values or more in a row group. Eight bytes
each fill a dictionary, and what was spent on it is lost: without one, files are smaller and take a sixth less CPU."""
_VERSIONED = ("airflow-provider-mlpipe", "pyarrow", "duckdb")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What an artifact is called and where it comes from: everything in a manifest that the rows do not say."""

    dataset: str
    stage: str
    run: Run
    config_hash: str = ""
    inputs: tuple[Input, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The artifact's folder below the artifact root."""
        return f"{self.dataset}/{self.stage}/{self.run.partition}"


class ArtifactWriter:
    """Takes record batches of one schema and publishes them as one artifact.

    Use it as a context manager: leaving it without `publish` discards what was written.

    Args:
        root: the artifact root.
        description: the artifact's name and origin.
        schema: the schema of every batch; batches are cast to it safely, so that a drifting source fails loudly.
        volatile: columns that do not count for the fingerprint.

    Raises:
        PublishError: the storage refused; nothing was published.
    """

    def __init__(
        self, root: Storage, description: Description, schema: pa.Schema, *, volatile: tuple[str, ...] = ()
    ) -> None:
        self._place = root.below(description.folder)
        self._description = description
        self._schema = plain_schema(schema)
        self._fingerprint = Fingerprint(self._schema, volatile)
        self._attempt = f"t{description.run.try_number}-{uuid.uuid4().hex[:12]}"
        self._started = time.time()
        self._parts: list[Part] = []
        self._open: _OpenPart | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._published = False
        self.rows = 0
        self._place.make_folder()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard everything unless it was published."""
        if self._published:
            return
        answers = self._open is None or self._open.abandon()
        if not answers and error is not None and not isinstance(error, Exception):
            return  # told to stop, and there is no time to wait for a storage that does not answer
        for name in [part.name for part in self._parts] + ([self._open.name] if self._open else []):
            self._place.delete(name)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. They are held back until a whole row group is together, never longer."""
        import pyarrow as pa

        if batch.num_rows == 0:
            return
        if batch.schema != self._schema:
            batch = pa.Table.from_batches([plain_batch(batch)]).cast(self._schema).combine_chunks().to_batches()[0]
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def write_all(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add every batch of a stream."""
        for batch in batches:
            self.write(batch)

    def publish(self, metrics: Mapping[str, Any] | None = None, details: Mapping[str, Any] | None = None) -> Artifact:
        """Make what was written the artifact, in place of what was there, and return it.

        Args:
            metrics: values by the names of the metric registry.
            details: added to the description's details; what is only known after the last row.
        """
        self._flush(last=True)
        manifest = Manifest(
            dataset=self._description.dataset,
            stage=self._description.stage,
            partition=self._description.run.partition,
            rows=self.rows,
            bytes=sum(part.bytes for part in self._parts),
            fingerprint=self._fingerprint.digest(),
            parts=tuple(self._parts),
            schema=schema_fields(self._schema),
            arrow_schema=encode_schema(self._schema),
            run=self._description.run.as_dict(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            config_hash=self._description.config_hash,
            inputs=self._description.inputs,
            metrics=dict(metrics or {}),
            details={**self._description.details, **(details or {})},
            versions=_versions(),
        )
        present = self._place.names()
        for part in self._parts:
            if part.name not in present:
                raise ArtifactReplacedError.meanwhile(self._place.uri, part.name)
        self._place.replace(MANIFEST, manifest.to_json())
        self._published = True
        self._sweep(present)
        return Artifact(self._place, manifest)

    def _flush(self, *, last: bool = False) -> None:
        """Write what waits as one row group; an artifact without rows still gets a part, for its schema."""
        import pyarrow as pa

        if not self._waiting and not (last and not self._parts and self._open is None):
            if last and self._open is not None:
                self._close_part()
            return
        table = pa.Table.from_batches(self._waiting, schema=self._schema)  # not combined: that would hold all twice
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0
        self._fingerprint.update(table)
        if self._open is None:
            name = f"part-{self._attempt}-{len(self._parts):05d}.parquet"
            self._open = _OpenPart(self._place, name, table)
        self._open.write(table)
        if last or self._open.rows >= PART_ROWS:
            self._close_part()

    def _close_part(self) -> None:
        assert self._open is not None  # noqa: S101 - callers checked
        self._parts.append(self._open.close())
        self._open = None

    def _sweep(self, present: dict[str, float]) -> None:
        """Remove what earlier attempts left: the parts that the old manifest listed, and what killed processes began.

        Files written after this attempt began belong to one that runs at the same time, and stay.
        """
        own = {part.name for part in self._parts}
        for name, modified in present.items():
            left = name.startswith(("part-", f".{MANIFEST}.")) and name not in own
            if left and modified < self._started:
                self._place.delete(name)


class _OpenPart:
    """A parquet file being written, hashed on its way out so that it need not be read again.

    Args:
        place: the artifact's folder.
        name: of the file.
        first: the rows that will come first; how the columns are encoded goes by them.
    """

    def __init__(self, place: Storage, name: str, first: pa.Table) -> None:
        import pyarrow.parquet as pq

        self.name = name
        self.rows = 0
        self._place = place
        with place.publishing(name):
            self._sink = _HashingSink(place.filesystem.open_output_stream(place.path(name), compression=None))
            try:
                self._writer = pq.ParquetWriter(
                    self._sink,
                    first.schema,
                    compression="zstd",
                    compression_level=1,
                    dictionary_pagesize_limit=DICTIONARY_BYTES,
                    use_dictionary=_columns_with_dictionary(first),
                    write_statistics=_columns_with_statistics(first.schema),
                )
            except OSError:  # no room for its first bytes
                with suppress(OSError):
                    self._sink.close()
                place.delete(name)
                raise

    def write(self, table: pa.Table) -> None:
        with self._place.publishing(self.name):
            self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self.rows += table.num_rows

    def close(self) -> Part:
        with self._place.publishing(self.name):
            self._writer.close()
            self._sink.close()
        return Part(name=self.name, rows=self.rows, bytes=self._sink.size, sha256=self._sink.sha256.hexdigest())

    def abandon(self) -> bool:
        """Let go of the file after a failure; return whether the system had nothing to say against it."""
        fine = True
        for thing in (self._writer, self._sink):
            try:
                thing.close()
            except OSError:
                fine = False
        return fine


class _HashingSink:
    """A writable file object that passes bytes on and keeps their SHA-256 and number."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - pyarrow.NativeFile has no types
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed)

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes, or a pyarrow buffer
        view = memoryview(data)
        self.sha256.update(view)
        self._stream.write(data)
        self.size += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        if not self.closed:
            self._stream.close()


def _columns_with_dictionary(table: pa.Table) -> list[str]:
    """Return the paths of the columns whose values repeat, as far as the first rows tell; all inside nested ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = table.slice(0, SAMPLE_ROWS)
    found: list[str] = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        if pa.types.is_nested(column.type):
            found.extend(_leaves(name, column.type))
        elif rows.num_rows < SAMPLE_ROWS or pc.count_distinct(column).as_py() <= DISTINCT_SHARE * rows.num_rows:
            found.append(name)
    return found


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    """Yield the paths that Parquet gives the leaves of a type."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(f"{path}.{child.name}", child.type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    elif pa.types.is_nested(kind) and not pa.types.is_union(kind):  # a union is for Parquet to refuse
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path


def _columns_with_statistics(schema: pa.Schema) -> list[str]:
    """Return the columns whose least and greatest value go into the footer: flat ones that are not floating-point.

    Parquet leaves NaN out of these statistics, and DuckDB concludes from them that there is none: ``WHERE isnan(x)``
    finds nothing, ``x > 5`` misses NaN, and ``CASE WHEN isnan(x) ...`` is folded away. No statistics, no conclusion.
    """
    import pyarrow as pa

    return [f.name for f in schema if not pa.types.is_nested(f.type) and not pa.types.is_floating(f.type)]


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return `schema` without dictionaries, extension types, half floats and metadata: readers differ on them."""
    import pyarrow as pa

    return pa.schema([pa.field(f.name, _plain_type(f.type), f.nullable) for f in schema])


def unwritable(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the columns of `schema` whose type parquet cannot hold."""
    return {} if _writable(schema) else {f.name: f.type for f in schema if not _writable([f])}


def _writable(fields: Iterable[pa.Field]) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema(fields)).close()
    except pa.ArrowNotImplementedError:
        return False
    return True


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return `batch` in the types of `plain_schema`."""
    import pyarrow as pa

    columns = []
    for column, kind in zip(batch.columns, plain_schema(batch.schema).types, strict=True):
        storage = column.storage if isinstance(column, pa.ExtensionArray) else column
        columns.append(storage if storage.type == kind else storage.cast(kind))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    # Half floats are rare enough that readers (DuckDB for one) do not know them; single precision holds each exactly.
    return pa.float32() if pa.types.is_float16(kind) else kind


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
