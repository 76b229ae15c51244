"""Drift: counting a column into the bins or categories of its reference."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.membership import listed
from airflow_provider_mlpipe.validation.references import statistic
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.rules import Drift

__all__ = ["find"]

_LISTABLE = frozenset({"string", "int", "float", "decimal", "bool", "timestamp", "date"})


def find(frame: Frame, rule: Drift) -> Finding:
    """Return the statistic and the counts that it was computed from."""
    kind = frame.logical(rule.column)
    if kind not in ({"int", "float", "decimal", "null"} if rule.reference.bins else _LISTABLE | {"null"}):
        wanted = "numbers" if rule.reference.bins else "a list of categories"
        return Finding(problem=f"{column(rule.column)} is of type {kind}, which cannot be compared with {wanted}")
    counts = [0] if kind == "null" else _binned(frame, rule) if rule.reference.bins else _listed(frame, rule)
    total = sum(counts)
    if total < rule.min_rows:
        return Finding(skipped=f"{total:,} values are fewer than min_rows {rule.min_rows:,}")
    expected = rule.reference.expected
    moved = statistic(rule.method, expected, counts)
    shape: dict[str, list[Any]] = {
        "labels": rule.reference.labels,
        "expected": [round(share, 6) for share in expected],
        "actual": [round(count / total, 6) for count in counts],
    }
    return Finding(
        observed=round(moved, 6), missing=frame.rows - total,
        shape=shape, unexpected=int(moved > rule.threshold),
        detail=f"{total:,} values",
    )  # fmt: skip


def _binned(frame: Frame, rule: Drift) -> list[int]:
    """Count values per bin; what lies beyond the edges goes to the first or last bin."""
    place, present = frame.sql(rule.column), f"NOT {frame.is_null(rule.column)}"
    inner = rule.reference.bins[1:-1]
    below = [f"count(*) FILTER (WHERE {present} AND {place} < ?)" for _ in inner]
    *sums, total = frame.row([*below, f"count(*) FILTER (WHERE {present})"], list(inner))
    edges = [0, *sums, total]
    return [int(after - before) for before, after in pairwise(edges)]


def _listed(frame: Frame, rule: Drift) -> list[int]:
    """Count values per category; the last count is of values that the reference does not know."""
    values = rule.reference.values
    counts = [0] * (len(values) + 1)
    place, kind, _ = listed(frame, rule.column, values)
    # One slot per category keeps the positions; a category that the column cannot hold is a null, which matches none.
    slots = [next(iter(listed(frame, rule.column, [value])[2]), None) for value in values]
    rows = frame.query(
        f"SELECT list_position(CAST(? AS {kind}[]), {place}), count(*) FROM {{rows}} "  # noqa: S608
        f"WHERE NOT {frame.is_null(rule.column)} GROUP BY 1",
        [slots],
    )
    for position, count in rows:
        counts[position - 1 if position else -1] += int(count)
    return counts
