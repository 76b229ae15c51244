"""Ranges: most are settled by a column's smallest and greatest value, the others are counted together."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.counting import count_rows
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.validation.counting import Condition
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.profile import ColumnProfile
    from airflow_provider_mlpipe.validation.rules import InRange

__all__ = ["condition", "count_outside"]

_NUMBERS = frozenset({"int", "float", "decimal", "bool", "null"})
_TIMES = frozenset({"timestamp", "date", "null"})


def count_outside(
    frame: Frame, rules: Sequence[InRange], profiles: Mapping[str, ColumnProfile]
) -> dict[str, int | str]:
    """Return by rule id how many values lie outside, or why that cannot be said."""
    found: dict[str, int | str] = {}
    conditions: dict[str, Condition] = {}
    for rule in rules:
        if rule.column not in frame.names:
            continue
        problem = _problem(frame, rule)
        if problem:
            found[rule.rule_id] = problem
        elif frame.logical(rule.column) == "null" or _settled(rule, profiles[rule.column]):
            found[rule.rule_id] = 0
        else:
            conditions[rule.rule_id] = condition(frame, rule)
    return found | count_rows(frame, conditions)


def condition(frame: Frame, rule: InRange) -> Condition:
    """Return the SQL condition of a value outside, and its parameters."""
    place = frame.sql(rule.column)
    if rule.temporal:
        place = f"CAST({place} AS TIMESTAMPTZ)"
    elif frame.logical(rule.column) == "bool":
        place = f"CAST({place} AS INTEGER)"
    slot = "CAST(? AS TIMESTAMPTZ)" if rule.temporal else "?"
    sides = [(bound, sign) for bound, sign in ((rule.low, "<"), (rule.high, ">")) if bound is not None]
    outside = " OR ".join(f"{place} {sign} {slot}" for _, sign in sides)
    parameters = [_parameter(frame, rule.column, bound) for bound, _ in sides]
    return f"(NOT {frame.is_null(rule.column)} AND ({outside}))", parameters


def _parameter(frame: Frame, name: str, bound: float | datetime) -> Any:  # noqa: ANN401 - what DuckDB binds
    """Return a bound as DuckDB takes it: exactly where it can, as a double where a decimal column is too narrow."""
    if isinstance(bound, datetime):
        return bound.isoformat()
    if frame.logical(name) == "decimal":
        kind = frame.schema.field(frame.names[name]).type
        return bound if isinstance(bound, int) and abs(bound) < 10 ** (kind.precision - kind.scale) else float(bound)
    return bound


def _problem(frame: Frame, rule: InRange) -> str:
    """Return why the range makes no sense for the column's type, or nothing."""
    kind = frame.logical(rule.column)
    if kind in (_TIMES if rule.temporal else _NUMBERS):
        return ""
    bounds = "times" if rule.temporal else "numbers"
    return f"{column(rule.column)} is of type {kind}, which cannot be compared with {bounds}"


def _settled(rule: InRange, profile: ColumnProfile) -> bool:
    """Whether the extremes of a column of numbers already say that no value lies outside."""
    if rule.temporal or profile.type == "bool" or not isinstance(profile.low, (int, float)):
        return False
    low = rule.low is None or Decimal(profile.low) >= Decimal(rule.low)  # type: ignore[arg-type] # not temporal
    return low and (rule.high is None or Decimal(profile.high) <= Decimal(rule.high))  # type: ignore[arg-type]
