"""The rules of a dataset as typed values: YAML in, a list of `Rule` out, each with a stable id and its YAML line."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.references import Reference, read_reference
from airflow_provider_mlpipe.validation.wording import column, columns, number, share, things, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_mlpipe.config import Configured, DatasetRules, Severity

__all__ = [
    "ColumnExists",
    "Drift",
    "Fresh",
    "HasRows",
    "InRange",
    "InSet",
    "NotNull",
    "OfType",
    "Rule",
    "Unique",
    "rules_of",
]

_RANK = {"ERROR": 0, "WARNING": 1, "INFO": 2}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that must hold.

    Attributes:
        rule_id: ``dataset.kind.columns``; the same as long as the YAML says the same.
        columns: the columns that it reads.
        severity: ERROR blocks, WARNING is counted, INFO is reported.
        where: ``file:line`` of the YAML.
        owner: whom to ask.
        note: why the rule is there.
    """

    kind: ClassVar[str] = "rule"

    rule_id: str
    columns: tuple[str, ...]
    severity: Severity
    where: str
    owner: str | None = None
    note: str | None = None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        raise NotImplementedError

    @property
    def column(self) -> str:
        """The column of a rule that has exactly one."""
        return self.columns[0]


@dataclass(frozen=True, kw_only=True)
class HasRows(Rule):
    """There is a row at all: without one every other rule would hold."""

    kind: ClassVar[str] = "rows"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return "There is at least one row."


@dataclass(frozen=True, kw_only=True)
class ColumnExists(Rule):
    """The column is there. Its absence is one failure; the other rules on it are skipped."""

    kind: ClassVar[str] = "column"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"The column {column(self.column)} exists."


@dataclass(frozen=True, kw_only=True)
class OfType(Rule):
    """The column has a logical type."""

    kind: ClassVar[str] = "type"
    type: str

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is of type {self.type}."


@dataclass(frozen=True, kw_only=True)
class NotNull(Rule):
    """A share of at least `mostly` of the rows has a value."""

    kind: ClassVar[str] = "not_null"
    mostly: float = 1.0

    @property
    def text(self) -> str:
        """The rule in plain words."""
        if self.mostly == 1:
            return f"{column(self.column)} is never empty."
        return f"{column(self.column)} is empty in at most {share(1 - self.mostly)} of the rows."


@dataclass(frozen=True, kw_only=True)
class Unique(Rule):
    """No two rows have the same values in `columns`; rows with a null in one of them do not count."""

    kind: ClassVar[str] = "unique"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"No two rows have the same {columns(self.columns)}."


@dataclass(frozen=True, kw_only=True)
class InRange(Rule):
    """Values lie between `low` and `high`, both inclusive; both numbers or both instants."""

    kind: ClassVar[str] = "range"
    low: float | datetime | None
    high: float | datetime | None
    mostly: float = 1.0

    @property
    def temporal(self) -> bool:
        """Whether the bounds are instants."""
        return isinstance(self.low, datetime) or isinstance(self.high, datetime)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        low, high = _bound(self.low), _bound(self.high)
        if self.low is not None and self.high is not None:
            return f"between {low} and {high}"
        return f"at least {low}" if self.low is not None else f"at most {high}"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is {self.bounds}{_mostly(self.mostly)}."


@dataclass(frozen=True, kw_only=True)
class InSet(Rule):
    """Values are among `values`."""

    kind: ClassVar[str] = "in_set"
    values: tuple[object, ...]
    mostly: float = 1.0

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is one of {things(self.values)}{_mostly(self.mostly)}."


@dataclass(frozen=True, kw_only=True)
class Fresh(Rule):
    """The newest value is at most `max_age_hours` older than `as_of`, and at most `max_future_hours` newer."""

    kind: ClassVar[str] = "fresh"
    as_of: datetime
    max_age_hours: float
    max_future_hours: float | None = None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        future = "" if self.max_future_hours is None else f" and at most {number(self.max_future_hours)} h newer"
        return (
            f"The newest {column(self.column)} is at most {number(self.max_age_hours)} h older{future} "
            f"than {when(self.as_of)}."
        )


@dataclass(frozen=True, kw_only=True)
class Drift(Rule):
    """The distribution is as far as `threshold` from the reference at most."""

    kind: ClassVar[str] = "drift"
    reference: Reference
    method: str
    threshold: float
    min_rows: int = 1

    @property
    def text(self) -> str:
        """The rule in plain words."""
        name = {"psi": "PSI", "js": "Jensen-Shannon distance", "ks": "Kolmogorov-Smirnov statistic"}[self.method]
        return f"{column(self.column)} is distributed as its reference: {name} at most {number(self.threshold)}."


def rules_of(configured: Configured[DatasetRules], as_of: datetime) -> tuple[Rule, ...]:
    """Return the rules of a dataset, in the order of the report: rows, columns, then as the YAML lists them.

    Raises:
        ConfigError: a rule that no data could ever make sense of, e.g. a range from a number to a date.
    """
    stated = list(_stated(configured, as_of))
    dataset = configured.name
    first: list[Rule] = []
    if not configured.model.allow_empty:
        where = configured.where("allow_empty")
        first.append(HasRows(rule_id=f"{dataset}.rows", columns=(), severity="ERROR", where=where))
    return tuple(_with_distinct_ids([*first, *_columns(dataset, stated), *stated]))


