"""What a feature declaration consists of: data only. The catalog is made of these, and so is what a user adds to it.

A *domain* is one kind of entity (users; later tasks, projects, teams): which input holds its entities (the spine),
which its events, and the features that come with the package. A set picks from a domain and from its own YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.config import Aggregation

__all__ = ["EVENT_DAY", "DeclaredAggregation", "DeclaredExpression", "Domain", "Meaning"]

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
    """A feature computed from others, and its meaning."""

    expression: str
    meaning: Meaning = field(default_factory=Meaning)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One kind of entity and its catalog.

    Attributes:
        entity: the key column, in the spine and in the events.
        spine: the input with one row per entity.
        events: the input with what happened.
        timestamp: the events' time column.
        aggregations: by name; see `plan` for how feature names follow from it.
        derived: by feature name. They see this catalog only, so that a user's declaration never changes the meaning
            of a catalog feature that happens to use a block of the same name.
    """

    entity: str
    spine: str
    events: str
    timestamp: str
    aggregations: Mapping[str, DeclaredAggregation] = field(default_factory=dict)
    derived: Mapping[str, DeclaredExpression] = field(default_factory=dict)
