"""Files that no stage wrote, made an artifact where they are: to be judged, and used if they pass.

Parquet files that an artifact could consist of stay where they are: the manifest names them by address. All others
(CSV, JSON, packed files, parquet with types that readers differ on) are read once and kept as parquet. In either case
manifest, verdict and report lie below the artifact root, and nothing is ever written beside files of somebody else.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import (
    MANIFEST,
    Artifact,
    ArtifactWriter,
    Description,
    Manifest,
    Part,
    S3Options,
    Storage,
)
from airflow_provider_mlpipe.artifacts.manifest import encode_schema, schema_fields
from airflow_provider_mlpipe.artifacts.writer import plain_schema
from airflow_provider_mlpipe.config import source as configured_source
from airflow_provider_mlpipe.errors import ArtifactNotFoundError, SourceRejectedError, redact
from airflow_provider_mlpipe.ingestion.connection import Connection
from airflow_provider_mlpipe.ingestion.failures import Edge
from airflow_provider_mlpipe.ingestion.files import FileReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, FileSource
    from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile
    from airflow_provider_mlpipe.ingestion.stream import Stream
    from airflow_provider_mlpipe.run import Run

__all__ = ["STAGE", "adopt"]

logger = logging.getLogger(__name__)

STAGE = "external"
_BLOCK = 8 * 1024 * 1024


def adopt(path: str, *, dataset: str, root: Storage, run: Run, options: S3Options | None = None) -> Artifact:
    """Return the artifact at `path`, or an artifact of the files there.

    Args:
        path: an artifact's URI; or a file, a folder or a glob, local or ``s3://``.
        dataset: what the artifact is called if it is made of files.
        root: the artifact root, where its manifest goes then: ``{root}/{dataset}/external/{partition}``.
        run: who asks; decides the partition.
        options: how to reach `path` if it is in a bucket; as the root if absent.

    Raises:
        ArtifactNotFoundError: there is nothing, or a folder below the artifact root without a manifest: what a stage
            did not publish does not exist.
        SourceRejectedError: the files cannot be read as a table.
        SourceUnavailableError: the storage does not answer.
        PublishError: the artifact root refused.
    """
    options = options or root.options
    try:
        return Artifact.open(path, options)
    except ArtifactNotFoundError:
        if _below(path, root):
            raise
    model: Configured[FileSource] = configured_source(  # type: ignore[assignment] # the type says which source
        {"sources": {dataset: {"type": "file", "path": path}}}, dataset
    )
    reader = FileReader(model, model.model, Connection(s3=options))
    edge = Edge(dataset, reader.location, reader.secrets)
    with edge.mapped():
        try:
            files = reader.files()
            kind = reader.format_of(files)
        except SourceRejectedError as error:
            if "no such file" in error.message or "no file matches" in error.message:
                raise ArtifactNotFoundError.at(path) from error
            raise
        details = {"external": {"path": redact(path), "format": kind, "files": len(files)}}
        described = Description(dataset=dataset, stage=STAGE, run=run, details=details)
        if kind == "parquet" and (schema := _common_schema(files)) is not None and _reachable(path, root, options):
            return _by_reference(files, schema, root.below(described.folder), described)
    return _converted(reader, edge, root, described)


def _below(path: str, root: Storage) -> bool:
    """Whether `path` lies in the artifact root, where only what has a manifest counts."""
    place = Storage(path.rstrip("/"), root.options)
    return place.is_local == root.is_local and f"{place.root}/".startswith(f"{root.root}/")


def _reachable(path: str, root: Storage, options: S3Options) -> bool:
    """Whether who opens the artifact root reaches the files by the same means."""
    local = Storage(path).is_local
    return local == root.is_local and (local or options == root.options)


def _common_schema(files: Sequence[SourceFile]) -> pa.Schema | None:
    """Return the schema of all files if it is one, and one that an artifact may have; else None."""
    import pyarrow.parquet as pq

    found: pa.Schema | None = None
    for file in files:
        with file.named(), file.seekable() as opened:
            schema = pq.read_schema(opened).remove_metadata()
        if schema != plain_schema(schema) or (found is not None and schema != found):
            return None
        found = schema
    return found


def _by_reference(files: Sequence[SourceFile], schema: pa.Schema, place: Storage, described: Description) -> Artifact:
    """Publish a manifest that names the files where they are; their bytes are read once, for the fingerprint."""
    parts = tuple(_part(file, place) for file in files)
    # Order counts here, other than among rows: these are files, and nobody looked into them.
    digest = hashlib.sha256("\n".join(part.sha256 for part in parts).encode()).hexdigest()[:40]
    manifest = Manifest(
        dataset=described.dataset,
        stage=described.stage,
        partition=described.run.partition,
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        fingerprint=f"files-{digest}",
        parts=parts,
        schema=schema_fields(schema),
        arrow_schema=encode_schema(schema),
        run=described.run.as_dict(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        details={"external": {**described.details["external"], "by_reference": True}},
    )
    place.make_folder()
    place.replace(MANIFEST, manifest.to_json())
    logger.info("%s: %d files by reference", redact(place.uri), len(parts))
    return Artifact(place, manifest)


def _part(file: SourceFile, place: Storage) -> Part:
    import pyarrow.parquet as pq

    digest, size = hashlib.sha256(), 0
    with file.named(), file.seekable() as opened:
        rows = pq.read_metadata(opened).num_rows
        opened.seek(0)
        while block := opened.read(_BLOCK):
            digest.update(block)
            size += len(block)
    address = file.path if place.is_local else f"s3://{file.path}"
    return Part(name=address, rows=rows, bytes=size, sha256=digest.hexdigest())


def _converted(reader: FileReader, edge: Edge, root: Storage, described: Description) -> Artifact:
    """Publish the rows as parquet of our own."""
    with edge.around(reader.open()) as stream, ArtifactWriter(root, described, stream.schema) as writer:
        writer.write_all(_batches(stream, edge, reader))
        return writer.publish(details={"external": {**described.details["external"], "by_reference": False}})


def _batches(stream: Stream, edge: Edge, reader: FileReader) -> Iterator[pa.RecordBatch]:
    for chunk in edge.each(stream.chunks):
        if chunk.rejected:
            raise SourceRejectedError.refused(
                source="files",
                location=reader.location,
                problem=f"not all of it are rows: {chunk.rejected[0].reason}",
                hint="Repair the file, or ingest it (type: file): ingestion puts such lines into a quarantine.",
            )
        yield chunk.batch
