"""The offsets of one run: fixed before the first message is read, so that every try reads the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Place", "Plan", "Span", "shortened"]

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """Offsets [start, end) of one partition.

    Attributes:
        generation: how often the topic was made anew, as far as runs have noticed; offsets count from 0 in each.
    """

    topic: str
    partition: int
    start: int
    end: int
    generation: int = 0

    @property
    def place(self) -> Place:
        """Topic and partition."""
        return self.topic, self.partition

    @property
    def size(self) -> int:
        """How many offsets."""
        return self.end - self.start

    @property
    def mark(self) -> tuple[int, int]:
        """How far this goes, comparable over generations."""
        return self.generation, self.end

    def overlaps(self, other: Span) -> bool:
        """Return whether the two have an offset in common."""
        same = self.place == other.place and self.generation == other.generation
        return same and self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        """Write ``topic/partition [from, to)``."""
        return f"{self.topic}/{self.partition} [{self.start:,}, {self.end:,})"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one run reads.

    Attributes:
        spans: one per partition, empty ones too: they say how far their partition was looked at.
        only: the partitions that the configuration asks for; None for all.
        schemas: the registry's number of the schema that values are read as, by topic.
    """

    spans: tuple[Span, ...]
    only: tuple[int, ...] | None = None
    schemas: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many offsets."""
        return sum(span.size for span in self.spans)

    def overlap(self, other: Plan) -> Span | None:
        """Return the first span of this plan that shares an offset with the other."""
        return next((own for own in self.spans for span in other.spans if own.overlaps(span)), None)

    def serves(self, topics: Sequence[str], only: Sequence[int] | None) -> bool:
        """Return whether the plan was made for these topics and partitions."""
        asked = None if only is None else tuple(sorted(only))
        return {span.topic for span in self.spans} == set(topics) and self.only == asked

    def until(self, reached: Mapping[Place, int]) -> Plan:
        """Return the plan ending where reading has come to."""
        spans = (replace(span, end=min(reached[span.place], span.end)) for span in self.spans)
        return replace(self, spans=tuple(spans))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "spans": [
                {"topic": span.topic, "partition": span.partition, "from": span.start, "to": span.end,
                 "generation": span.generation}
                for span in self.spans
            ],
            "partitions": None if self.only is None else list(self.only),
            "schemas": dict(self.schemas),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read what `as_dict` wrote.

        Raises:
            KeyError, TypeError: it did not write that.
        """
        spans = tuple(
            Span(topic=item["topic"], partition=item["partition"], start=item["from"], end=item["to"],
                 generation=item["generation"])
            for item in data["spans"]
        )  # fmt: skip
        only = data["partitions"]
        return cls(spans=spans, only=None if only is None else tuple(only), schemas=dict(data["schemas"]))


def shortened(spans: Iterable[Span], limit: int) -> tuple[Span, ...]:
    """Return `spans` with at most `limit` offsets in all: small ones as they are, large ones with equal shares.

    >>> spans = [Span(topic="t", partition=number, start=0, end=end) for number, end in enumerate([2, 9, 9])]
    >>> [span.end for span in shortened(spans, 8)]
    [2, 3, 3]
    """
    given = list(spans)
    left, waiting = limit, sorted(range(len(given)), key=lambda position: given[position].size)
    found: dict[int, Span] = {}
    for number, position in enumerate(waiting):
        share = left // (len(waiting) - number)
        size = min(given[position].size, share)
        left -= size
        found[position] = replace(given[position], end=given[position].start + size)
    return tuple(found[position] for position in range(len(given)))
