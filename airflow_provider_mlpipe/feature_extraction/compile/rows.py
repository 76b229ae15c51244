"""The rows of features: the entities of the spine, what is known of them from each source, and formulas over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import borrowed_rows
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT
from airflow_provider_mlpipe.feature_extraction.compile.terms import Terms, clean, happened
from airflow_provider_mlpipe.feature_extraction.compile.windows import EVENTS
from airflow_provider_mlpipe.feature_extraction.expression import Operation, Reference
from airflow_provider_mlpipe.feature_extraction.plan import ZERO_WITHOUT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.extent import Extent
    from airflow_provider_mlpipe.feature_extraction.expression import Node
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["ENTITY", "Conflict", "conflicts", "feature_rows", "keyless", "left_out"]

ENTITY = "entity"
"""The internal name of the spine's key; its columns are s0, s1 ..."""

_SINCE = "since"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Keys that stand in an input more than once, with different values of columns in use.

    Attributes:
        keys: an expression with one row per such key.
    """

    role: str
    key: str
    columns: tuple[str, ...]
    keys: Any


def feature_rows(
    plan: Plan, tables: Mapping[str, Any], per_source: Mapping[str, Any], extent: Extent, own: Iterable[Any] = ()
) -> Any:  # noqa: ANN401 - ibis has no types
    """Return one row per entity of the spine, in the order of the entities: key and features.

    Of many moments, one comes after the other.

    Counts, sums and rates over no events are 0, everything else is null.
    """
    table = _entities(plan, tables[plan.domain.spine], extent)
    for source, per_key in per_source.items():
        table = _with_cells(plan, source, table, per_key, extent)
    for outputs in own:
        matching = [table[ENTITY] == outputs.k0, *(table[name] == outputs[name] for name in extent.keys)]
        found = {name: outputs[name] for name in outputs.columns if name not in ("k0", *extent.keys)}
        table = table.left_join(outputs, matching).select(table, **found)
    for layer in _layers(plan):
        table = table.mutate(**{key: _formula(plan, table, key, extent) for key in layer})
    chosen = {feature.name: table[feature.id].cast(feature.type) for feature in plan.features}
    keys = {plan.domain.entity: table[ENTITY]}
    if extent.many:
        rows = table.select(**keys, event_timestamp=table[MOMENT], **chosen)
        return rows.order_by(["event_timestamp", plan.domain.entity])
    return table.select(**keys, **chosen).order_by(plan.domain.entity)


def conflicts(plan: Plan, tables: Mapping[str, Any], extent: Extent) -> list[Conflict]:
    """Return where an entity, or a key that something is borrowed by, could have several values of a column in use."""
    domain, found = plan.domain, []
    if plan.spine_columns:
        entities = _entities(plan, tables[domain.spine], extent)
        found.append(
            Conflict(role=domain.spine, key=domain.entity, columns=plan.spine_columns, keys=_twice(entities, ENTITY))
        )
    for source in plan.sources.values():
        for lender in source.borrowed:
            rows = borrowed_rows(plan, lender, tables, extent)
            found.append(Conflict(role=lender.role, key=lender.other, columns=lender.columns, keys=_twice(rows, "b")))
    return found


def left_out(plan: Plan, source: str, tables: Mapping[str, Any], per_key: Any, extent: Extent) -> Any:  # noqa: ANN401
    """Return one row: events of the longest window without a key, and of entities that the spine does not hold."""
    spine = tables[plan.domain.spine]
    ((_, column),) = plan.sources[source].keys
    key = spine[plan.theirs(plan.domain.spine, column)]
    keys = spine.select(known=key).filter(key.notnull()).distinct()
    per_key = extent.entities(per_key, "k0")
    joined = per_key.left_join(keys, [per_key.k0 == keys.known])
    no_key, unknown = joined.k0.isnull(), joined.k0.notnull() & joined.known.isnull()
    return joined.aggregate(
        a=joined[EVENTS].sum(where=no_key).fill_null(0).cast("int64"),
        b=joined[EVENTS].sum(where=unknown).fill_null(0).cast("int64"),
    )


def keyless(plan: Plan, tables: Mapping[str, Any], extent: Extent) -> Any:  # noqa: ANN401
    """Return one row: rows of the spine without a key."""
    column = plan.theirs(plan.domain.spine, plan.domain.entity)
    spine = extent.entities(tables[plan.domain.spine], column)
    key = spine[column]
    return spine.aggregate(c=key.isnull().sum().fill_null(0).cast("int64"))


def _twice(rows: Any, key: str) -> Any:  # noqa: ANN401
    moments = [name for name in (MOMENT,) if name in rows.columns]
    counted = rows.group_by([key, *moments]).aggregate(n=rows.count())
    found = counted.filter(counted.n > 1).select(key)
    return found.distinct() if moments else found


def _entities(plan: Plan, spine: Any, extent: Extent) -> Any:  # noqa: ANN401
    """Return the keys of the spine, each once, with the columns that formulas read; times to come are null.

    Of many moments, each has all entities that exist by then.
    """
    domain, role = plan.domain, plan.domain.spine
    key = spine[plan.theirs(role, domain.entity)]
    rows = extent.entities(spine.filter(key.notnull()), key.get_name())
    values = {ENTITY: rows[key.get_name()]}
    for n, column in enumerate(plan.spine_columns):
        values[f"s{n}"] = clean(rows[plan.theirs(role, column)])
    if domain.since:
        values[_SINCE] = clean(rows[plan.theirs(role, domain.since)])
    rows = extent.spread(rows.select(**values).distinct())
    if domain.since:
        rows = rows.filter(rows[_SINCE] < extent.end(rows)).drop(_SINCE)
    times = {
        f"s{n}": happened(rows[f"s{n}"], extent.end(rows))
        for n, column in enumerate(plan.spine_columns)
        if column not in domain.planned and rows[f"s{n}"].type().is_timestamp()
    }
    rows = rows.mutate(**times) if times else rows
    return rows.distinct() if times or domain.since else rows


def _with_cells(plan: Plan, source: str, table: Any, per_key: Any, extent: Extent) -> Any:  # noqa: ANN401
    """Join the cells of one source to the entities that its keys match."""
    conditions = [table[name] == per_key[name] for name in extent.keys]
    for n, (_, column) in enumerate(plan.sources[source].keys):
        ours = ENTITY if column == plan.domain.entity else f"s{plan.spine_columns.index(column)}"
        conditions.append(table[ours] == per_key[f"k{n}"])
    cells = {
        key: per_key[key].fill_null(0) if cell.agg in ZERO_WITHOUT_EVENTS else per_key[key]
        for key, cell in plan.source_cells(source).items()
    }
    return table.left_join(per_key, conditions).select(table, **cells)


def _formula(plan: Plan, table: Any, key: str, extent: Extent) -> Any:  # noqa: ANN401
    feature, place = plan.owners[key]
    terms = Terms(
        column=lambda name: table[f"s{plan.spine_columns.index(name)}"],
        reference=lambda identifier: table[identifier],
        as_of=extent.as_of(table),
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
