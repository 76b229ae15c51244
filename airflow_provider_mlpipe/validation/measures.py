"""Measuring: the numbers of several rules in one statement, as each statement has a price of its own."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_mlpipe.validation.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.frame import Frame

__all__ = ["Condition", "Measure", "Refused", "all_of", "count", "measure", "negated"]

Condition = tuple[str, list[Any]]
"""SQL that is true of a row, and its parameters."""

Measure = tuple[str, list[Any]]
"""An SQL aggregate over the rows, and its parameters."""

Name = TypeVar("Name")

MEASURES_PER_STATEMENT = 16
"""DuckDB computes a few narrow statements faster than one that is hundreds of aggregates wide."""


class Refused(str):
    """Why the engine cannot compute a measure, in place of its value."""

    __slots__ = ()


def count(condition: Condition) -> Measure:
    """Return the aggregate that counts the rows for which `condition` is true."""
    sql, parameters = condition
    return f"count(*) FILTER (WHERE {sql})", parameters


def all_of(*conditions: Condition | None) -> Condition:
    """Return the condition that all of them hold; None holds of every row.

    >>> all_of(("a > ?", [1]), None, ("b OR c", []))
    ('(a > ?) AND (b OR c)', [1])
    """
    given = [condition for condition in conditions if condition is not None]
    if not given:
        return "true", []
    return " AND ".join(f"({sql})" for sql, _ in given), [value for _, parameters in given for value in parameters]


def negated(condition: Condition | None) -> Condition | None:
    """Return the condition that it is not true; nothing for nothing."""
    return None if condition is None else (f"NOT ({condition[0]})", condition[1])


def measure(frame: Frame, wanted: Mapping[Name, Measure], at_a_time: int = MEASURES_PER_STATEMENT) -> dict[Name, Any]:
    """Return the measures by name, those that the engine refuses as `Refused`.

    Args:
        frame: the rows.
        wanted: what to measure. What stands side by side is measured together, and what is measured of the same column
            together decodes it once.
        at_a_time: how many share a statement.
    """
    found: dict[Name, Any] = {}
    left = iter(wanted.items())
    while some := dict(islice(left, at_a_time)):
        found |= _together(frame, some)
    return found


def _together(frame: Frame, wanted: Mapping[Name, Measure]) -> dict[Name, Any]:
    """Measure in one statement; if the engine refuses it, in halves, so that one does not spoil the others."""
    try:
        row = frame.row([sql for sql, _ in wanted.values()], [each for _, given in wanted.values() for each in given])
    except Exception as error:  # noqa: BLE001 - what is not the engine's is raised again
        said = refusal(error)
        if len(wanted) == 1:
            return dict.fromkeys(wanted, Refused(said))
        names = list(wanted)
        middle = len(names) // 2
        halves = ({name: wanted[name] for name in some} for some in (names[:middle], names[middle:]))
        return {name: value for half in halves for name, value in _together(frame, half).items()}
    return dict(zip(wanted, row, strict=True))
