"""From selected features to all that they stand on: the walk that a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.custom import Output
from airflow_provider_mlpipe.feature_extraction.expression import Column, Node, Reference, columns, replaced
from airflow_provider_mlpipe.feature_extraction.scope import FOREVER, Cell, Declared

if TYPE_CHECKING:
    from airflow_provider_mlpipe.feature_extraction.declaration import Domain, Events, Meaning

__all__ = ["COUNTS", "ZERO_WITHOUT_EVENTS", "Feature", "Need", "Resolver"]

COUNTS = ("count", "distinct", "companions", "shared")
"""Aggregations whose result is a whole number."""

ZERO_WITHOUT_EVENTS = (*COUNTS, "sum", "rate")
"""Aggregations that are 0 over no events; all others are null."""

_ANY_TYPE = (*COUNTS, "effective")
"""Aggregations whose column may hold anything."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A column that a feature reads.

    Attributes:
        role: the input that must have it.
        number: whether it must hold numbers.
        source: the source that it is read through; empty for the spine.
    """

    role: str
    column: str
    feature: str
    where: str
    number: bool = False
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of the result.

    Attributes:
        id: where the plan computes it: a key of `Plan.cells`, of `Plan.derived` or of `Plan.custom`.
        type: ``int64`` for counts, ``float64`` for all else.
    """

    name: str
    id: str
    type: Literal["int64", "float64"]
    meaning: Meaning
    where: str


class Resolver:
    """Walks from the selected features to all that they stand on, and gives each thing an id."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._ids: dict[Cell, str] = {}
        self._done: dict[tuple[int, str], str] = {}
        self._under_way: list[Declared] = []
        self._asked = ("", "")
        self.sources: dict[str, Events] = {}
        self.cells: dict[str, Cell] = {}
        self.derived: dict[str, Node] = {}
        self.needs: list[Need] = []
        self.custom: dict[str, Output] = {}
        self.owners: dict[str, tuple[str, str]] = {}

    def feature(self, declared: Declared, where: str) -> Feature:
        """Resolve one selected feature."""
        place = where if declared.scope.outer is None else declared.where
        self._asked = (declared.name, place)
        identifier = self._resolve(declared)
        whole = identifier in self.cells and self.cells[identifier].agg in COUNTS
        return Feature(
            name=declared.name,
            id=identifier,
            type="int64" if whole else "float64",
            meaning=declared.meaning,
            where=place,
        )

    def _resolve(self, declared: Declared) -> str:
        key = (id(declared.scope), declared.name)
        if key in self._done:
            return self._done[key]
        if isinstance(declared.term, Cell):
            identifier = self._cell(declared.term)
        elif isinstance(declared.term, Output):
            identifier = self._output(declared.term)
        else:
            identifier = self._formula(declared.term, declared)
        self._done[key] = identifier
        own = declared.scope.outer is not None
        self.owners.setdefault(identifier, (declared.name, declared.where) if own else self._asked)
        return identifier

    def _cell(self, cell: Cell) -> str:
        if cell in self._ids:
            return self._ids[cell]
        if cell.agg == "rate" and cell.window == FOREVER:
            feature, where = self._asked
            raise ConfigError.invalid(
                where=where, key=feature, problem="a rate is per day of the window, and all has no number of days"
            )
        self._open(cell.source)
        names = [] if cell.where is None else list(dict.fromkeys(columns(cell.where)))
        for name in (*names, *([cell.pivot[0]] if cell.pivot else [])):
            self._need(name, cell.source)
        if cell.column is not None:
            self._need(cell.column, cell.source, number=cell.agg not in _ANY_TYPE)
        if cell.among is not None:
            self._need(cell.among, cell.source)
        if cell.weight is not None:
            self._need(cell.weight, cell.source, number=True)
        identifier = self._ids[cell] = f"c{len(self.cells)}"
        self.cells[identifier] = cell
        return identifier

    def _output(self, output: Output) -> str:
        feature, where = self._asked
        for role, names in output.custom.inputs.items():
            for name in names:
                need = Need(role=role, column=name, feature=feature, where=where, source=f"@{output.custom.path}")
                self.needs.append(need)
        identifier = f"x{len(self.custom)}"
        self.custom[identifier] = output
        return identifier

    def _open(self, source: str) -> None:
        """Note that a source is read, and what ties its events to the entities."""
        if source in self.sources:
            return
        events = self.sources[source] = self._domain.sources[source]
        for _, column in events.keys:
            if column != self._domain.entity:
                self._need(column)

    def _formula(self, node: Node, declared: Declared) -> str:
        if declared in self._under_way:
            circle = [*self._under_way[self._under_way.index(declared) :], declared]
            raise ConfigError.invalid(
                where=declared.where,
                key=f"derived.{declared.name}",
                problem=f"refers to itself: {' -> '.join(item.name for item in circle)}",
            )
        self._under_way.append(declared)
        resolved = replaced(node, lambda name: self._name(name, declared))
        self._under_way.pop()
        if isinstance(resolved, Reference):
            return resolved.id
        identifier = f"d{len(self.derived)}"
        self.derived[identifier] = resolved
        return identifier

    def _name(self, name: str, declared: Declared) -> Node:
        found = declared.scope.find(name, bare=True)
        if found is declared and declared.scope.outer is not None:
            # A user's feature that extends the catalog's of the same name, or simply refers to itself.
            found = declared.scope.outer.find(name, bare=True) or found
        elif found is declared:
            found = None  # A feature of the catalog that passes on the spine's column of its name.
        if found is not None:
            return Reference(self._resolve(found))
        self._need(name)
        return Column(name)

    def _need(self, column: str, source: str = "", *, number: bool = False) -> None:
        """Note a column of the spine or of the events of a source."""
        role = self._domain.spine
        if source:
            events = self._domain.sources[source]
            lender = events.lender(column)
            role = lender.role if lender else events.role
        feature, where = self._asked
        need = Need(role=role, column=column, feature=feature, where=where, number=number, source=source)
        if need not in self.needs:
            self.needs.append(need)
