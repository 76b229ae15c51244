"""What has to be computed for one feature set: the selection resolved into cells, formulas and needed columns.

A plan knows no engine and no data. It is what `compile` translates, what the fitted state is bound to (`spec_hash`),
and what lineage is read from (`needs`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.declaration import DeclaredAggregation, DeclaredExpression, Meaning
from airflow_provider_mlpipe.feature_extraction.expression import Column, Node, Reference, columns, rendered, replaced
from airflow_provider_mlpipe.feature_extraction.scope import RESERVED_NAMES, Cell, Declared, Scope
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow_provider_mlpipe.config import Aggregation, Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.declaration import Domain

__all__ = ["COUNTS", "Feature", "Need", "Plan", "domain_of", "plan", "scope_of"]

COUNTS = ("count", "distinct")
"""Aggregations whose result is a whole number."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A column that a feature reads.

    Attributes:
        role: the input that must have it.
        number: whether it must hold numbers.
    """

    role: str
    column: str
    feature: str
    where: str
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of the result.

    Attributes:
        id: where the plan computes it: a key of `Plan.cells` or of `Plan.derived`.
        type: ``int64`` for counts, ``float64`` for all else.
    """

    name: str
    id: str
    type: Literal["int64", "float64"]
    meaning: Meaning
    where: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A feature set, ready to be compiled.

    Attributes:
        where: file and line of the set.
        cells: numbers over events, by id; a cell that several features need stands here once.
        derived: formulas by id, each after those that it refers to.
        features: the selection, in its order.
        spine_columns: columns of the spine that formulas read.
        needs: every input column, with the feature that asks for it.
        owners: for every id the feature that it belongs to and where that stands, for messages.
        columns: per input, ``ours: theirs``.
    """

    name: str
    where: str
    domain: Domain
    delay: timedelta
    cells: dict[str, Cell]
    derived: dict[str, Node]
    features: tuple[Feature, ...]
    spine_columns: tuple[str, ...]
    needs: tuple[Need, ...]
    owners: dict[str, tuple[str, str]]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)

    def theirs(self, role: str, column: str) -> str:
        """Return what the input calls one of our columns."""
        return self.columns.get(role, {}).get(column, column)

    def window(self, as_of: datetime, length: timedelta | None = None) -> tuple[datetime, datetime]:
        """Return [start, end) of a window, of the longest one if no length is given."""
        end = as_of - self.delay
        if length is None:
            length = max((cell.window for cell in self.cells.values()), default=end - end)
        return end - length, end

    @property
    def spec_hash(self) -> str:
        """The digest of all that decides what the features mean."""
        content = {
            "entity": self.domain.entity,
            "delay": self.delay.total_seconds(),
            "columns": self.columns,
            "cells": {key: _cell_text(cell) for key, cell in self.cells.items()},
            "derived": {key: rendered(node) for key, node in self.derived.items()},
            "features": [[feature.name, feature.id] for feature in self.features],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def domain_of(features: Configured[FeatureSet]) -> Domain:
    """Return the domain of a set: by its `entity`, else by its name (``user_features`` -> ``user_id``).

    Raises:
        ConfigError: there is no domain for that entity.
    """
    entity = features.model.entity or f"{features.name.removesuffix('_features')}_id"
    if entity not in DOMAINS:
        raise ConfigError.unknown_name(
            where=features.where("entity"), kind="entity", name=entity, known=DOMAINS,
            hint="Give the set's key column with entity: ..., or name the set after it: user_features -> user_id.",
        )  # fmt: skip
    return DOMAINS[entity]


def scope_of(features: Configured[FeatureSet]) -> Scope:
    """Return the names of a set: its own declarations, and around them the catalog of its entity."""
    domain, model = domain_of(features), features.model
    taken = (domain.entity, *RESERVED_NAMES)
    window = model.aggregation_window
    catalog = Scope(
        domain.aggregations, domain.derived, window=window, where=lambda *_: features.where("features"), taken=taken
    )
    return Scope(
        {
            name: DeclaredAggregation(aggregation=item, meaning=Meaning(formula=_formula_of(item)))
            for name, item in model.aggregations.items()
        },
        {
            name: DeclaredExpression(expression=text, meaning=Meaning(formula=text))
            for name, text in model.derived.items()
        },
        window=window,
        where=features.where,
        outer=catalog,
        taken=taken,
    )


def plan(features: Configured[FeatureSet]) -> Plan:
    """Resolve a feature set: what its selection needs, and nothing else.

    Raises:
        ConfigError: an unknown feature, a formula that refers to itself, a name given twice.
    """
    domain, scope, model = domain_of(features), scope_of(features), features.model
    for role in model.columns:
        if role not in (domain.spine, domain.events):
            raise ConfigError.unknown_name(
                where=features.where("columns", role), kind="input", name=role, known=(domain.spine, domain.events)
            )
    resolver = _Resolver(domain)
    selected = list(model.features) or scope.offered()
    found: list[Feature] = []
    for position, name in enumerate(selected):
        place = features.where("features", position) if model.features else features.where()
        declared = scope.find(name)
        if declared is None:
            raise ConfigError.unknown_name(where=place, kind="feature", name=name, known=scope.names())
        if name in selected[:position]:
            raise ConfigError.invalid(where=place, key="features", problem=f"{name!r} is selected twice")
        found.append(resolver.feature(declared, place))
    return Plan(
        name=features.name,
        where=features.where(),
        domain=domain,
        delay=duration(model.delay),
        cells=resolver.cells,
        derived=resolver.derived,
        features=tuple(found),
        spine_columns=tuple(dict.fromkeys(need.column for need in resolver.needs if need.role == domain.spine)),
        needs=tuple(resolver.needs),
        owners=resolver.owners,
        columns={role: dict(names) for role, names in model.columns.items()},
    )


class _Resolver:
    """Walks from the selected features to all that they stand on, and gives each thing an id."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._ids: dict[Cell, str] = {}
        self._done: dict[tuple[int, str], str] = {}
        self._under_way: list[Declared] = []
        self._asked = ("", "")
        self.cells: dict[str, Cell] = {}
        self.derived: dict[str, Node] = {}
        self.needs: list[Need] = []
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
        else:
            identifier = self._formula(declared.term, declared)
        self._done[key] = identifier
        own = declared.scope.outer is not None
        self.owners.setdefault(identifier, (declared.name, declared.where) if own else self._asked)
        return identifier

    def _cell(self, cell: Cell) -> str:
        if cell in self._ids:
            return self._ids[cell]
        numbers = cell.agg not in COUNTS
        names = dict.fromkeys([] if cell.where is None else columns(cell.where))
        for name in (*names, *([cell.pivot[0]] if cell.pivot else [])):
            self._need(self._domain.events, name)
        if cell.column is not None:
            self._need(self._domain.events, cell.column, number=numbers)
        identifier = self._ids[cell] = f"c{len(self.cells)}"
        self.cells[identifier] = cell
        return identifier

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
        if found is not None:
            return Reference(self._resolve(found))
        self._need(self._domain.spine, name)
        return Column(name)

    def _need(self, role: str, column: str, *, number: bool = False) -> None:
        feature, where = self._asked
        need = Need(role=role, column=column, feature=feature, where=where, number=number)
        if need not in self.needs:
            self.needs.append(need)


def _formula_of(aggregation: Aggregation) -> str:
    condition = f" where {aggregation.where}" if aggregation.where else ""
    per = f" per value of {aggregation.pivot.column}" if aggregation.pivot else ""
    return f"{aggregation.agg} of {aggregation.column or 'events'}{condition}{per}"


def _cell_text(cell: Cell) -> list[object]:
    condition = None if cell.where is None else rendered(cell.where)
    return [cell.agg, cell.column, condition, cell.window.total_seconds(), cell.pivot]
