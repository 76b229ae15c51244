"""The manifest: what an artifact consists of, written last, so that its presence is the publication."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ArtifactCorruptError

if TYPE_CHECKING:
    import builtins

    import pyarrow as pa

__all__ = ["FORMAT_VERSION", "MANIFEST", "Input", "Manifest", "Part"]

FORMAT_VERSION = 1
MANIFEST = "_manifest.json"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One parquet file of an artifact."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Input:
    """An artifact that this one was computed from, by address and content."""

    name: str
    uri: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything there is to say of an artifact; the fields of ``_manifest.json``.

    Attributes:
        fingerprint: digest of the content: the same rows give the same value in whatever order and batches they came.
        schema: one ``{"name", "type", "nullable"}`` per column, for people and other tools.
        arrow_schema: the exact schema, as base64 of Arrow's IPC form.
        run: ``Run.as_dict()`` of the run that wrote it.
        metrics: values by the names of the metric registry.
        details: what only this stage has to say (source, feature set, event time ...).
    """

    dataset: str
    stage: str
    partition: str
    rows: int
    bytes: int
    fingerprint: str
    parts: tuple[Part, ...]
    schema: tuple[dict[str, Any], ...]
    arrow_schema: str
    run: dict[str, Any]
    created_at: str
    config_hash: str = ""
    inputs: tuple[Input, ...] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> builtins.bytes:
        """Return the file's content."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: builtins.bytes, uri: str) -> Manifest:
        """Read a manifest.

        Raises:
            ArtifactCorruptError: it is not JSON, is of a later format, or lacks a field.
        """
        try:
            data = json.loads(content)
            version = data["format_version"]
            if version > FORMAT_VERSION:
                problem = f"its format is {version}, this release reads up to {FORMAT_VERSION}; upgrade the provider"
                raise ArtifactCorruptError.because(uri, problem)
            data["parts"] = tuple(Part(**part) for part in data["parts"])
            data["inputs"] = tuple(Input(**item) for item in data["inputs"])
            data["schema"] = tuple(data["schema"])
            return cls(**data)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError.because(uri, f"_manifest.json cannot be read ({error})") from error


def schema_fields(schema: pa.Schema) -> tuple[dict[str, Any], ...]:
    """Return the readable form of an Arrow schema."""
    return tuple({"name": f.name, "type": str(f.type), "nullable": f.nullable} for f in schema)


def encode_schema(schema: pa.Schema) -> str:
    """Return an Arrow schema as text."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")


def decode_schema(text: str) -> pa.Schema:
    """Return the Arrow schema that `encode_schema` wrote."""
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))
