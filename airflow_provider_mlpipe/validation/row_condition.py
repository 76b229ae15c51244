"""Conditions as Great Expectations has them: an "or" of "and"s of comparisons with literals; nothing else.

Importing this module imports Great Expectations.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from great_expectations.expectations.row_conditions import Column, ComparisonCondition, NullityCondition, Operator

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.row_expression import RowExpression

__all__ = ["row_condition"]

_OPERATORS = {
    "EQ": Operator.EQUAL, "NEQ": Operator.NOT_EQUAL, "LT": Operator.LESS_THAN, "LTE": Operator.LESS_THAN_OR_EQUAL,
    "GT": Operator.GREATER_THAN, "GTE": Operator.GREATER_THAN_OR_EQUAL,
}  # fmt: skip
_MIRRORED = {"LT": "GT", "LTE": "GTE", "GT": "LT", "GTE": "LTE", "EQ": "EQ", "NEQ": "NEQ"}


class _NotExpressibleError(Exception):
    """Great Expectations has no words for this."""


def row_condition(expression: RowExpression) -> Any:  # noqa: ANN401 - GX's Condition; it ships no types for us
    """Return GX's condition that selects the same rows, None if there is none."""
    try:
        return _any(expression.tree())
    except _NotExpressibleError:
        return None


def _any(tree: Any) -> Any:  # noqa: ANN401
    kind = type(tree).__name__
    if kind == "Paren":
        return _any(tree.this)
    if kind == "Or":
        return _joined([_all(part) for part in _parts(tree, "Or")], lambda one, other: one | other)
    return _all(tree)


def _all(tree: Any) -> Any:  # noqa: ANN401
    # GX refuses an "or" inside of an "and", and an "or" inside of an "or".
    while type(tree).__name__ == "Paren":
        tree = tree.this
    if type(tree).__name__ == "Or":
        raise _NotExpressibleError
    parts = [leaf for part in _parts(tree, "And") for leaf in _leaves(part)]
    return _joined(parts, lambda one, other: one & other)


def _joined(parts: list[Any], join: Any) -> Any:  # noqa: ANN401
    return reduce(join, parts)


def _parts(tree: Any, kind: str) -> list[Any]:  # noqa: ANN401
    while type(tree).__name__ == "Paren" and type(tree.this).__name__ in {kind, "Paren"}:
        tree = tree.this
    if type(tree).__name__ != kind:
        return [tree]
    return [*_parts(tree.this, kind), *_parts(tree.expression, kind)]


def _leaves(tree: Any) -> list[Any]:  # noqa: ANN401
    """Return the condition of one comparison, and what makes it SQL's where pandas takes a null for a value."""
    kind = type(tree).__name__
    if kind == "Paren":
        return _leaves(tree.this)
    if kind == "Not":
        return _negated(tree.this)
    if kind == "Is" and type(tree.expression).__name__ == "Null":
        return [NullityCondition(column=_column(tree.this), is_null=True)]
    if kind == "In":
        return [ComparisonCondition(column=_column(tree.this), operator=Operator.IN, parameter=_members(tree))]
    if kind == "Between":
        return [_compared(tree.this, "GTE", tree.args["low"]), _compared(tree.this, "LTE", tree.args["high"])]
    if kind in _OPERATORS:
        left, right = tree.this, tree.expression
        if type(left).__name__ != "Column":
            left, right, kind = right, left, _MIRRORED[kind]
        compared = _compared(left, kind, right)
        return [compared, _present(left)] if kind == "NEQ" else [compared]
    raise _NotExpressibleError


def _negated(tree: Any) -> list[Any]:  # noqa: ANN401
    kind = type(tree).__name__
    if kind == "Is" and type(tree.expression).__name__ == "Null":
        return [_present(tree.this)]
    if kind == "In":
        column = _column(tree.this)
        strange = ComparisonCondition(column=column, operator=Operator.NOT_IN, parameter=_members(tree))
        return [strange, _present(tree.this)]
    raise _NotExpressibleError


def _compared(left: Any, kind: str, right: Any) -> Any:  # noqa: ANN401
    return ComparisonCondition(column=_column(left), operator=_OPERATORS[kind], parameter=_literal(right))


def _present(tree: Any) -> Any:  # noqa: ANN401
    return NullityCondition(column=_column(tree), is_null=False)


def _column(tree: Any) -> Any:  # noqa: ANN401
    if type(tree).__name__ != "Column":
        raise _NotExpressibleError
    return Column(str(tree.name))


def _members(tree: Any) -> list[Any]:  # noqa: ANN401
    members = [_literal(each) for each in tree.expressions]
    if len({isinstance(member, str) for member in members}) != 1 or any(isinstance(each, bool) for each in members):
        raise _NotExpressibleError
    return members


def _literal(tree: Any) -> Any:  # noqa: ANN401
    kind = type(tree).__name__
    if kind == "Boolean":
        return bool(tree.this)
    if kind == "Neg":
        value = _literal(tree.this)
        if isinstance(value, (str, bool)):
            raise _NotExpressibleError
        return -value
    if kind != "Literal":
        raise _NotExpressibleError
    if tree.is_string:
        return str(tree.this)
    text = str(tree.this)
    return int(text) if text.isdigit() else float(text)
