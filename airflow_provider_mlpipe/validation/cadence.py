"""How often a data set gets new rows: the gaps between its times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.validation.freshness import hours_before

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["Cadence", "cadence"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = 10_000
"""The gaps between so many of the newest times tell the habit of today; older ones may tell another."""


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """The rhythm of the column that moves on latest.

    Attributes:
        column: the time column.
        newest: its newest value.
        age_hours: how much older than as_of that is; negative if it lies after.
        gaps: how many gaps were looked at.
        usual_hours: 99 of 100 gaps are at most so long.
        longest_hours: the longest of them.
        later: values after as_of.
    """

    column: str
    newest: datetime
    age_hours: float
    gaps: int
    usual_hours: float
    longest_hours: float
    later: int = 0


def cadence(frame: Frame, columns: Mapping[str, ColumnProfile], as_of: datetime) -> Cadence | None:
    """Return the rhythm of the time column whose newest value up to `as_of` is the newest; None without one."""
    names = [name for name, column in columns.items() if column.type == "timestamp" and column.nulls != frame.rows]
    if not names:
        return None
    places = {name: f"CAST({frame.sql(name)} AS TIMESTAMPTZ)" for name in names}
    until = as_of.isoformat()
    row = frame.row(
        [f"epoch_us(max({place}) FILTER (WHERE {place} <= CAST(? AS TIMESTAMPTZ)))" for place in places.values()],
        [until] * len(names),
    )
    newest = {name: value for name, value in zip(names, row, strict=True) if value is not None}
    if not newest:
        return None
    name = max(names, key=lambda each: newest.get(each, -(2**63)))
    place = places[name]
    ((gaps, usual, longest),) = frame.query(
        "SELECT count(gap), quantile_disc(gap, 0.99), max(gap) FROM (SELECT moment - lead(moment) OVER "  # noqa: S608
        f"(ORDER BY moment DESC) AS gap FROM (SELECT DISTINCT epoch_us({place}) AS moment FROM {{rows}} "
        f"WHERE {place} <= CAST(? AS TIMESTAMPTZ) AND isfinite({place}) ORDER BY moment DESC LIMIT {MOMENTS + 1}))",
        [until],
    )
    latest, later = frame.row(
        [
            f"epoch_us(max({place}) FILTER (WHERE isfinite({place})))",
            f"count(*) FILTER (WHERE {place} > CAST(? AS TIMESTAMPTZ))",
        ],
        [until],
    )
    moment = _EPOCH + timedelta(microseconds=latest)
    return Cadence(
        column=name, newest=moment, age_hours=hours_before(moment, as_of), gaps=int(gaps),
        usual_hours=_hours(usual), longest_hours=_hours(longest), later=int(later),
    )  # fmt: skip


def _hours(microseconds: int | None) -> float:
    return (microseconds or 0) / 3.6e9
