"""Ranges: most are settled by a column's smallest and greatest value, the others are counted together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.validation.rules.bounds import Bound, bounds_in_words, read_bounds
from airflow_provider_mlpipe.validation.rules.plain import spelled
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["NUMBERS", "TIMES", "InRange", "stated"]

NUMBERS = frozenset({"int", "float", "decimal", "bool", "null"})
TIMES = frozenset({"timestamp", "date", "null"})


@dataclass(frozen=True, kw_only=True)
class InRange(RowRule):
    """Values lie between `low` and `high`, both inclusive; both numbers or both instants."""

    kind: ClassVar[str] = "range"
    streams: ClassVar[bool] = True
    low: Bound
    high: Bound

    @property
    def temporal(self) -> bool:
        """Whether the bounds are instants."""
        return isinstance(self.low, datetime) or isinstance(self.high, datetime)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        return bounds_in_words(self.low, self.high)

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is {self.bounds}{self.tail}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        arguments = {"column": self.column, "min_value": self.low, "max_value": self.high, "mostly": self.mostly}
        return "expect_column_values_to_be_between", arguments

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        place = quote(self.column)
        given = [(sign, bound) for sign, bound in ((">=", self.low), ("<=", self.high)) if bound is not None]
        return " AND ".join(f"{place} {sign} {spelled(bound)}" for sign, bound in given)

    def problem(self, frame: Frame) -> str:
        """Return why the range makes no sense for the column's type, or nothing."""
        kind = frame.logical(self.column)
        if kind in (TIMES if self.temporal else NUMBERS):
            return ""
        bounds = "times" if self.temporal else "numbers"
        return f"{column(self.column)} is of type {kind}, which cannot be compared with {bounds}"

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a value outside, and its parameters."""
        if frame.logical(self.column) == "null":
            return "false", []
        place = frame.sql(self.column)
        if self.temporal:
            place = f"CAST({place} AS TIMESTAMPTZ)"
        elif frame.logical(self.column) == "bool":
            place = f"CAST({place} AS INTEGER)"
        slot = "CAST(? AS TIMESTAMPTZ)" if self.temporal else "?"
        sides = [(bound, sign) for bound, sign in ((self.low, "<"), (self.high, ">")) if bound is not None]
        outside = " OR ".join(f"{place} {sign} {slot}" for _, sign in sides)
        return f"({outside})", [_parameter(frame, self.column, bound) for bound, _ in sides]

    def settled(self, subject: Subject) -> bool:
        """Whether the extremes of a column of numbers already say that no value lies outside."""
        known = subject.profiles[self.column]
        if known.type == "null":
            return True
        if self.temporal or known.type == "bool" or not isinstance(known.low, (int, float)):
            return False
        low = self.low is None or Decimal(known.low) >= Decimal(self.low)  # type: ignore[arg-type] # not temporal
        return low and (self.high is None or Decimal(known.high) <= Decimal(self.high))  # type: ignore[arg-type]


def _parameter(frame: Frame, name: str, bound: float | datetime) -> Any:  # noqa: ANN401 - what DuckDB binds
    """Return a bound as DuckDB takes it: exactly where it can, as a double where a decimal column is too narrow."""
    if isinstance(bound, datetime):
        return bound.isoformat()
    if frame.logical(name) == "decimal":
        kind = frame.schema.field(frame.names[name]).type
        return bound if isinstance(bound, int) and abs(bound) < 10 ** (kind.precision - kind.scale) else float(bound)
    return bound


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``range_constraints``."""
    for name, span in statements.model.range_constraints.items():
        common = statements.common(span, f"range.{name}", [name], "range_constraints", name)
        low, high = read_bounds(span.min, span.max, common["where"], f"range_constraints.{name}")
        yield InRange(low=low, high=high, **common)
