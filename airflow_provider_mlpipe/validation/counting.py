"""Counting the rows that break rules: several rules in one statement, as each statement has a price of its own."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.frame import Frame

__all__ = ["Condition", "count_rows"]

Condition = tuple[str, list[Any]]
"""SQL that is true of a row that breaks a rule, and its parameters."""

CONDITIONS_PER_STATEMENT = 16


def count_rows(frame: Frame, conditions: Mapping[str, Condition]) -> dict[str, int | str]:
    """Return by name how many rows meet each condition, or why the engine refuses to say."""
    found: dict[str, int | str] = {}
    left = iter(conditions.items())
    while some := dict(islice(left, CONDITIONS_PER_STATEMENT)):
        found |= _together(frame, some)
    return found


def _together(frame: Frame, conditions: Mapping[str, Condition]) -> dict[str, int | str]:
    """Count in one statement; if the engine refuses it, each condition alone, so that one does not spoil the others."""
    import duckdb

    try:
        row = frame.row(
            [f"count(*) FILTER (WHERE {sql})" for sql, _ in conditions.values()],
            [value for _, parameters in conditions.values() for value in parameters],
        )
    except duckdb.Error as error:
        if len(conditions) == 1:
            return dict.fromkeys(conditions, refusal(error))
        alone = (_together(frame, {name: condition}) for name, condition in conditions.items())
        return {name: count for counted in alone for name, count in counted.items()}
    return {name: int(count) for name, count in zip(conditions, row, strict=True)}
