"""Lineage as data: which column of which input a feature comes from, and how. Read off the plan, so it cannot lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.expression import Reference, columns, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.feature_extraction.custom import Output
    from airflow_provider_mlpipe.feature_extraction.expression import Node
    from airflow_provider_mlpipe.feature_extraction.plan import Plan
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["ANY", "Edge", "Kind", "cells_of", "lineage", "outputs_of", "without"]

T = TypeVar("T")

ANY = "*"
"""Stands for all columns of an input, of which a function of the user may have read any."""

Kind = Literal["value", "filter", "key", "time", "input"]
"""How a column takes part: it is computed with; it decides which events count; it ties events to entities or inputs to
each other; it is the time of events, or of the entity; or a custom function read the input and says no more."""


@dataclass(frozen=True, kw_only=True, order=True)
class Edge:
    """One column of an input (by the input's own name for it) that a feature depends on."""

    feature: str
    role: str
    column: str
    kind: Kind

    def as_dict(self) -> dict[str, str]:
        """Return the edge as plain values, for manifests and OpenLineage."""
        return {"feature": self.feature, "input": self.role, "column": self.column, "kind": self.kind}


def lineage(plan: Plan) -> tuple[Edge, ...]:
    """Return every edge of every feature, the features in their order, no edge twice."""
    found: dict[Edge, None] = {}
    for feature in plan.features:
        for role, column, kind in _reads(plan, feature.id):
            edge = Edge(feature=feature.name, role=role, column=plan.theirs(role, column), kind=kind)
            found[edge] = None
    return tuple(found)


def without(plan: Plan, known: dict[str, set[str]] | None = None) -> dict[str, tuple[str, ...]]:
    """Return the features that lack a column, each with what it lacks as ``input.column``.

    Args:
        plan: the plan.
        known: the inputs' columns by role, by their own names; only what the set says to be absent, if None.
    """
    missing: dict[str, dict[str, None]] = {}
    for feature in plan.features:
        for role, column, _ in _reads(plan, feature.id):
            absent = column in plan.absent.get(role, ())
            if known is not None and (role not in known or column != ANY):
                absent = absent or plan.theirs(role, column) not in known.get(role, set())
            if absent:
                missing.setdefault(feature.name, {})[f"{role}.{column}"] = None
    return {feature: tuple(columns) for feature, columns in missing.items()}


def cells_of(plan: Plan, identifier: str) -> Iterator[Cell]:
    """Return the cells that a cell or formula stands on; one may come twice."""
    return _under(plan, identifier, plan.cells)


def outputs_of(plan: Plan, identifier: str) -> Iterator[Output]:
    """Return the results of users' functions that an id stands on; one may come twice."""
    return _under(plan, identifier, plan.custom)


def _under(plan: Plan, identifier: str, wanted: Mapping[str, T]) -> Iterator[T]:
    """Yield what `wanted` has of the id itself, or of all that its formula refers to, however deep."""
    if identifier in wanted:
        yield wanted[identifier]
    elif identifier in plan.derived:
        for node in parts(plan.derived[identifier]):
            if isinstance(node, Reference):
                yield from _under(plan, node.id, wanted)


def _reads(plan: Plan, identifier: str) -> Iterator[tuple[str, str, Kind]]:
    """Yield (input, column by our name, kind) of all that an id stands on."""
    domain = plan.domain
    yield domain.spine, domain.entity, "key"
    if domain.since:
        yield domain.spine, domain.since, "time"
    for node in _formulas(plan, identifier):
        for column in columns(node):
            yield domain.spine, column, "value"
    for cell in cells_of(plan, identifier):
        yield from _cell_reads(plan, cell)
    for output in outputs_of(plan, identifier):
        for role, names in output.custom.inputs.items():
            for name in names or (ANY,):
                yield role, name, "value" if names else "input"
            if plan.time_of(role):
                yield role, plan.time_of(role), "time"


def _formulas(plan: Plan, identifier: str) -> Iterator[Node]:
    if identifier in plan.derived:
        node = plan.derived[identifier]
        yield node
        for part in parts(node):
            if isinstance(part, Reference):
                yield from _formulas(plan, part.id)


def _cell_reads(plan: Plan, cell: Cell) -> Iterator[tuple[str, str, Kind]]:
    events = plan.sources[cell.source]
    names: list[tuple[str | None, Kind]] = [(cell.column, "value"), (cell.weight, "value"), (cell.among, "value")]
    names += [(name, "filter") for name in ([] if cell.where is None else columns(cell.where))]
    names += [(cell.pivot[0], "filter")] if cell.pivot else []
    for name, kind in names:
        if name == EVENT_DAY:
            yield events.role, events.timestamp, kind
        elif name is not None:
            lender = events.lender(name)
            yield (lender.role if lender else events.role), name, kind
    for role, column in events.structure():
        yield role, column, "time" if (role, column) == (events.role, events.timestamp) else "key"
    for _, column in events.keys:
        yield plan.domain.spine, column, "key"
