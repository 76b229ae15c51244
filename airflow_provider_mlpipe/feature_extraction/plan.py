"""What has to be computed for one feature set: the selection resolved into cells, formulas and needed columns.

A plan knows no engine and no data. It is what `compile` translates, what the fitted state is bound to (`spec_hash`),
and what lineage is read from (`needs`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.custom import Output, load
from airflow_provider_mlpipe.feature_extraction.declaration import (
    DeclaredAggregation,
    DeclaredExpression,
    Meaning,
)
from airflow_provider_mlpipe.feature_extraction.domains import domain_of
from airflow_provider_mlpipe.feature_extraction.expression import Node, rendered
from airflow_provider_mlpipe.feature_extraction.lineage import without
from airflow_provider_mlpipe.feature_extraction.resolution import (
    COUNTS,
    ZERO_WITHOUT_EVENTS,
    Feature,
    Need,
    Resolver,
)
from airflow_provider_mlpipe.feature_extraction.scope import RESERVED_NAMES, Scope
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.config import Aggregation, Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.custom import Custom
    from airflow_provider_mlpipe.feature_extraction.declaration import Domain, Events
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["COUNTS", "ZERO_WITHOUT_EVENTS", "Feature", "Need", "Plan", "plan", "scope_of"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A feature set, ready to be compiled.

    Attributes:
        where: file and line of the set.
        sources: the sources that cells read, by name.
        cells: numbers over events, by id; a cell that several features need stands here once.
        derived: formulas by id, each after those that it refers to.
        features: the selection, in its order.
        spine_columns: columns of the spine that formulas read or that events are matched by.
        needs: every input column, with the feature that asks for it.
        owners: for every id the feature that it belongs to and where that stands, for messages.
        columns: per input, ``ours: theirs``.
        custom: features that functions of the user compute, by id.
        custom_places: by the import path of each such function, where the YAML names it.
        absent: per input, the columns that the set says it does not have.
        left_out: features of the catalog that a set that selects nothing does not get, since it says that a column is
            absent; with those columns.
    """

    name: str
    where: str
    domain: Domain
    delay: timedelta
    sources: dict[str, Events]
    cells: dict[str, Cell]
    derived: dict[str, Node]
    features: tuple[Feature, ...]
    spine_columns: tuple[str, ...]
    needs: tuple[Need, ...]
    owners: dict[str, tuple[str, str]]
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    custom: dict[str, Output] = field(default_factory=dict)
    custom_places: dict[str, str] = field(default_factory=dict)
    absent: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def roles(self) -> tuple[str, ...]:
        """The inputs that are read, the spine first."""
        return tuple(self.read())

    def read(self) -> dict[str, dict[str, None]]:
        """Return the columns that are read of each input, by our names, those that tie things together included."""
        domain = self.domain
        found: dict[str, dict[str, None]] = {domain.spine: {domain.entity: None}}
        if domain.since:
            found[domain.spine][domain.since] = None
        for source in self.sources.values():
            for role, column in source.structure():
                found.setdefault(role, {})[column] = None
        for column in self.spine_columns:
            found[domain.spine][column] = None
        for need in self.needs:
            found.setdefault(need.role, {})[need.column] = None
        for function in self.functions():
            for role in function.inputs:
                columns = found.setdefault(role, {})
                if self.time_of(role):
                    columns[self.time_of(role)] = None
        return found

    def functions(self) -> tuple[Custom, ...]:
        """Return the functions of the user that are called, each once."""
        return tuple({output.custom.path: output.custom for output in self.custom.values()}.values())

    def time_of(self, role: str) -> str:
        """Return the time column of an input that the domain reads as events; empty for the spine and the others."""
        if role == self.domain.spine:
            return ""
        sources = self.domain.sources
        first = [sources[self.domain.events], *sources.values()]
        return next((source.timestamp for source in first if source.role == role), "")

    def source_cells(self, source: str) -> dict[str, Cell]:
        """Return the cells over the events of one source."""
        return {key: cell for key, cell in self.cells.items() if cell.source == source}

    def source_columns(self, source: str) -> tuple[str, ...]:
        """Return the columns that cells read of the events of one source."""
        return tuple(dict.fromkeys(need.column for need in self.needs if need.source == source))

    def theirs(self, role: str, column: str) -> str:
        """Return what the input calls one of our columns."""
        return self.columns.get(role, {}).get(column, column)

    def longest(self, source: str | None = None) -> timedelta:
        """Return the longest window, of one source or of all."""
        cells = self.cells.values() if source is None else self.source_cells(source).values()
        return max((cell.window for cell in cells), default=timedelta(0))

    def window(self, as_of: datetime, length: timedelta | None = None) -> tuple[datetime, datetime]:
        """Return [start, end) of a window, of the longest one if no length is given."""
        end = as_of - self.delay
        return end - (self.longest() if length is None else length), end

    @property
    def spec_hash(self) -> str:
        """The digest of all that decides what the features mean."""
        content = {
            "entity": self.domain.entity,
            **self._shape(),
            "delay": self.delay.total_seconds(),
            "columns": self.columns,
            "cells": {key: _cell_text(cell) for key, cell in self.cells.items()},
            "derived": {key: rendered(node) for key, node in self.derived.items()},
            "features": [[feature.name, feature.id] for feature in self.features],
            "custom": {
                key: [output.custom.path, output.column, output.custom.digest, output.custom.window.total_seconds()]
                for key, output in self.custom.items()
            },
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def _shape(self) -> dict[str, object]:
        """Return where entities and events come from, as plain values."""
        return {
            "spine": [self.domain.spine, self.domain.since, sorted(self.domain.planned)],
            "sources": {name: asdict(source) for name, source in self.sources.items()},
        }


def scope_of(features: Configured[FeatureSet]) -> Scope:
    """Return the names of a set: its own declarations, and around them the catalog of its entity."""
    domain, model = domain_of(features), features.model
    taken = (domain.entity, *RESERVED_NAMES)
    window = model.aggregation_window
    catalog = Scope(
        domain.aggregations, domain.derived, window=window, where=lambda *_: features.where("features"), taken=taken,
        source=domain.events,
    )  # fmt: skip
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
        source=domain.events,
        custom=_functions(features, domain),
        outer=catalog,
        taken=taken,
    )


