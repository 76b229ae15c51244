"""Of which kind an SQL expression is, as far as the columns under it tell: what decides how Spark has to say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    Types = Mapping[str, Mapping[str, pa.DataType]]
    """Of the columns, by relation."""

__all__ = ["arrow_of", "kind_of", "kind_of_type"]

_NAMED = {
    "TEXT": "string", "VARCHAR": "string", "INT": "int", "BIGINT": "int", "SMALLINT": "int", "TINYINT": "int",
    "INT128": "int", "DOUBLE": "float", "FLOAT": "float", "DECIMAL": "decimal", "BOOLEAN": "bool", "DATE": "date",
    "TIMESTAMP": "timestamp", "TIMESTAMPNTZ": "timestamp", "TIMESTAMPTZ": "timestamptz",
}  # fmt: skip
_FIXED = {
    "Count": "int", "ApproxDistinct": "int", "Length": "int", "Median": "float", "Avg": "float", "StddevSamp": "float",
    "Div": "float", "Left": "string", "Replace": "string", "Lower": "string", "Upper": "string", "Trim": "string",
    "DPipe": "string", "Boolean": "bool",
}  # fmt: skip
_SAME = frozenset({"Min", "Max", "Filter", "Paren", "Alias", "Neg", "Abs", "Sum", "Coalesce", "Round", "Nullif"})
_WIDEST = ("", "timestamptz", "timestamp", "date", "float", "decimal", "int")
"""Of two kinds, that of their sum: the first of them here."""


def kind_of_type(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        kind = kind.value_type
    if kinds.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    tests = {
        "int": kinds.is_integer, "float": kinds.is_floating, "decimal": kinds.is_decimal, "bool": kinds.is_boolean,
        "date": kinds.is_date, "nested": kinds.is_nested, "null": kinds.is_null,
    }  # fmt: skip
    found = next((name for name, test in tests.items() if test(kind)), "")
    return found or ("binary" if "binary" in str(kind) else "string")


def kind_of(node: Any, types: Types) -> str:  # noqa: ANN401 - sqlglot has no types here
    """Return the kind of an expression, or nothing if that cannot be told."""
    name = type(node).__name__
    if name in _SAME:
        return kind_of(node.this, types)
    told = _TOLD.get(name)
    return _FIXED.get(name, "") if told is None else told(node, types)


def _of_cast(node: Any, types: Types) -> str:  # noqa: ANN401, ARG001
    return _NAMED.get(node.to.this.name, "")


def _of_joined(node: Any, types: Types) -> str:  # noqa: ANN401
    kinds = {kind_of(node.this, types), kind_of(node.expression, types)}
    return next((kind for kind in _WIDEST if kind in kinds), "")


def _of_case(node: Any, types: Types) -> str:  # noqa: ANN401
    sides = [*(each.args["true"] for each in node.args["ifs"]), node.args.get("default")]
    return next((kind for side in sides if side is not None and (kind := kind_of(side, types))), "")


def _of_literal(node: Any, types: Types) -> str:  # noqa: ANN401, ARG001
    return "string" if node.is_string else ("int" if node.name.isdigit() else "decimal")


def _of_column(node: Any, types: Types) -> str:  # noqa: ANN401
    found = arrow_of(node, types)
    if found is not None:
        return kind_of_type(found)
    source = _source(node)
    handed = None if source is None or type(source).__name__ == "Table" else _projection(source, node.name)
    return "" if handed is None else kind_of(handed, types)


def arrow_of(column: Any, types: Types) -> pa.DataType | None:  # noqa: ANN401
    """Return the Arrow type of a column of a relation, through the subqueries that hand it on; None if unknown."""
    source = _source(column)
    if source is None:
        return None
    if type(source).__name__ == "Table":
        return types.get(source.name, {}).get(column.name)
    handed = _projection(source, column.name)
    return None if handed is None or type(handed).__name__ != "Column" else arrow_of(handed, types)


def _source(column: Any) -> Any:  # noqa: ANN401
    """Return the one relation that a column comes from, None if there are several."""
    select = column.parent_select
    if select is None:
        return None
    start = select.args.get("from_")
    return None if start is None or select.args.get("joins") else start.this


def _projection(subquery: Any, name: str) -> Any:  # noqa: ANN401
    """Return what a subquery calls by a name."""
    select = subquery.this
    for each in getattr(select, "selects", ()):
        if each.alias_or_name == name:
            return each.this if type(each).__name__ == "Alias" else each
    return None


_TOLD: dict[str, Callable[[Any, Types], str]] = {
    **dict.fromkeys(("Cast", "TryCast"), _of_cast),
    **dict.fromkeys(("Add", "Sub", "Mul", "Mod", "IntDiv"), _of_joined),
    "Case": _of_case, "Literal": _of_literal, "Column": _of_column,
}  # fmt: skip
