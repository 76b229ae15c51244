"""The events of one source: those of its longest window, cleaned, with borrowed columns and internal names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.exact import number, rest, whole
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT
from airflow_provider_mlpipe.feature_extraction.compile.terms import bound, clean, happened
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.extent import Extent
    from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["TIME", "Names", "borrowed_rows", "in_window", "kept_events", "keys_of", "prepared", "unseen"]

TIME = "time"
"""The internal name of an event's time. All other internal names are a letter and a number, so that no column of an
input, whatever it is called, can be taken for one of them: k for keys, v for values, w and r for their exact parts."""

BETWEEN_ENTITIES = ("companions", "shared")
"""Aggregations that look at the events of other entities, too."""

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


def prepared(plan: Plan, source: str, tables: Mapping[str, Any], extent: Extent) -> Any:  # noqa: ANN401
    """Return the events of a source in its longest window: keys, time, and the columns that cells use.

    For many moments, an event stands there once for each whose longest window it lies in, with the moment as a key.
    """
    found, names = plan.sources[source], Names(plan, source)
    longest = plan.longest(source)
    events = in_window(plan, source, tables, extent)
    time = events[plan.theirs(found.role, found.timestamp)]
    # For one moment times are only compared with constants, so they stay what they are: a cast would cost as much as
    # reading them.
    values = {TIME: clean(time) if extent.many else _at(time)}
    wanted = {f"k{n}": column for n, (column, _) in enumerate(found.keys)} | {
        name: column for column, name in names.of.items()
    }
    lent = {}
    for name, column in wanted.items():
        lender, theirs = found.lender(column), plan.theirs(found.role, column)
        if lender is not None:
            lent[name] = (lender, column)
        elif column == EVENT_DAY and theirs not in events.columns:
            values[name] = clean(time).date()
        elif name.startswith("k"):
            values[name] = events[theirs]
        else:
            values[name] = clean(events[theirs])
    for n, lender in enumerate(found.borrowed):
        values[f"b{n}"] = events[plan.theirs(found.role, lender.own)]
    rows = _of_chunk(plan, source, events.select(**values), extent)
    others = [borrowed_rows(plan, lender, tables, extent) for lender in found.borrowed]
    # As late as possible, since it multiplies the events; but what is lent may differ from moment to moment.
    early = any(MOMENT in other.columns for other in others)
    rows = extent.watched(rows, TIME, longest) if early else rows
    for n, (lender, other) in enumerate(zip(found.borrowed, others, strict=True)):
        rows = _with_borrowed(rows, n, lender, lent, other)
    rows = rows.select(TIME, *wanted, *(extent.keys if early else [])) if others else rows
    rows = _with_parts(rows, names)
    return _so_far(plan, rows if early else extent.watched(rows, TIME, longest), names, extent)


def borrowed_rows(plan: Plan, lender: Borrowed, tables: Mapping[str, Any], extent: Extent) -> Any:  # noqa: ANN401
    """Return what a lender has to lend: its key as ``b``, its columns as l0, l1 ..., no two rows alike.

    Times to come are null. With times among what is lent, there is a row for each of many moments.
    """
    role, times = lender.role, []
    table = tables[role]
    table = table.filter(table[plan.theirs(role, lender.other)].notnull())
    values = {"b": table[plan.theirs(role, lender.other)]}
    for n, column in enumerate(lender.columns):
        theirs = plan.theirs(role, column)
        if theirs in table.columns:  # else nobody asks for it
            values[f"l{n}"] = clean(table[theirs])
            times += [f"l{n}"] if _is_event_time(plan, column, values[f"l{n}"]) else []
    rows = table.select(**values).distinct()
    if not times:
        return rows
    rows = extent.spread(rows)
    return rows.mutate(**{name: happened(rows[name], extent.end(rows)) for name in times}).distinct()


def _is_event_time(plan: Plan, column: str, value: Any) -> bool:  # noqa: ANN401
    """Return whether a column says when something happened, so that it must not be known before."""
    return bool(value.type().is_timestamp()) and column not in plan.domain.planned


def _so_far(plan: Plan, rows: Any, names: Names, extent: Extent) -> Any:  # noqa: ANN401
    """Return events with times to come as null."""
    times = {
        name: happened(rows[name], extent.end(rows))
        for column, name in names.of.items()
        if _is_event_time(plan, column, rows[name])
    }
    return rows.mutate(**times) if times else rows


def _of_chunk(plan: Plan, source: str, rows: Any, extent: Extent) -> Any:  # noqa: ANN401
    """Return the events of a chunk's entities, or all where an entity is compared with others."""
    alone = all(cell.agg not in BETWEEN_ENTITIES for cell in plan.source_cells(source).values())
    own = plan.sources[source].entity_key(plan.domain.entity)
    return extent.entities(rows, own) if alone and own is not None and own in rows.columns else rows


def _with_borrowed(
    rows: Any,  # noqa: ANN401
    n: int,
    lender: Borrowed,
    lent: dict[str, tuple[Borrowed, str]],
    other: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    same = [name for name in (MOMENT,) if name in other.columns]
    joined = rows.left_join(other, [rows[f"b{n}"] == other.b, *(rows[name] == other[name] for name in same)])
    columns = {
        name: other[f"l{lender.columns.index(column)}"] for name, (found, column) in lent.items() if found is lender
    }
    return joined.select(rows, **columns)


def kept_events(source: str) -> str:
    """Return the name among tables of a source's events that were read before; no role has such a name."""
    return f"events of {source}"


def in_window(plan: Plan, source: str, tables: Mapping[str, Any], extent: Extent) -> Any:  # noqa: ANN401
    """Return the events of a source in all windows of an extent, as they are."""
    found = plan.sources[source]
    events = tables.get(kept_events(source), tables[found.role])
    time = events[plan.theirs(found.role, found.timestamp)]
    start, end = extent.outer(plan.longest(source))
    return events.filter(_at(time) >= bound(start, time), _at(time) < bound(end, time))


def unseen(plan: Plan, source: str, tables: Mapping[str, Any], extent: Extent) -> tuple[Any, Any]:
    """Return two expressions of one number: events at or after the end of all windows, and events without a time.

    Two, as an engine skips row groups for each alone.
    """
    found = plan.sources[source]
    events = tables[found.role]
    time = events[plan.theirs(found.role, found.timestamp)]
    _, end = extent.outer(plan.longest(source))
    later = events.filter(_at(time) >= bound(end, time))
    timeless = events.filter(time.isnull())
    return tuple(rows.aggregate(n=rows.count().cast("int64")) for rows in (later, timeless))


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
