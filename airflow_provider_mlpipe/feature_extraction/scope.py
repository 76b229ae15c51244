"""Names: which features a catalog or a user declares, and what their formulas refer to.

The rule for the names of aggregations: ``<name>_<window>``; with a pivot ``<name>_<value>_<window>``, where the window
is left out if only one is declared. In a formula, the bare name of an aggregation with one window and no pivot is
enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.config import ALL
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.custom import Output
from airflow_provider_mlpipe.feature_extraction.expression import Node, parse
from airflow_provider_mlpipe.run import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_mlpipe.config import Aggregation
    from airflow_provider_mlpipe.feature_extraction.custom import Custom
    from airflow_provider_mlpipe.feature_extraction.declaration import (
        DeclaredAggregation,
        DeclaredExpression,
        Meaning,
    )

__all__ = ["FOREVER", "RESERVED_NAMES", "Cell", "Declared", "Scope"]

RESERVED_NAMES = ("event_timestamp", "created_timestamp")
"""Columns that every feature artifact has beside the entity and the features."""

FOREVER = timedelta(days=73_000)
"""The window ``all``: 200 years, which every engine's calendar agrees on."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number per entity over the events of one window: an aggregation with everything spelled out."""

    agg: str
    column: str | None
    where: Node | None
    window: timedelta
    pivot: tuple[str, str] | None
    source: str
    q: float | None = None
    weight: str | None = None
    among: str | None = None


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A feature by its final name: computed from events (a cell), from other features, or by a function of the user."""

    name: str
    term: Cell | Node | Output
    meaning: Meaning
    where: str
    scope: Scope
    offered: bool = True


class Scope:
    """The features declared in one place.

    Args:
        window: the window of aggregations that name none.
        where: file and line of a declaration by its keys, e.g. ``where("derived", "bug_rate")``.
        source: the source of aggregations that name none.
        custom: functions of the user, with the place of each.
        outer: where to look for names that are not declared here.
        taken: names that a feature must not have.

    Raises:
        ConfigError: a formula cannot be read, a name is not one or is given twice.
    """

    def __init__(
        self,
        aggregations: Mapping[str, DeclaredAggregation],
        derived: Mapping[str, DeclaredExpression],
        *,
        window: str,
        where: Callable[..., str],
        source: str,
        custom: Sequence[tuple[Custom, str]] = (),
        outer: Scope | None = None,
        taken: tuple[str, ...] = RESERVED_NAMES,
    ) -> None:
        self.outer = outer
        self._window = window
        self._where = where
        self._source = source
        self._taken = taken
        self._features: dict[str, Declared] = {}
        self._bare: dict[str, str] = {}
        for name, declared in aggregations.items():
            self._add_aggregation(name, declared)
        for name, expression in derived.items():
            place = where("derived", name)
            term = parse(expression.expression, where=place, key=f"derived.{name}")
            self._add(
                Declared(
                    name=name, term=term, meaning=expression.meaning, where=place, scope=self,
                    offered=expression.offered,
                ),
                "derived",
            )  # fmt: skip

        for function, place in custom:
            for column in function.names:
                term_ = Output(custom=function, column=column)
                self._add(
                    Declared(name=column, term=term_, meaning=function.meaning, where=place, scope=self), "custom"
                )

    def find(self, name: str, *, bare: bool = False) -> Declared | None:
        """Return the feature of that name, from here or from outside; None if there is none.

        Args:
            name: the feature's final name.
            bare: whether the bare name of an aggregation counts, as it does in formulas.
        """
        found = self._features.get(name)
        if found is None and bare and name in self._bare:
            found = self._features[self._bare[name]]
        if found is None and self.outer is not None:
            found = self.outer.find(name, bare=bare)
        return found

    def names(self) -> list[str]:
        """Return all names that can be selected, those declared here first."""
        outside = [] if self.outer is None else self.outer.names()
        return [*self._features, *(name for name in outside if name not in self._features)]

    def offered(self) -> list[str]:
        """Return what a set that selects nothing gets: all that is declared here, else what the outer scope offers."""
        own = [name for name, declared in self._features.items() if declared.offered]
        return own if own or self.outer is None else self.outer.offered()

    def _add_aggregation(self, name: str, declared: DeclaredAggregation) -> None:
        aggregation, place = declared.aggregation, self._where("aggregations", name)
        condition = None
        if aggregation.where is not None:
            condition = parse(
                aggregation.where,
                where=self._where("aggregations", name, "where"),
                key=f"aggregations.{name}.where",
            )
        windows = aggregation.windows or [self._window]
        for window in windows:
            length = self._length(window, name)
            for feature, pivot in _feature_names(name, aggregation, "".join(window.split()), len(windows)):
                cell = Cell(
                    agg=aggregation.agg, column=aggregation.column, where=condition, window=length, pivot=pivot,
                    source=aggregation.source or self._source, q=aggregation.q, weight=aggregation.weight,
                    among=aggregation.among,
                )  # fmt: skip
                self._add(
                    Declared(
                        name=feature, term=cell, meaning=declared.meaning, where=place, scope=self,
                        offered=declared.offered,
                    ),
                    "aggregations",
                )  # fmt: skip
                if len(windows) == 1 and pivot is None:
                    self._bare[name] = feature

    def _length(self, window: str, name: str) -> timedelta:
        length = FOREVER if window.strip() == ALL else duration(window)
        if not length:
            raise ConfigError.invalid(
                where=self._where("aggregations", name), key=f"aggregations.{name}",
                problem="a window must be longer than zero", value=window,
            )  # fmt: skip
        return length

    def _add(self, declared: Declared, section: str) -> None:
        key = f"{section}.{declared.name}"
        if not _NAME.fullmatch(declared.name):
            raise ConfigError.invalid(
                where=declared.where, key=key, problem="not a feature name",
                hint="Use letters, digits and _; Feast, SQL and Python all have to read it.",
            )  # fmt: skip
        if declared.name.lower() in self._taken:
            raise ConfigError.invalid(
                where=declared.where, key=key, problem="this name is taken by a column of every set"
            )
        twin = next((known for known in self._features if known.lower() == declared.name.lower()), None)
        if twin is not None:
            raise ConfigError.invalid(
                where=declared.where, key=key,
                problem=f"a feature of this name is declared at {self._features[twin].where} too",
                hint="Names that differ in case only count as the same: engines do not tell them apart.",
            )  # fmt: skip
        self._features[declared.name] = declared


def _feature_names(
    name: str, aggregation: Aggregation, window: str, windows: int
) -> list[tuple[str, tuple[str, str] | None]]:
    """Return feature names for one window, each with its pivot (column, value)."""
    if aggregation.pivot is None:
        return [(f"{name}_{window}", None)]
    suffix = f"_{window}" if windows > 1 else ""
    column = aggregation.pivot.column
    return [
        (f"{name}_{re.sub(r'[^A-Za-z0-9_]', '_', value)}{suffix}", (column, value))
        for value in aggregation.pivot.values
    ]
