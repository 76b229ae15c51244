"""The statements of a scan, said in DuckDB's words, as statements that mean the same on Spark.

sqlglot reads and writes them; what both engines agree on passes (`KEPT`), what they do not is said otherwise
(`functions`), and anything else is refused: a new statement needs a place in one of the two before it runs on Spark.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.refusals import NotOnSparkError
from airflow_provider_mlpipe.engines.spark import functions
from airflow_provider_mlpipe.engines.spark.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

__all__ = ["KEPT", "spark_sql"]

KEPT = frozenset(
    {
        # the statement
        "Select", "From", "Where", "Group", "Having", "Order", "Ordered", "Limit", "Subquery", "Table", "TableAlias",
        "Alias", "Join", "CTE", "With", "Union", "Distinct", "Star",
        # values and logic
        "Column", "Identifier", "Literal", "Boolean", "Null", "Paren", "Interval", "Var", "DataType", "DataTypeParam",
        "And", "Or", "Not", "Is", "NullSafeEQ", "NullSafeNEQ",
        "Case", "If", "Coalesce", "Nullif", "Greatest", "Least", "Struct", "PropertyEQ",
        # aggregates
        "Count", "Filter", "Min", "Max", "ApproxDistinct",
        # numbers, texts, times
        "Add", "Sub", "Mul", "Neg", "Abs", "Ceil", "Floor", "Round", "Lower", "Upper", "Length", "Left", "Replace",
        "Trim", "StartsWith", "EndsWith", "DPipe", "Year", "Month", "Day",
    }
)  # fmt: skip
"""What means the same on both, as sqlglot calls it; tests/spark/test_validation.py holds each against both engines."""

_PARTS = frozenset(
    {
        "this", "expression", "expressions", "alias", "from_", "joins", "where", "group", "having", "order", "limit",
        "with_", "on", "kind", "side", "distinct", "columns", "query", "ifs", "true", "default", "low", "high", "to",
        "unit", "decimals", "replacement", "count", "desc", "nulls_first", "negate", "is_string", "quoted",
        # what sqlglot notes of the dialect that it read
        "value_constructor", "ignore_nulls", "date_part_boundary", "nested", "big_int", "input_type_preserved", "safe",
        "typed", "casts_non_integer_decimals", "negative_length_returns_empty", "null_on_text_overflow",
        "requires_string", "truncate",
    }
)  # fmt: skip
"""What of a construct is looked at; with anything else in it, such as a flag, it is refused."""


@dataclass
class Translation:
    """One statement on its way.

    Attributes:
        parameters: its values, in their order.
        types: of the columns, by relation.
        absent: columns that Spark cannot hold, in words.
        bound: texts that are handed to Spark beside the statement, by name.
    """

    parameters: Sequence[Any]
    types: Mapping[str, Mapping[str, pa.DataType]]
    absent: Mapping[str, str]
    bound: dict[str, str] = field(default_factory=dict)


def spark_sql(
    statement: str,
    parameters: Sequence[Any] = (),
    types: Mapping[str, Mapping[str, pa.DataType]] | None = None,
    absent: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """Return a statement in Spark's words, and the texts to bind in it by name.

    Args:
        statement: in DuckDB's words.
        parameters: what its question marks stand for.
        types: of the columns, by relation.
        absent: columns that Spark cannot hold, in words.

    Raises:
        NotOnSparkError: something in it has no such form.

    >>> spark_sql("SELECT count(*) FILTER (WHERE c0 > ?) FROM judged", [2])
    ("SELECT COUNT(*) FILTER(WHERE c0 > CAST('2' AS BIGINT)) FROM judged", {})
    """
    import sqlglot
    from sqlglot import exp

    tree: Any = sqlglot.parse_one(statement, read="duckdb")
    described = isinstance(tree, exp.Describe)
    tree = tree.this if described else tree
    made = Translation(parameters, types or {}, absent or {})
    _mark(tree, made)
    written = _translated(tree, made).sql(dialect="spark")
    return f"DESCRIBE QUERY {written}" if described else written, made.bound


def _mark(tree: Any, made: Translation) -> None:  # noqa: ANN401 - sqlglot has no types here
    """Note on every node of which kind it is, and what its question mark stands for, before anything moves."""
    from sqlglot import exp

    # Question marks count in the order of the text, which is that of a walk into the depth.
    marks = iter(made.parameters)
    nodes = list(tree.walk(bfs=False))
    for node in nodes:
        if isinstance(node, exp.Placeholder):
            node.meta["value"] = next(marks)
        if isinstance(node, exp.Column) and node.name in made.absent and not _found(node, made):
            raise NotOnSparkError(f"Spark has no type for {made.absent[node.name]}")
    for node in nodes:
        node.meta["kind"] = kind_of(node, made.types)


def _found(node: Any, made: Translation) -> bool:  # noqa: ANN401
    return kind_of(node, made.types) != ""


def _translated(node: Any, made: Translation) -> Any:  # noqa: ANN401
    """Return a node and all below it in Spark's words, the inner ones first."""
    from sqlglot import exp

    name = type(node).__name__
    if strange := next((part for part, given in node.args.items() if given and part not in _PARTS), ""):
        raise NotOnSparkError(f"{strange!r} in {node.sql(dialect='duckdb')[:80]!r} has no form on Spark")
    whole = functions.WHOLE.get(name)
    replaced = whole(node, made) if whole is not None else None
    if replaced is not None and replaced is not node:
        return _translated(replaced, made)
    _below(node, made)
    said = functions.SAID.get(node.name.lower() if isinstance(node, exp.Anonymous) else name)
    if said is not None:
        found = said(node, made)
        found.meta.setdefault("kind", node.meta.get("kind", ""))
        return found
    if name not in KEPT:
        raise NotOnSparkError(f"{node.sql(dialect='duckdb')[:80]!r} has no form on Spark")
    return node


def _below(node: Any, made: Translation) -> Any:  # noqa: ANN401
    for child in list(node.iter_expressions()):
        if child.meta.get("done"):
            continue
        found = _translated(child, made)
        found.meta["done"] = True
        if found is not child:
            child.replace(found)
    return node