def _columns(dataset: str, rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield one existence rule per column that any rule reads, as severe as the most severe of those."""
    by_column: dict[str, list[Rule]] = {}
    for rule in rules:
        for name in rule.columns:
            by_column.setdefault(name, []).append(rule)
    for name, readers in by_column.items():
        severity = min((rule.severity for rule in readers), key=_RANK.__getitem__)
        where = next(rule.where for rule in readers if rule.severity == severity)
        yield ColumnExists(rule_id=f"{dataset}.column.{name}", columns=(name,), severity=severity, where=where)


def _stated(configured: Configured[DatasetRules], as_of: datetime) -> Iterator[Rule]:
    """Yield the rules that the YAML states."""
    model, at, where = configured.model, configured.name, configured.where
    for name, kind in model.columns.items():
        yield OfType(
            rule_id=f"{at}.type.{name}", columns=(name,), severity=kind.severity, owner=kind.owner, note=kind.note,
            where=where("schema", name), type=kind.type,
        )  # fmt: skip
    for place, filled in enumerate(model.required_columns):
        yield NotNull(
            rule_id=f"{at}.not_null.{filled.column}", columns=(filled.column,), severity=filled.severity,
            owner=filled.owner, note=filled.note, where=where("required_columns", place), mostly=filled.mostly,
        )  # fmt: skip
    for place, key in enumerate(model.unique_columns):
        yield Unique(
            rule_id=f"{at}.unique.{'+'.join(key.columns)}", columns=tuple(dict.fromkeys(key.columns)),
            severity=key.severity, owner=key.owner, note=key.note, where=where("unique_columns", place),
        )  # fmt: skip
    for name, span in model.range_constraints.items():
        place_ = where("range_constraints", name)
        low, high = _bounds(span.min, span.max, place_, name)
        yield InRange(
            rule_id=f"{at}.range.{name}", columns=(name,), severity=span.severity, owner=span.owner, note=span.note,
            where=place_, low=low, high=high, mostly=span.mostly,
        )  # fmt: skip
    for name, choice in model.categorical_constraints.items():
        yield InSet(
            rule_id=f"{at}.in_set.{name}", columns=(name,), severity=choice.severity, owner=choice.owner,
            note=choice.note, where=where("categorical_constraints", name), values=tuple(choice.values),
            mostly=choice.mostly,
        )  # fmt: skip
    yield from _of_time_and_shape(configured, as_of)


def _of_time_and_shape(configured: Configured[DatasetRules], as_of: datetime) -> Iterator[Rule]:
    model, at, where = configured.model, configured.name, configured.where
    if (fresh := model.freshness) is not None:
        yield Fresh(
            rule_id=f"{at}.fresh.{fresh.timestamp_column}", columns=(fresh.timestamp_column,), severity=fresh.severity,
            owner=fresh.owner, note=fresh.note, where=where("freshness"), as_of=as_of,
            max_age_hours=fresh.max_age_hours, max_future_hours=fresh.max_future_hours,
        )  # fmt: skip
    for name, drift in model.distribution.items():
        place = where("distribution", name)
        yield Drift(
            rule_id=f"{at}.drift.{name}", columns=(name,), severity=drift.severity, owner=drift.owner, note=drift.note,
            where=place, method=drift.method, threshold=drift.threshold, min_rows=drift.min_rows,
            reference=read_reference(drift, configured.document.name, place, name),
        )  # fmt: skip


def _bounds(
    low: float | str | None, high: float | str | None, where: str, name: str
) -> tuple[float | datetime | None, float | datetime | None]:
    """Return numbers as they are and ISO texts as instants; refuse a mixture and a range that nothing fits in."""
    try:
        found = [instant(bound) if isinstance(bound, str) else bound for bound in (low, high)]
    except ConfigError as error:
        raise _bad_range(where, name, "a bound is neither a number nor an ISO 8601 time", low, high) from error
    given = [bound for bound in found if bound is not None]
    if len({isinstance(bound, datetime) for bound in given}) > 1:
        raise _bad_range(where, name, "one bound is a number, the other a time", low, high)
    if any(isinstance(bound, float) and math.isnan(bound) for bound in given):
        raise _bad_range(where, name, "a bound is not a number (NaN)", low, high)
    if len(given) == 2 and given[0] > given[1]:  # type: ignore[operator] # both are numbers or both are instants
        raise _bad_range(where, name, "min is greater than max, so no value fits", low, high)
    return found[0], found[1]


def _bad_range(where: str, name: str, problem: str, low: object, high: object) -> ConfigError:
    return ConfigError.invalid(
        where=where, key=f"range_constraints.{name}", problem=problem, value=f"[{low!r}, {high!r}]",
        hint="Write [0, 120], {min: 0}, or times such as ['2020-01-01', '2030-01-01'].",
    )  # fmt: skip


def _with_distinct_ids(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Number the rules that the YAML states twice, so that an id names one of them."""
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.rule_id] += 1
        count = seen[rule.rule_id]
        yield rule if count == 1 else replace(rule, rule_id=f"{rule.rule_id}#{count}")


def _mostly(mostly: float) -> str:
    return "" if mostly == 1 else f" in at least {share(mostly)} of its values"


def _bound(bound: float | datetime | None) -> str:
    if bound is None:
        return ""
    return when(bound) if isinstance(bound, datetime) else number(bound)
