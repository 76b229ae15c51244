"""What is behind a feature: formula, windows, inputs, lineage, what it costs, and the SQL that computes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.compile.revisits import REVISITED
from airflow_provider_mlpipe.feature_extraction.compile.sharing import SHARING
from airflow_provider_mlpipe.feature_extraction.expression import Column, Constant, Node, Operation, parts, rendered
from airflow_provider_mlpipe.feature_extraction.lineage import Edge, cells_of, lineage, outputs_of
from airflow_provider_mlpipe.feature_extraction.plan import plan, scope_of
from airflow_provider_mlpipe.feature_extraction.scope import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.feature_extraction.plan import Feature, Plan
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["Cost", "Explanation", "cost_of", "explain"]

Cost = Literal["light", "second look", "dear", "self-join", "yours"]
"""What computing takes, from one pass that keeps a number per key, to all values of a window (dear: exact distinct
counts and quantiles), to joining the events with themselves; ``yours`` is up to the function."""

_ORDER: tuple[Cost, ...] = ("light", "second look", "dear", "self-join", "yours")
_DEAR = ("distinct", "quantile", "effective")


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All that is known of a feature without data.

    Attributes:
        formula: as its meaning says, and
        expression: as it is computed: cells and spine columns put together.
        numbers: the aggregations that it stands on, each in a line.
        sql: the statements that compute it alone, by the name of what they make; columns have the types of `schemas`,
            or likely ones.
        embedded_only: whether it runs on DuckDB only.
    """

    feature: Feature
    formula: str
    expression: str
    numbers: tuple[str, ...]
    cost: Cost
    lineage: tuple[Edge, ...]
    sql: tuple[tuple[str, str], ...]
    embedded_only: bool = False


def explain(
    features: Configured[FeatureSet], name: str, *, as_of: datetime, schemas: Mapping[str, pa.Schema] | None = None
) -> Explanation:
    """Explain one feature of a set, selected or not.

    Args:
        features: the set.
        name: the feature.
        as_of: the moment that the SQL is for.
        schemas: those of the inputs by role; likely types if None.

    Raises:
        ConfigError: there is no feature of that name, or the set is wrong.
    """
    scope = scope_of(features)
    if scope.find(name) is None:
        raise ConfigError.unknown_name(where=features.where(), kind="feature", name=name, known=scope.names())
    spec = plan(replace(features, model=features.model.model_copy(update={"features": [name]})))
    (feature,) = spec.features
    outputs = list(outputs_of(spec, feature.id))
    return Explanation(
        feature=feature,
        formula=feature.meaning.formula,
        expression=_expanded(spec, feature.id),
        numbers=tuple(f"{key} = {_cell_text(cell, spec)}" for key, cell in spec.cells.items()),
        cost=cost_of(spec, feature),
        lineage=lineage(spec),
        sql=() if outputs else tuple(_statements(spec, schemas or _likely(spec), as_of)),
        embedded_only=any(output.custom.pandas for output in outputs),
    )


def cost_of(spec: Plan, feature: Feature) -> Cost:
    """Return the cost class of a feature: that of its dearest part."""
    found: list[Cost] = ["light"]
    for cell in cells_of(spec, feature.id):
        if cell.agg in _DEAR:
            found.append("dear")
        elif cell.agg in SHARING:
            found.append("self-join")
        elif cell.agg in REVISITED:
            found.append("second look")
    if any(True for _ in outputs_of(spec, feature.id)):
        found.append("yours")
    return max(found, key=_ORDER.index)


def _expanded(spec: Plan, identifier: str) -> str:
    """Return an id's formula with the formulas that it refers to in their places."""
    if identifier in spec.custom:
        return f"{spec.custom[identifier].custom.path}().{spec.custom[identifier].column}"
    if identifier not in spec.derived:
        return identifier
    text = rendered(spec.derived[identifier])
    for key in sorted((*spec.derived, *spec.cells, *spec.custom), key=len, reverse=True):
        text = text.replace(f"${key}", _expanded(spec, key)) if f"${key}" in text else text
    return text


def _cell_text(cell: Cell, spec: Plan) -> str:
    what = cell.column or "events"
    extra = [f"q {cell.q}" if cell.q is not None else "", f"weight {cell.weight}" if cell.weight else ""]
    extra += [f"among {cell.among}" if cell.among else ""]
    kind = " ".join([cell.agg, *filter(None, extra)])
    conditions = [rendered(cell.where)] if cell.where is not None else []
    conditions += [f"{cell.pivot[0]} = {cell.pivot[1]!r}"] if cell.pivot else []
    where = f" where {' and '.join(conditions)}" if conditions else ""
    source = spec.sources[cell.source]
    name = cell.source if cell.source == source.role else f"{cell.source} ({source.role} by {source.timestamp})"
    return f"{kind} of {what} in {name}{where}, {_span(cell.window)}"


def _span(window: timedelta) -> str:
    if window == FOREVER:
        return "all before as_of"
    days = window.total_seconds() / 86_400
    return f"last {days:g} {'day' if days == 1 else 'days'}"


def _statements(spec: Plan, schemas: Mapping[str, pa.Schema], as_of: datetime) -> Iterator[tuple[str, str]]:
    extent = compiler.Extent(spec, as_of)
    tables, per_source = compiler.inputs(spec, schemas), {}
    with DuckDBEngine.open() as engine:
        backend = engine.ibis()
        for source in spec.sources:
            aggregated = compiler.events_per_key(spec, source, tables, extent)
            name = f"per_key_{source}"
            per_source[source] = compiler.kept(aggregated, name)
            yield name, str(backend.compile(aggregated, pretty=True))
        rows = compiler.feature_rows(spec, tables, per_source, extent)
        yield spec.name, str(backend.compile(rows, pretty=True))


def _likely(spec: Plan) -> dict[str, pa.Schema]:
    """Return schemas with the types that the plan's use of the columns suggests."""
    import pyarrow as pa

    kinds = {"number": pa.float64(), "time": pa.timestamp("us", tz="UTC"), "text": pa.string()}
    use: dict[tuple[str, str], str] = {}
    for need in spec.needs:
        if need.number:
            use[need.role, need.column] = "number"
    for name, source in spec.sources.items():
        use[source.role, source.timestamp] = "time"
        for cell in spec.source_cells(name).values():
            if cell.where is not None:
                for column, kind in _uses(cell.where):
                    lender = source.lender(column)
                    use.setdefault((lender.role if lender else source.role, column), kind)
    for node in spec.derived.values():
        for column, kind in _uses(node):
            use.setdefault((spec.domain.spine, column), kind)
    if spec.domain.since:
        use[spec.domain.spine, spec.domain.since] = "time"
    return {
        role: pa.schema([(spec.theirs(role, name), kinds[use.get((role, name), "text")]) for name in columns])
        for role, columns in spec.read().items()
    }


def _uses(node: Node) -> Iterator[tuple[str, str]]:
    """Yield columns of an expression with the kind of value that its operators take."""
    for part in parts(node):
        if not isinstance(part, Operation):
            continue
        constants = [item.value for item in part.arguments if isinstance(item, Constant) and item.value is not None]
        kind = "number" if part.name in {"+", "-", "*", "/", "neg"} else ""
        kind = "time" if part.name == "days_since" else kind
        if not kind and constants and part.name != "case":
            kind = "text" if isinstance(constants[0], str) else "number"
        for column in (item for item in part.arguments if isinstance(item, Column)):
            if kind:
                yield column.name, kind
            elif part.name == "is null" and column.name.endswith("_at"):
                yield column.name, "time"
    if isinstance(node, Column):
        yield node.name, "number"
