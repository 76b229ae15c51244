"""Reading an artifact: its manifest, its rows, and what lies beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.manifest import MANIFEST, Input, Manifest, decode_schema
from airflow_provider_mlpipe.artifacts.storage import S3Options, Storage
from airflow_provider_mlpipe.errors import ArtifactCorruptError, ArtifactNotFoundError, ArtifactReplacedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    import pyarrow.dataset as pads

__all__ = ["ONLINE", "REPORT", "SUITE", "VERDICT", "Artifact"]

SUITE = "_suite.json"
VERDICT = "_validation.json"
REPORT = "_report.html"
ONLINE = "_online.json"


@dataclass(frozen=True)
class Artifact:
    """A published set of rows: a folder of parquet files and the manifest that lists them.

    Open one by the URI that a stage returned::

        artifact = Artifact.open("s3://lake/users/raw/20260113T020000Z-20260114T020000Z")
        for batch in artifact.batches(columns=["user_id"]):
            ...

    Attributes:
        place: the folder.
        manifest: what it holds.
    """

    place: Storage
    manifest: Manifest

    @classmethod
    def open(cls, uri: str, options: S3Options | None = None) -> Artifact:
        """Return the artifact at `uri`, a local folder or an ``s3://`` prefix.

        Raises:
            ArtifactNotFoundError: nothing was published there.
            ArtifactCorruptError: the manifest cannot be read.
        """
        place = Storage(uri.rstrip("/"), options or S3Options())
        content = place.read(MANIFEST)
        if content is None:
            raise ArtifactNotFoundError.at(uri)
        return cls(place, Manifest.from_json(content, uri))

    @property
    def uri(self) -> str:
        """The address: what goes through XCom."""
        return self.place.uri

    @property
    def fingerprint(self) -> str:
        """The digest of the content."""
        return self.manifest.fingerprint

    @property
    def schema(self) -> pa.Schema:
        """The exact Arrow schema."""
        return decode_schema(self.manifest.arrow_schema)

    @property
    def paths(self) -> list[str]:
        """The parts' paths as `place.filesystem` names them, in the order in which they were written.

        A part with an address of its own is a file of somebody else, which the artifact only refers to.
        """
        return [
            part.name.removeprefix("s3://") if part.name.startswith(("/", "s3://")) else self.place.path(part.name)
            for part in self.manifest.parts
        ]

    def as_input(self, name: str) -> Input:
        """Return the reference that a manifest of a later stage keeps."""
        return Input(name=name, uri=self.uri, fingerprint=self.fingerprint)

    def dataset(self) -> pads.Dataset:
        """Return the parts as a pyarrow dataset: projection and filters are pushed into the scan.

        Raises:
            ArtifactCorruptError: a part is missing or of another size than the manifest says.
            ArtifactReplacedError: another attempt published meanwhile.
        """
        import pyarrow.dataset as pads

        self.check_parts()
        return pads.dataset(self.paths, schema=self.schema, filesystem=self.place.filesystem, format="parquet")

    def batches(self, columns: Sequence[str] | None = None, batch_size: int = 131_072) -> Iterator[pa.RecordBatch]:
        """Yield the rows, part by part, holding one row group at a time."""
        import pyarrow.parquet as pq

        self.check_parts()
        for path in self.paths:
            with self.place.filesystem.open_input_file(path) as file, pq.ParquetFile(file) as parquet:
                yield from parquet.iter_batches(batch_size=batch_size, columns=columns)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows at once; for small artifacts and tests."""
        import pyarrow as pa

        schema = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        return pa.Table.from_batches(self.batches(columns), schema=schema)

    def check_parts(self) -> None:
        """Compare the parts that are there with the manifest, by name and size."""
        infos = self.place.filesystem.get_file_info(self.paths)
        for part, info in zip(self.manifest.parts, infos, strict=True):
            if info.is_file and info.size == part.bytes:
                continue
            current = Artifact.open(self.uri, self.place.options).manifest
            if current.parts != self.manifest.parts:
                raise ArtifactReplacedError.meanwhile(self.uri, part.name)
            state = "is missing" if not info.is_file else f"has {info.size} bytes instead of {part.bytes}"
            raise ArtifactCorruptError.because(self.uri, f"{part.name} {state}")

    def write_beside(self, name: str, content: bytes) -> None:
        """Write a file that describes the artifact (a verdict, a report) next to its data, as a whole."""
        self.place.replace(name, content)

    def read_beside(self, name: str) -> bytes | None:
        """Return a file that lies next to the data, or None."""
        return self.place.read(name)

    def verdict(self) -> dict[str, Any] | None:
        """Return the summary of ``_validation.json`` if there is one for exactly this content, else None.

        The summary is the ``mlpipe`` object in the file's ``meta``: ``passed``, ``fingerprint``, counts.
        """
        content = self.read_beside(VERDICT)
        if content is None:
            return None
        try:
            summary = json.loads(content)["meta"]["mlpipe"]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError.because(self.uri, f"{VERDICT} cannot be read ({error})") from error
        return dict(summary) if summary.get("fingerprint") == self.fingerprint else None
