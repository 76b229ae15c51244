"""What the functions of users see and return: inputs cut to their window, and results in the form of the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.exact import finite, number
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT
from airflow_provider_mlpipe.feature_extraction.compile.tables import table_of
from airflow_provider_mlpipe.feature_extraction.compile.terms import clean, happened, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.feature_extraction.custom import Custom
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["outcome", "stacked", "times_in", "visible"]


def visible(plan: Plan, role: str, schema: pa.Schema, columns: Sequence[str], start: datetime, end: datetime) -> Any:  # noqa: ANN401 - ibis has no types
    """Return an input by our column names, with what happened in [start, end) only and no time at or after `end`.

    Rows of an input that is read as events count by their time; entities that come into being at a time count from
    then on; other inputs have no time, and all their rows.
    """
    ours = {plan.theirs(role, column): column for column in (*columns, *_ties(plan, role))}
    ours |= {theirs: column for column, theirs in plan.columns.get(role, {}).items() if not columns}
    table = table_of(role, schema, {name for name in schema.names if not columns or name in ours})
    table = table.select(**{ours.get(name, name): clean(table[name]) for name in table.columns})
    time = plan.time_of(role)
    if time:
        table = table.filter(table[time] >= moment(start), table[time] < moment(end))
    elif role == plan.domain.spine and plan.domain.since:
        table = table.filter(table[plan.domain.since] < moment(end))
    later = {
        name: happened(table[name], moment(end))
        for name in table.columns
        if table[name].type().is_timestamp() and name not in plan.domain.planned
    }
    return table.mutate(**later) if later else table


def times_in(plan: Plan, role: str, table: Any, start: datetime, end: datetime) -> Any:  # noqa: ANN401
    """Return a row about a table made by `visible`, or None if it has no time in it.

    `latest` is the latest time that stands there, `outside` counts rows with a time that must not: one at or after
    `end`, or, of events, one before `start`.
    """
    import ibis

    own = plan.time_of(role)
    times = [name for name in table.columns if table[name].type().is_timestamp()]
    times = [name for name in times if name == own or name not in plan.domain.planned]
    if not times:
        return None
    outside = [table[name] >= moment(end) for name in times] + ([table[own] < moment(start)] if own else [])
    latest = [table[name].max() for name in times]
    return table.aggregate(
        latest=ibis.greatest(*latest) if len(latest) > 1 else latest[0],
        outside=ibis.or_(*outside).sum().fill_null(0).cast("int64"),
    )


def outcome(plan: Plan, custom: Custom, found: Any, when: datetime | None) -> Any:  # noqa: ANN401
    """Return a function's result with internal names: k0, the moment if it is one of many, features by their ids."""
    outputs = {key: output for key, output in plan.custom.items() if output.custom is custom}
    columns = {"k0": found[custom.entity]}
    if when is not None:
        columns[MOMENT] = moment(when)
    for key, output in outputs.items():
        value = found[output.column]
        columns[key] = value.cast("float64") if value.type().is_null() else finite(number(value))
    return found.filter(found[custom.entity].notnull()).select(**columns)


def stacked(tables: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return the rows of all tables."""
    first, *others = tables
    return first.union(*others) if others else first


def _ties(plan: Plan, role: str) -> list[str]:
    """Return what ties an input to time and entities, which is there in any case."""
    domain, time = plan.domain, plan.time_of(role)
    found = [time] if time else []
    if role == domain.spine:
        found += [domain.entity, *([domain.since] if domain.since else [])]
    for source in domain.sources.values():
        if source.role == role:
            found += [column for column, _ in source.keys if not source.lender(column)]
    return found
