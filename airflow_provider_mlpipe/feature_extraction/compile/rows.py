"""The rows of features: the entities of the spine, what is known of them from each source, and formulas over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import borrowed_rows
from airflow_provider_mlpipe.feature_extraction.compile.terms import Terms, clean, happened, moment
from airflow_provider_mlpipe.feature_extraction.compile.windows import EVENTS
from airflow_provider_mlpipe.feature_extraction.expression import Operation, Reference
from airflow_provider_mlpipe.feature_extraction.plan import ZERO_WITHOUT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.feature_extraction.expression import Node
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["ENTITY", "Conflict", "conflicts", "feature_rows", "keyless", "left_out"]

ENTITY = "entity"
"""The internal name of the spine's key; its columns are s0, s1 ..."""


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


def feature_rows(plan: Plan, tables: Mapping[str, Any], per_source: Mapping[str, Any], as_of: datetime) -> Any:  # noqa: ANN401 - ibis
    """Return one row per entity of the spine, in the order of the entities: key and features.

    Counts, sums and rates over no events are 0, everything else is null.
    """
    table = _entities(plan, tables[plan.domain.spine], as_of)
    for source, per_key in per_source.items():
        table = _with_cells(plan, source, table, per_key)
    for layer in _layers(plan):
        table = table.mutate(**{key: _formula(plan, table, key, as_of) for key in layer})
    chosen = {feature.name: table[feature.id].cast(feature.type) for feature in plan.features}
    return table.select(**{plan.domain.entity: table[ENTITY]}, **chosen).order_by(plan.domain.entity)


def conflicts(plan: Plan, tables: Mapping[str, Any], as_of: datetime) -> list[Conflict]:
    """Return where an entity, or a key that something is borrowed by, could have several values of a column in use."""
    domain, found = plan.domain, []
    if plan.spine_columns:
        entities = _entities(plan, tables[domain.spine], as_of)
        found.append(
            Conflict(role=domain.spine, key=domain.entity, columns=plan.spine_columns, keys=_twice(entities, ENTITY))
        )
    for source in plan.sources.values():
        for lender in source.borrowed:
            rows = borrowed_rows(plan, lender, tables, as_of)
            found.append(Conflict(role=lender.role, key=lender.other, columns=lender.columns, keys=_twice(rows, "b")))
    return found


def left_out(plan: Plan, source: str, tables: Mapping[str, Any], per_key: Any) -> Any:  # noqa: ANN401
    """Return one row: events of the longest window without a key, and of entities that the spine does not hold."""
    spine = tables[plan.domain.spine]
    ((_, column),) = plan.sources[source].keys
    key = spine[plan.theirs(plan.domain.spine, column)]
    keys = spine.select(known=key).filter(key.notnull()).distinct()
    joined = per_key.left_join(keys, [per_key.k0 == keys.known])
    no_key, unknown = joined.k0.isnull(), joined.k0.notnull() & joined.known.isnull()
    return joined.aggregate(
        a=joined[EVENTS].sum(where=no_key).fill_null(0).cast("int64"),
        b=joined[EVENTS].sum(where=unknown).fill_null(0).cast("int64"),
    )


def keyless(plan: Plan, tables: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return one row: rows of the spine without a key."""
    spine = tables[plan.domain.spine]
    key = spine[plan.theirs(plan.domain.spine, plan.domain.entity)]
    return spine.aggregate(c=key.isnull().sum().fill_null(0).cast("int64"))


def _twice(rows: Any, key: str) -> Any:  # noqa: ANN401
    counted = rows.group_by(key).aggregate(n=rows.count())
    return counted.filter(counted.n > 1).select(key)


def _entities(plan: Plan, spine: Any, as_of: datetime) -> Any:  # noqa: ANN401
    """Return the keys of the spine, each once, with the columns that formulas read; times to come are null."""
    domain, (_, end) = plan.domain, plan.window(as_of)
    role = domain.spine
    key = spine[plan.theirs(role, domain.entity)]
    rows = spine.filter(key.notnull())
    if domain.since:
        rows = rows.filter(clean(rows[plan.theirs(role, domain.since)]) < moment(end))
    values = {ENTITY: rows[key.get_name()]}
    for n, column in enumerate(plan.spine_columns):
        value = clean(rows[plan.theirs(role, column)])
        values[f"s{n}"] = value if column in domain.planned else happened(value, end)
    return rows.select(**values).distinct()


def _with_cells(plan: Plan, source: str, table: Any, per_key: Any) -> Any:  # noqa: ANN401
    """Join the cells of one source to the entities that its keys match."""
    conditions = []
    for n, (_, column) in enumerate(plan.sources[source].keys):
        ours = ENTITY if column == plan.domain.entity else f"s{plan.spine_columns.index(column)}"
        conditions.append(table[ours] == per_key[f"k{n}"])
    cells = {
        key: per_key[key].fill_null(0) if cell.agg in ZERO_WITHOUT_EVENTS else per_key[key]
        for key, cell in plan.source_cells(source).items()
    }
    return table.left_join(per_key, conditions).select(table, **cells)


def _formula(plan: Plan, table: Any, key: str, as_of: datetime) -> Any:  # noqa: ANN401
    feature, place = plan.owners[key]
    terms = Terms(
        column=lambda name: table[f"s{plan.spine_columns.index(name)}"],
        reference=lambda identifier: table[identifier],
        as_of=moment(as_of),
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
