"""What every source gives: a schema, and chunks of rows that have it together with rows that could not have it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

__all__ = ["Chunk", "Reader", "Rejected", "Stream"]


@dataclass(frozen=True)
class Rejected:
    """A row that does not fit the schema.

    Attributes:
        reason: why, as a sentence.
        row: what it held.
        rule: what it broke: ``type`` (a value that its column cannot hold), ``record`` (no object), ``line`` (no row at
            all) or ``contract`` (declared types, the schema contract).
        position: where the source has it, e.g. ``users.csv:7``; empty if the source has no such thing.
    """

    reason: str
    row: Mapping[str, Any]
    rule: str = "type"
    position: str = ""


@dataclass(frozen=True)
class Chunk:
    """Some rows: those of the schema as a batch, the others as they came."""

    batch: pa.RecordBatch
    rejected: tuple[Rejected, ...] = ()


@dataclass
class Stream:
    """An opened source.

    Attributes:
        schema: of every chunk's batch.
        chunks: the rows; one chunk is held at a time.
        detected: names of the columns whose type was told from the values, because nothing declares it.
        counts: metrics that only the source knows, complete when the last chunk was taken.
        details: what the manifest says of this source beyond that, by key.
    """

    schema: pa.Schema
    chunks: Iterator[Chunk]
    detected: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


class Reader(Protocol):
    """A configured source, ready to be opened."""

    @property
    def location(self) -> str:
        """Where it is, without secrets."""

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that no message may hold."""

    def open(self) -> AbstractContextManager[Stream]:
        """Connect, tell the schema, and give the rows while the context lasts."""
