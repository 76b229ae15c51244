"""Aggregations over half-open windows that end at as_of, and the rows of features that follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, number, rest, whole
from airflow_provider_mlpipe.feature_extraction.compile.terms import Terms, clean, moment
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.expression import Operation, Reference
from airflow_provider_mlpipe.feature_extraction.plan import COUNTS

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.feature_extraction.expression import Node
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["ENTITY", "EVENTS", "conflicts", "events_per_entity", "feature_rows", "left_out"]

ENTITY, EVENTS, _TIME = "entity", "events", "time"
"""Internal column names: key, number of events in the longest window, time. All others have a letter and a number, so
that no column of an input, whatever it is called, can be taken for one of them."""


def events_per_entity(plan: Plan, events: Any, as_of: datetime) -> Any:  # noqa: ANN401 - ibis has no types
    """Return one row per key that occurs in the longest window, null included: the key, its events, every cell."""
    rows = _prepared(plan, events, as_of)
    names = _Names(plan)
    cells = {key: _cell(key, rows, names, plan, as_of) for key in plan.cells}
    result = rows.group_by(ENTITY).aggregate(**{EVENTS: rows.count().cast("int64")}, **cells)
    return _with_deviations(plan, rows, result, names, as_of)


def feature_rows(plan: Plan, spine: Any, per_entity: Any) -> Any:  # noqa: ANN401
    """Return one row per entity of the spine, in the order of the entities: key and features.

    Counts and sums over no events are 0, everything else is null.
    """
    entities = _entities(plan, spine)
    joined = entities.left_join(per_entity, [entities[ENTITY] == per_entity[ENTITY]])
    cells = {
        key: per_entity[key].fill_null(0) if cell.agg in (*COUNTS, "sum") else per_entity[key]
        for key, cell in plan.cells.items()
    }
    table = joined.select(entities, **cells)
    for layer in _layers(plan):
        table = table.mutate(**{key: _formula(plan, table, key) for key in layer})
    chosen = {feature.name: table[feature.id].cast(feature.type) for feature in plan.features}
    return table.select(**{plan.domain.entity: table[ENTITY]}, **chosen).order_by(plan.domain.entity)


def conflicts(plan: Plan, spine: Any) -> Any:  # noqa: ANN401
    """Return the keys that stand in the spine more than once with different values of the columns in use."""
    entities = _entities(plan, spine)
    counted = entities.group_by(ENTITY).aggregate(n=entities.count())
    return counted.filter(counted.n > 1).select(ENTITY).order_by(ENTITY)


def left_out(plan: Plan, spine: Any, per_entity: Any) -> Any:  # noqa: ANN401
    """Return one row: events of the longest window without a key, of unknown entities, spine rows without a key."""
    import ibis

    keys = _entities(plan, spine).select(known=ENTITY).distinct()
    joined = per_entity.left_join(keys, [per_entity[ENTITY] == keys.known])
    no_key, unknown = joined[ENTITY].isnull(), joined[ENTITY].notnull() & joined.known.isnull()
    events = joined.aggregate(
        a=joined[EVENTS].sum(where=no_key).fill_null(0).cast("int64"),
        b=joined[EVENTS].sum(where=unknown).fill_null(0).cast("int64"),
    )
    key = spine[plan.theirs(plan.domain.spine, plan.domain.entity)]
    rows = spine.aggregate(c=key.isnull().sum().fill_null(0).cast("int64"))
    return events.join(rows, ibis.literal(value=True), how="inner").select("a", "b", "c")


class _Names:
    """Internal names of the event columns that a plan uses: v0, v1 ... for values, w and r for their exact parts."""

    def __init__(self, plan: Plan) -> None:
        used = dict.fromkeys(need.column for need in plan.needs if need.role == plan.domain.events)
        self.of = {column: f"v{position}" for position, column in enumerate(used)}
        self.added = {cell.column for cell in plan.cells.values() if cell.agg in ("sum", "mean", "std")}

    def parts(self, column: str) -> tuple[str, str]:
        """Return the names of whole part and rest."""
        position = self.of[column][1:]
        return f"w{position}", f"r{position}"


def _prepared(plan: Plan, events: Any, as_of: datetime) -> Any:  # noqa: ANN401
    """Return the events of the longest window, cleaned, with internal names."""
    role, names = plan.domain.events, _Names(plan)
    time = events[plan.theirs(role, plan.domain.timestamp)]
    start, end = plan.window(as_of)
    rows = events.filter(_at(time) >= _bound(start, time), _at(time) < _bound(end, time))
    values = {ENTITY: rows[plan.theirs(role, plan.domain.entity)], _TIME: clean(rows[time.get_name()])}
    for column, name in names.of.items():
        theirs = plan.theirs(role, column)
        if column == EVENT_DAY and theirs not in events.columns:
            values[name] = values[_TIME].date()
        else:
            values[name] = clean(rows[theirs])
    rows = rows.select(**values)
    wholes = {
        names.parts(column)[0]: whole(number(rows[names.of[column]])) for column in names.of if column in names.added
    }
    rows = rows.mutate(**wholes) if wholes else rows
    rests = {
        names.parts(column)[1]: rest(number(rows[names.of[column]]), rows[names.parts(column)[0]])
        for column in names.of
        if column in names.added
    }
    return rows.mutate(**rests) if rests else rows


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


def _mask(key: str, rows: Any, names: _Names, plan: Plan, as_of: datetime) -> Any:  # noqa: ANN401
    """Return which events a cell counts; None for all of them."""
    parts, cell = [], plan.cells[key]
    start, _ = plan.window(as_of, cell.window)
    if start != plan.window(as_of)[0]:
        parts.append(rows[_TIME] >= moment(start))
    if cell.where is not None:
        feature, place = plan.owners[key]
        terms = Terms(column=lambda name: rows[names.of[name]], where=place, feature=feature)
        parts.append(terms.condition(cell.where))
    if cell.pivot is not None:
        column, value = cell.pivot
        found = rows[names.of[column]]
        parts.append((found if found.type().is_string() else found.cast("string")) == value)
    mask = None
    for part in parts:
        mask = part if mask is None else mask & part
    return mask


def _cell(key: str, rows: Any, names: _Names, plan: Plan, as_of: datetime) -> Any:  # noqa: ANN401
    cell, mask = plan.cells[key], _mask(key, rows, names, plan, as_of)
    if cell.column is None:
        return rows.count(where=mask).cast("int64")
    value = rows[names.of[cell.column]]
    if cell.agg == "count":
        return value.count(where=mask).cast("int64")
    if cell.agg == "distinct":
        return value.nunique(where=mask).cast("int64")
    if cell.agg in ("min", "max"):
        # Adding zero turns -0.0 into 0.0: the two are equal, and which one is found first depends on the order.
        return getattr(number(value), cell.agg)(where=mask) + 0.0
    first, second = names.parts(cell.column)
    total = exact_sum(rows[first], rows[second], where=mask)
    if cell.agg == "sum":
        return total
    return total / value.count(where=mask).cast("float64").nullif(0.0)


def _with_deviations(plan: Plan, rows: Any, means: Any, names: _Names, as_of: datetime) -> Any:  # noqa: ANN401
    """Replace the means of ``std`` cells by standard deviations: a second pass, as one pass loses all precision.

    The deviation is the population's: the events of the window are all there are, and one event deviates by 0.
    """
    import ibis

    deviating = {key: cell for key, cell in plan.cells.items() if cell.agg == "std"}
    if not deviating:
        return means
    joined = rows.inner_join(means, [rows[ENTITY] == means[ENTITY]])
    squares = {}
    for key, cell in deviating.items():
        away = number(rows[names.of[str(cell.column)]]) - means[key]
        squares[key] = ibis.ifelse(_or_all(_mask(key, rows, names, plan, as_of)), away * away, ibis.null("float64"))
    wide = joined.select(**{ENTITY: means[ENTITY]}, **squares)
    split = wide.mutate(**{f"w_{key}": whole(wide[key]) for key in squares})
    split = split.mutate(**{f"r_{key}": rest(split[key], split[f"w_{key}"]) for key in squares})
    sums = split.group_by(ENTITY).aggregate(
        **{
            key: (
                exact_sum(split[f"w_{key}"], split[f"r_{key}"]) / split[key].count().cast("float64").nullif(0.0)
            ).sqrt()
            for key in squares
        }
    )
    both = means.left_join(sums, [means[ENTITY] == sums[ENTITY]])
    return both.select(**{
        column: sums[column] if column in squares else means[column] for column in means.columns
    })  # fmt: skip


def _or_all(mask: Any) -> Any:  # noqa: ANN401
    import ibis

    return ibis.literal(value=True) if mask is None else mask


def _entities(plan: Plan, spine: Any) -> Any:  # noqa: ANN401
    """Return the keys of the spine, each once, with the columns that formulas read."""
    role = plan.domain.spine
    key = spine[plan.theirs(role, plan.domain.entity)]
    rows = spine.filter(key.notnull())
    values = {f"s{n}": clean(rows[plan.theirs(role, column)]) for n, column in enumerate(plan.spine_columns)}
    return rows.select(**{ENTITY: rows[key.get_name()]}, **values).distinct()


def _formula(plan: Plan, table: Any, key: str) -> Any:  # noqa: ANN401
    feature, place = plan.owners[key]
    terms = Terms(
        column=lambda name: table[f"s{plan.spine_columns.index(name)}"],
        reference=lambda identifier: table[identifier],
        where=place,
        feature=feature,
    )
    return terms.result(plan.derived[key])


def _layers(plan: Plan) -> list[list[str]]:
    """Return the formulas in groups, each of which refers to earlier groups only."""
    depth: dict[str, int] = {}
    for key, node in plan.derived.items():
        depth[key] = 1 + max((depth.get(name, 0) for name in _references(node)), default=0)
    return [[key for key in depth if depth[key] == level] for level in range(1, max(depth.values(), default=0) + 1)]


def _references(node: Node) -> list[str]:
    if isinstance(node, Reference):
        return [node.id]
    if isinstance(node, Operation):
        return [name for argument in node.arguments for name in _references(argument)]
    return []
