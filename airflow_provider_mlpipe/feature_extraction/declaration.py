"""What a feature declaration consists of: data only. The catalog is made of these, and so is what a user adds to it.

A *domain* is one kind of entity (users, tasks, projects, teams): which input holds its entities (the spine), which
inputs are read as its events and how (the sources), and the features that come with the package. A set picks from a
domain and from its own YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.config import Aggregation

__all__ = ["EVENT_DAY", "Borrowed", "DeclaredAggregation", "DeclaredExpression", "Domain", "Events", "Meaning"]

EVENT_DAY = "event_day"
"""A column that every event has without the input bringing it: the UTC day of its timestamp."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a reader has to know to use a number, and to recompute it by hand.

    Attributes:
        description: what it says about the entity, in one sentence.
        unit: hours, events, ratio ...; empty where the package does not know, as for features that a user declares.
        range: the values that it can take, as an interval.
        formula: how it is computed, in the words of the documentation.
        source: where the formula comes from, and why this one.
    """

    description: str = ""
    unit: str = ""
    range: str = ""
    formula: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class DeclaredAggregation:
    """An aggregation and its meaning.

    Attributes:
        offered: whether a set that selects nothing gets it; building blocks of other features are not offered, but may
            be selected by name.
    """

    aggregation: Aggregation
    meaning: Meaning = field(default_factory=Meaning)
    offered: bool = True


@dataclass(frozen=True, kw_only=True)
class DeclaredExpression:
    """A feature computed from others, and its meaning; `offered` as for aggregations."""

    expression: str
    meaning: Meaning = field(default_factory=Meaning)
    offered: bool = True


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """Columns that events take from another input, where its column `other` equals their column `own`.

    Attributes:
        role: the input to take from.
        own: the events' column.
        other: the input's column; its rows must be unique in it, as far as the borrowed columns go.
        columns: what is taken, by our names.
    """

    role: str
    own: str
    other: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Events:
    """Rows of an input, read as what happened to entities at a time.

    Attributes:
        role: the input.
        timestamp: its time column; a row without a time is no event.
        keys: event columns with the spine columns that they must equal. Mostly one pair with the entity's key; other
            columns give each entity what is known of all that are like it.
        borrowed: columns from other inputs.
    """

    role: str
    timestamp: str
    keys: tuple[tuple[str, str], ...]
    borrowed: tuple[Borrowed, ...] = ()

    def lender(self, column: str) -> Borrowed | None:
        """Return where a column is borrowed from; None if it is the events' own."""
        return next((found for found in self.borrowed if column in found.columns), None)

    def entity_key(self, entity: str) -> str | None:
        """Return the internal name of the key that is the entity's; None if there is none."""
        return next((f"k{n}" for n, (_, column) in enumerate(self.keys) if column == entity), None)

    def structure(self) -> list[tuple[str, str]]:
        """Return (input, column) of all that ties events to time, entities and lenders."""
        lent = [(found.role, found.other) for found in self.borrowed]
        own = [self.timestamp, *(found.own for found in self.borrowed)]
        for column, _ in self.keys:
            lender = self.lender(column)
            lent += [(lender.role, column)] if lender else []
            own += [] if lender else [column]
        return [*((self.role, column) for column in dict.fromkeys(own)), *lent]


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One kind of entity and its catalog.

    Attributes:
        entity: the key column of the spine.
        spine: the input with one row per entity.
        events: the name of the source of aggregations that name none.
        sources: what is read as events, by the name that aggregations use.
        since: the spine's time column from which on an entity exists; empty if all of them always did.
        planned: time columns that speak of the future and are known before.
        aggregations: by name; see `scope` for how feature names follow from it.
        derived: by feature name. They see this catalog only, so that a user's declaration never changes the meaning
            of a catalog feature that happens to use a block of the same name.
    """

    entity: str
    spine: str
    events: str
    sources: Mapping[str, Events]
    since: str = ""
    planned: tuple[str, ...] = ()
    aggregations: Mapping[str, DeclaredAggregation] = field(default_factory=dict)
    derived: Mapping[str, DeclaredExpression] = field(default_factory=dict)

    def roles(self) -> tuple[str, ...]:
        """Return the inputs that the domain knows, the spine first."""
        found = {self.spine: None}
        for source in self.sources.values():
            found |= dict.fromkeys((source.role, *(lender.role for lender in source.borrowed)))
        return tuple(found)