def _functions(features: Configured[FeatureSet], domain: Domain) -> list[tuple[Custom, str]]:
    """Return the functions that a set names, each with the place of its name."""
    found = []
    for position, name in enumerate(features.model.custom):
        place = features.where("custom", position)
        custom = load(name, where=place)
        problem = f"{name} is about {custom.entity}, the set about {domain.entity}"
        if custom.entity != domain.entity:
            raise ConfigError.invalid(where=place, key="custom", problem=problem)
        for role in custom.inputs:
            if role not in domain.roles():
                raise ConfigError.unknown_name(
                    where=place, kind="input", name=role, known=domain.roles(),
                    hint=f"{custom.path} ({custom.place}) asks for it. An input that no source reads is declared under "
                    "sources, with its time column.",
                )  # fmt: skip
        found.append((custom, place))
    return found


def plan(features: Configured[FeatureSet]) -> Plan:
    """Resolve a feature set: what its selection needs, and nothing else.

    Raises:
        ConfigError: an unknown feature, a formula that refers to itself, a name given twice.
    """
    domain, scope, model = domain_of(features), scope_of(features), features.model
    _check_names(features, domain)
    names = list(model.features) or scope.offered()
    spec = _planned(features, domain, scope, names)
    missing = without(spec)
    if not missing:
        return spec
    chosen = model.features or model.aggregations or model.derived or model.custom
    left = [name for name in names if name not in missing]
    if chosen or not left:
        lacking = next(feature for feature in spec.features if feature.name in missing)
        raise ConfigError.invalid(
            where=lacking.where, key=lacking.name,
            problem=f"needs {' and '.join(missing[lacking.name])}, which columns says is not there",
            hint="Map the name with columns: {input: {ours: theirs}}, or take the feature out of the selection.",
        )  # fmt: skip
    return replace(_planned(features, domain, scope, left), left_out=missing)


def _planned(features: Configured[FeatureSet], domain: Domain, scope: Scope, selected: list[str]) -> Plan:
    """Return the plan of a selection."""
    model = features.model
    resolver = Resolver(domain)
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
        sources=resolver.sources,
        cells=resolver.cells,
        derived=resolver.derived,
        features=tuple(found),
        spine_columns=tuple(dict.fromkeys(need.column for need in resolver.needs if not need.source)),
        needs=tuple(resolver.needs),
        owners=resolver.owners,
        custom=resolver.custom,
        custom_places={custom.path: place for custom, place in _functions(features, domain)},
        columns={
            role: {ours: theirs for ours, theirs in names.items() if theirs is not None}
            for role, names in model.columns.items()
        },
        absent={
            role: tuple(ours for ours, theirs in names.items() if theirs is None)
            for role, names in model.columns.items()
        },
    )


def _check_names(features: Configured[FeatureSet], domain: Domain) -> None:
    """Refuse a mapping for an input, or a source for an aggregation, that is not there."""
    for role in features.model.columns:
        if role not in domain.roles():
            raise ConfigError.unknown_name(
                where=features.where("columns", role), kind="input", name=role, known=domain.roles()
            )
    for name, aggregation in features.model.aggregations.items():
        if aggregation.source is not None and aggregation.source not in domain.sources:
            raise ConfigError.unknown_name(
                where=features.where("aggregations", name, "source"), kind="source", name=aggregation.source,
                known=domain.sources, hint="Declare it under sources: an input, its time column, its key.",
            )  # fmt: skip


def _formula_of(aggregation: Aggregation) -> str:
    condition = f" where {aggregation.where}" if aggregation.where else ""
    per = f" per value of {aggregation.pivot.column}" if aggregation.pivot else ""
    name = f"{aggregation.agg} {aggregation.q}" if aggregation.q is not None else aggregation.agg
    return f"{name} of {aggregation.column or 'events'}{condition}{per}"


def _cell_text(cell: Cell) -> list[object]:
    condition = None if cell.where is None else rendered(cell.where)
    window = cell.window.total_seconds()
    return [cell.agg, cell.column, condition, window, cell.pivot, cell.source, cell.q, cell.weight, cell.among]
