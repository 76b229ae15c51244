"""The events of one source: those of its longest window, cleaned, with borrowed columns and internal names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.exact import number, rest, whole
from airflow_provider_mlpipe.feature_extraction.compile.terms import clean, happened, moment
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["TIME", "Names", "borrowed_rows", "keys_of", "prepared"]

TIME = "time"
"""The internal name of an event's time. All other internal names are a letter and a number, so that no column of an
input, whatever it is called, can be taken for one of them: k for keys, v for values, w and r for their exact parts."""

_ADDED = ("sum", "mean", "std", "rate")


class Names:
    """Internal names of the event columns that a source's cells use: v0, v1 ... for values, w and r for their parts."""

    def __init__(self, plan: Plan, source: str) -> None:
        self.of = {column: f"v{position}" for position, column in enumerate(plan.source_columns(source))}
        cells = plan.source_cells(source).values()
        self.added = {cell.column for cell in cells if cell.agg in _ADDED} | {cell.weight for cell in cells}

    def parts(self, column: str) -> tuple[str, str]:
        """Return the names of whole part and rest."""
        position = self.of[column][1:]
        return f"w{position}", f"r{position}"


def keys_of(table: Any) -> list[str]:  # noqa: ANN401 - ibis has no types
    """Return the key columns of events, or of a table made of them: k0, and more if a source has several keys."""
    return [name for name in table.columns if name.startswith("k")]


def prepared(plan: Plan, source: str, tables: Mapping[str, Any], as_of: datetime) -> Any:  # noqa: ANN401
    """Return the events of a source in its longest window: keys, time, and the columns that cells use."""
    found, names = plan.sources[source], Names(plan, source)
    _, end = plan.window(as_of)
    events = _in_window(plan, source, tables[found.role], as_of)
    time = clean(events[plan.theirs(found.role, found.timestamp)])
    values = {TIME: time}
    wanted = {f"k{n}": column for n, (column, _) in enumerate(found.keys)} | {
        name: column for column, name in names.of.items()
    }
    lent = {}
    for name, column in wanted.items():
        lender, theirs = found.lender(column), plan.theirs(found.role, column)
        if lender is not None:
            lent[name] = (lender, column)
        elif column == EVENT_DAY and theirs not in events.columns:
            values[name] = time.date()
        elif name.startswith("k"):
            values[name] = events[theirs]
        else:
            values[name] = _value(plan, column, events[theirs], end)
    for n, lender in enumerate(found.borrowed):
        values[f"b{n}"] = events[plan.theirs(found.role, lender.own)]
    rows = events.select(**values)
    for n, lender in enumerate(found.borrowed):
        rows = _with_borrowed(plan, rows, n, lender, lent, tables, as_of)
    return _with_parts(rows.select(TIME, *wanted) if found.borrowed else rows, names)


def borrowed_rows(plan: Plan, lender: Borrowed, tables: Mapping[str, Any], as_of: datetime) -> Any:  # noqa: ANN401
    """Return what a lender has to lend: its key as ``b``, its columns as l0, l1 ..., no two rows alike."""
    role = lender.role
    _, end = plan.window(as_of)
    table = tables[role]
    table = table.filter(table[plan.theirs(role, lender.other)].notnull())
    values = {"b": table[plan.theirs(role, lender.other)]}
    for n, column in enumerate(lender.columns):
        theirs = plan.theirs(role, column)
        if theirs in table.columns:  # else nobody asks for it
            values[f"l{n}"] = _value(plan, column, table[theirs], end)
    return table.select(**values).distinct()


def _value(plan: Plan, column: str, value: Any, end: datetime) -> Any:  # noqa: ANN401
    value = clean(value)
    return value if column in plan.domain.planned else happened(value, end)


def _with_borrowed(
    plan: Plan,
    rows: Any,  # noqa: ANN401
    n: int,
    lender: Borrowed,
    lent: dict[str, tuple[Borrowed, str]],
    tables: Mapping[str, Any],
    as_of: datetime,
) -> Any:  # noqa: ANN401
    other = borrowed_rows(plan, lender, tables, as_of)
    joined = rows.left_join(other, [rows[f"b{n}"] == other.b])
    columns = {
        name: other[f"l{lender.columns.index(column)}"] for name, (found, column) in lent.items() if found is lender
    }
    return joined.select(rows, **columns)


def _in_window(plan: Plan, source: str, events: Any, as_of: datetime) -> Any:  # noqa: ANN401
    found = plan.sources[source]
    time = events[plan.theirs(found.role, found.timestamp)]
    start, end = plan.window(as_of, plan.longest(source))
    return events.filter(_at(time) >= _bound(start, time), _at(time) < _bound(end, time))


def _with_parts(rows: Any, names: Names) -> Any:  # noqa: ANN401
    """Add the parts by which numbers are added exactly."""
    added = [column for column in names.of if column in names.added]
    if not added:
        return rows
    rows = rows.mutate(**{names.parts(column)[0]: whole(number(rows[names.of[column]])) for column in added})
    rests = {}
    for column in added:
        first, second = names.parts(column)
        rests[second] = rest(number(rows[names.of[column]]), rows[first])
    return rows.mutate(**rests)


def _at(time: Any) -> Any:  # noqa: ANN401
    """Return a time column as it is compared with bounds: bare where possible, so that row groups can be skipped.

    Times count in whole microseconds, so nanoseconds are rounded, here as in `clean`. Rounding never makes a time that
    is at or after as_of an earlier one: as_of is a whole microsecond.
    """
    kind = time.type()
    if kind.is_timestamp() and kind.scale == 9:
        return time.cast("timestamp" if kind.timezone is None else "timestamp('UTC')")
    return time


def _bound(when: datetime, time: Any) -> Any:  # noqa: ANN401
    """Return a moment in the kind of time that a column holds."""
    import ibis

    if time.type().is_timestamp() and time.type().timezone is not None:
        return ibis.literal(when, "timestamp('UTC')")
    return moment(when)
