"""Drift: counting a column into the bins or categories of its reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.membership import listed
from airflow_provider_mlpipe.validation.references import statistic
from airflow_provider_mlpipe.validation.samples import strangers
from airflow_provider_mlpipe.validation.wording import column, plural, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.validation.findings import Sample
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.rules import Drift

__all__ = ["binned", "find"]

_LISTABLE = frozenset({"string", "int", "float", "decimal", "bool", "timestamp", "date"})


def find(frame: Frame, rule: Drift) -> Finding:
    """Return the statistic and the counts that it was computed from."""
    kind = frame.logical(rule.column)
    if kind not in ({"int", "float", "decimal", "null"} if rule.reference.bins else _LISTABLE | {"null"}):
        wanted = "numbers" if rule.reference.bins else "a list of categories"
        return Finding(problem=f"{column(rule.column)} is of type {kind}, which cannot be compared with {wanted}")
    counts = _counted(frame, rule, kind)
    total = sum(counts)
    if total < rule.min_rows:
        return Finding(skipped=f"{total:,} values are fewer than min_rows {rule.min_rows:,}")
    expected = rule.reference.expected
    moved = statistic(rule.method, expected, counts)
    shape: dict[str, list[Any]] = {
        "labels": rule.reference.labels,
        "expected": [round(part, 6) for part in expected],
        "actual": [round(count / total, 6) for count in counts],
    }
    moved_too_far = moved > rule.threshold
    return Finding(
        observed=round(moved, 6), missing=frame.rows - total,
        shape=shape, unexpected=int(moved_too_far),
        detail=f"{plural(total, 'value')}{_news(rule, counts)}",
        samples=_newcomers(frame, rule) if moved_too_far and _has_newcomers(rule, counts) else (),
    )  # fmt: skip


def _counted(frame: Frame, rule: Drift, kind: str) -> list[int]:
    """Return how many values fall into each bin or category of the reference."""
    if kind == "null":
        return [0]
    return binned(frame, rule.column, rule.reference.bins) if rule.reference.bins else _listed(frame, rule)


def _news(rule: Drift, counts: Sequence[int]) -> str:
    """Return how many values are of categories that the reference does not know, as a clause; or nothing."""
    if not _has_newcomers(rule, counts):
        return ""
    part = share(counts[-1] / sum(counts))
    return f"; {counts[-1]:,} ({part}) are in no category of the reference"


def _has_newcomers(rule: Drift, counts: Sequence[int]) -> bool:
    """Whether values were found that the reference does not know, though it lists all that it saw."""
    return not rule.reference.bins and rule.reference.expected[-1] == 0 and counts[-1] > 0


def _newcomers(frame: Frame, rule: Drift) -> tuple[Sample, ...]:
    """Return the most frequent categories that the reference does not know."""
    place, kind, values = listed(frame, rule.column, rule.reference.values)
    unknown = f"NOT {frame.is_null(rule.column)} AND NOT list_contains(CAST(? AS {kind}[]), {place})"
    return strangers(frame, rule.column, (), unknown, [values])


def binned(frame: Frame, name: str, bins: Sequence[float]) -> list[int]:
    """Count the values of a column per bin; what lies beyond the edges goes to the first or last bin."""
    place, inner = frame.sql(name), list(bins[1:-1])
    # Counting by the number of the bin takes half the time of one filtered count per edge.
    numbered = " ".join(f"WHEN {place} < ? THEN {number}" for number in range(len(inner)))
    which = f"CASE {numbered} ELSE {len(inner)} END" if inner else "0"
    rows = frame.query(
        f"SELECT {which}, count(*) FROM {{rows}} WHERE NOT {frame.is_null(name)} GROUP BY 1",  # noqa: S608
        inner,
    )
    counts = [0] * (len(inner) + 1)
    for number, count in rows:
        counts[number] = int(count)
    return counts


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
