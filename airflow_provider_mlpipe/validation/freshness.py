"""Freshness: how old the newest value of a time column was at the run's as_of. The clock plays no part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.rules import Fresh

__all__ = ["find", "hours_before", "measures"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = frozenset({"timestamp", "date", "string"})


def measures(frame: Frame, rule: Fresh) -> Mapping[str, Measure]:
    """Return what tells the newest instant, of a column that can hold one."""
    if frame.rows == 0 or frame.logical(rule.column) not in _TIMES:
        return {}
    read = f"TRY_CAST({frame.sql(rule.column)} AS TIMESTAMPTZ)"
    return {
        "newest": (f"epoch_us(max({read}) FILTER (WHERE isfinite({read})))", []),
        "present": (f"count({frame.sql(rule.column)})", []),
        "readable": (f"count({read})", []),
    }


def find(frame: Frame, rule: Fresh, measured: Mapping[str, Any]) -> Finding:
    """Return the newest instant: a naive time is UTC, a date is its midnight, a text is read as ISO 8601."""
    kind = frame.logical(rule.column)
    if frame.rows == 0:
        return Finding(skipped="there are no rows")
    if kind == "null":
        return Finding(unexpected=1)
    if kind not in _TIMES:
        return Finding(problem=f"{column(rule.column)} is of type {kind}, which is not a time")
    newest, present, readable = (measured[name] for name in ("newest", "present", "readable"))
    if present and not readable:
        return Finding(problem=f"no text in {column(rule.column)} is an ISO 8601 time")
    if newest is None:
        return Finding(unexpected=1)
    unread = present - readable
    moment = _EPOCH + timedelta(microseconds=newest)
    detail = f"{unread:,} texts are not times and were left out" if unread else ""
    age = hours_before(moment, rule.as_of)
    ahead = rule.max_future_hours is not None and -age > rule.max_future_hours
    return Finding(observed=moment.isoformat(), detail=detail, unexpected=int(age > rule.max_age_hours or ahead))


def hours_before(moment: datetime, as_of: datetime) -> float:
    """Return by how many hours `moment` lies before `as_of`; negative if it lies after."""
    return (as_of - moment) / timedelta(hours=1)
