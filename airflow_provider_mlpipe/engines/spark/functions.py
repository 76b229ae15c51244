"""Single constructs that DuckDB and Spark say, or mean, differently: how each is said to Spark.

Handlers get a node whose children are already in Spark's words; those of `WHOLE` get it before its children are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.refusals import NotOnSparkError
from airflow_provider_mlpipe.engines.spark.casts import cast
from airflow_provider_mlpipe.engines.spark.patterns import java_regex, like_regex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_mlpipe.engines.spark.translation import Translation

__all__ = ["SAID", "WHOLE", "parsed"]

Node = Any  # sqlglot has no types here
_NUMBERS = frozenset({"int", "float", "decimal"})
_INFINITY = "CAST('Infinity' AS DOUBLE)"


def parsed(template: str, **parts: Node) -> Node:
    """Return Spark's SQL with nodes in place of ``:names``."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(template, read="spark")
    for mark in list(tree.find_all(exp.Placeholder)):
        mark.replace(_bracketed(parts[mark.name].copy()))
    for node in tree.walk():
        node.meta["done"] = True
    return tree


def _bracketed(node: Node) -> Node:
    from sqlglot import exp

    return exp.Paren(this=node) if isinstance(node, exp.Binary | exp.Not | exp.Between | exp.In) else node


def _kind(node: Node) -> str:
    return str(node.meta.get("kind", ""))


# ------------------------------------------------------------------ values


def _value(value: Any, made: Translation) -> Node:  # noqa: ANN401 - a parameter
    """Return a parameter: numbers as literals of the type that DuckDB gives them, texts bound by name."""
    from sqlglot import exp

    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int):
        text = str(value)
        wide = not -(2**63) <= value < 2**63
        return exp.cast(exp.Literal.string(text), "DECIMAL(38, 0)" if wide else "BIGINT")
    if isinstance(value, float):
        text = "NaN" if math.isnan(value) else repr(value).replace("inf", "Infinity")
        return exp.cast(exp.Literal.string(text), "DOUBLE")
    if isinstance(value, str):
        name = next((known for known, each in made.bound.items() if each == value), f"p{len(made.bound)}")
        made.bound[name] = value
        return exp.Placeholder(this=name)
    if isinstance(value, list):
        return exp.Array(expressions=[_value(each, made) for each in value])
    raise NotOnSparkError(f"a parameter of type {type(value).__name__}")


def _placeholder(node: Node, made: Translation) -> Node:
    found = _value(node.meta["value"], made)
    found.meta.update(node.meta)
    return found


def _text(node: Node) -> str:
    """Return a text that the statement itself holds."""
    from sqlglot import exp

    value = node.meta.get("value", node.this if isinstance(node, exp.Literal) and node.is_string else None)
    if not isinstance(value, str):
        raise NotOnSparkError("a pattern that is not the same for all rows")
    return value


def _literal(text: str) -> Node:
    from sqlglot import exp

    return exp.Literal.string(text)


# ------------------------------------------------------------------ numbers


def _divided(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Floats by the rules of floats; Spark would raise where the divisor is zero."""
    return parsed(
        f"CASE WHEN CAST(:b AS DOUBLE) = 0 THEN CAST(:a AS DOUBLE) * {_INFINITY} "
        "ELSE try_divide(CAST(:a AS DOUBLE), CAST(:b AS DOUBLE)) END",
        a=node.this, b=node.expression,
    )  # fmt: skip


def _whole_quotient(node: Node, made: Translation) -> Node:  # noqa: ARG001
    if {_kind(node.this), _kind(node.expression)} != {"int"}:
        raise NotOnSparkError("// of anything but whole numbers")
    return parsed(":a div :b", a=node.this, b=node.expression)


def _remainder(node: Node, made: Translation) -> Node:  # noqa: ARG001
    if "float" not in {_kind(node.this), _kind(node.expression)}:
        return node
    return parsed(
        "CASE WHEN :b = 0 THEN CAST('NaN' AS DOUBLE) ELSE try_mod(CAST(:a AS DOUBLE), CAST(:b AS DOUBLE)) END",
        a=node.this, b=node.expression,
    )  # fmt: skip


def _sum(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Whole numbers are added without overflow."""
    return parsed("sum(CAST(:x AS DECIMAL(38, 0)))", x=node.this) if _kind(node.this) == "int" else node


def _mean(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return parsed("avg(CAST(:x AS DOUBLE))", x=node.this)


def _deviation(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return parsed("stddev_samp(CAST(:x AS DOUBLE))", x=node.this)


def _compared(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Compare what DuckDB compares: truths with numbers as 0 and 1, texts with texts and constants only."""
    from sqlglot import exp

    sides = [side for side in node.iter_expressions() if isinstance(side, exp.Expression)]
    numbers = any(_kind(side) in _NUMBERS for side in sides)
    for side in sides:
        if numbers and _kind(side) == "bool":
            side.replace(exp.cast(side.copy(), "INT"))
        if numbers and _kind(side) == "string" and not _is_constant(side):
            raise NotOnSparkError("a text compared with a number")
    return node


def _is_constant(node: Node) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Literal | exp.Placeholder)


def _quantile(node: Node, share: Node) -> Node:
    if _kind(node.this).startswith(("timestamp", "date")):
        micros = "percentile(unix_micros(CAST(:x AS TIMESTAMP)), :share)"
        return parsed(f"timestamp_micros(CAST(floor({micros}) AS BIGINT))", x=node.this, share=share)
    return parsed("percentile(CAST(:x AS DOUBLE), :share)", x=node.this, share=share)


def _median(node: Node, made: Translation) -> Node:
    return _quantile(node, _value(0.5, made))


def _continuous(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return _quantile(node, node.expression)


def _discrete(node: Node, made: Translation) -> Node:
    """Return the value of a rank, or a list of them."""
    from sqlglot import exp

    shares = node.expression.expressions if isinstance(node.expression, exp.Array) else [node.expression]
    each = [parsed("percentile_disc(:share) WITHIN GROUP (ORDER BY :x)", x=node.this, share=share) for share in shares]
    del made
    return exp.Array(expressions=each) if isinstance(node.expression, exp.Array) else each[0]


def _infinite(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return parsed(f"(abs(CAST(:x AS DOUBLE)) = {_INFINITY})", x=node.this)


# ------------------------------------------------------------------ functions by name


def _micros(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Return microseconds; what an aggregate is filtered by stays at the aggregate."""
    return parsed("unix_micros(CAST(:x AS TIMESTAMP))", x=node.expressions[0])


def _finite(node: Node, made: Translation) -> Node:  # noqa: ARG001
    (x,) = node.expressions
    if _kind(x).startswith(("timestamp", "date")):
        return parsed("(:x IS NOT NULL)", x=x)
    return parsed(f"(abs(CAST(:x AS DOUBLE)) < {_INFINITY})", x=x)


def _position(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Return the place of a value in a list; 0, where DuckDB says null, if it is not there."""
    listed, x = node.expressions
    return parsed("array_position(:listed, :x)", listed=listed, x=x)


def _contains(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return parsed("array_contains(:listed, :x)", listed=node.this, x=node.expression)


# ------------------------------------------------------------------ texts


def _matches(node: Node, made: Translation) -> Node:  # noqa: ARG001
    pattern = java_regex(_text(node.expression))
    return parsed("(:x RLIKE :pattern)", x=node.this, pattern=_literal(pattern))


def _like(node: Node, made: Translation) -> Node:  # noqa: ARG001
    escape = node.meta.get("escape", "")
    pattern = like_regex(_text(node.expression), escape, any_case=type(node).__name__ == "ILike")
    negated = "NOT " if node.args.get("negate") else ""
    return parsed(f"({negated}:x RLIKE :pattern)", x=node.this, pattern=_literal(pattern))


def _escaped(node: Node, made: Translation) -> Node:  # noqa: ARG001
    node.this.meta["escape"] = _text(node.expression)
    return node.this


# ------------------------------------------------------------------ times


_PARTS = frozenset({"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "WEEK"})
_TRUNCATED = _PARTS | {"SECOND"}
_STEPS = {"HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000}


def _part(node: Node, made: Translation) -> Node:  # noqa: ARG001
    if node.this.name.upper() not in _PARTS:
        raise NotOnSparkError(f"extract({node.this.name.lower()} from ...)")
    return node


def _truncated(node: Node, made: Translation) -> Node:  # noqa: ARG001
    unit = node.args["unit"].name.upper()
    if unit not in _TRUNCATED:
        raise NotOnSparkError(f"date_trunc('{unit.lower()}', ...)")
    return parsed(f"date_trunc('{unit}', :x)", x=node.this)


def _difference(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Count the boundaries between two times, as DuckDB does; Spark counts whole units."""
    unit, later, earlier = node.args["unit"].name.upper(), node.this, node.expression
    if unit == "DAY":
        return parsed("datediff(CAST(:b AS DATE), CAST(:a AS DATE))", a=earlier, b=later)
    if unit in _STEPS:
        micros = f"floor(unix_micros(CAST(:{{}} AS TIMESTAMP)) / {_STEPS[unit]}D)"
        return parsed(f"({micros.format('b')} - {micros.format('a')})", a=earlier, b=later)
    if unit in {"MONTH", "YEAR"}:
        count = "(year(:{0}) * 12 + month(:{0}))" if unit == "MONTH" else "year(:{0})"
        return parsed(f"({count.format('b')} - {count.format('a')})", a=earlier, b=later)
    raise NotOnSparkError(f"date_diff('{unit.lower()}', ...)")


# ------------------------------------------------------------------ lists and other relations


def _among(node: Node, made: Translation) -> Node | None:
    """Return a look-up in a list, or in a query, in a form that Spark also takes inside of aggregates."""
    from sqlglot import exp

    query = node.args.get("query")
    if query is None:
        return None
    select = query.this if isinstance(query, exp.Subquery) else query
    (found,) = select.selects[:1]
    if isinstance(found, exp.Explode | exp.Unnest):
        return _among_values(node, found, made)
    if isinstance(node.this, exp.Struct):
        return _among_keys(node, select)
    source = select.args["from_"].this
    return _among_keys(node, select) if source.name in made.types else None


def _among_values(node: Node, unnested: Node, made: Translation) -> Node:
    """Return ``x IN (1, 2)`` for ``x IN (SELECT unnest(CAST([1, 2] AS BIGINT[])))``."""
    from sqlglot import exp

    array = unnested.this if isinstance(unnested, exp.Explode) else unnested.expressions[0]
    kind = array.to.expressions[0]
    values = [exp.Cast(this=_value(each, made), to=kind.copy()) for each in array.this.meta["value"]]
    for value in values:
        value.this.meta["done"] = True
        value.meta["kind"] = "plain"
    return exp.In(this=node.this, expressions=values)


def _among_keys(node: Node, select: Node) -> Node:
    """Return ``EXISTS``, which joins by equality; of a struct all parts are equal, two nulls among them."""
    from sqlglot import exp

    is_key = isinstance(node.this, exp.Struct)
    here = [part.expression for part in node.this.expressions] if is_key else [node.this]
    (projected,) = select.selects
    there = [part.expression for part in projected.expressions] if is_key else [projected]
    inner = select.copy()
    inner.set("expressions", [exp.alias_(each.copy(), f"k{place}") for place, each in enumerate(there)])
    equal = exp.NullSafeEQ if is_key else exp.EQ
    sides = [equal(this=exp.column(f"k{place}"), expression=each.copy()) for place, each in enumerate(here)]
    return exp.Exists(this=exp.select("1").from_(inner.subquery("keys")).where(exp.and_(*sides)))


def _grouped(node: Node, made: Translation) -> Node | None:  # noqa: ARG001
    """Group by the values where DuckDB groups by their hash: Spark spills either way, and no two hashes meet."""
    listed = [part for each in node.expressions for part in (each.expressions if each.name == "hash" else [each])]
    if listed == node.expressions:
        return None
    node.set("expressions", listed)
    return node


def _filtered(node: Node, made: Translation) -> Node | None:  # noqa: ARG001
    """Take a filter into what is aggregated, where an aggregate takes more than one word on Spark."""
    from sqlglot import exp

    aggregate, condition = node.this, node.expression.this
    if isinstance(aggregate, exp.Min) and aggregate.args.get("count") is not None:
        return _smallest(aggregate, condition)
    if not isinstance(aggregate, exp.StddevSamp | exp.Median | exp.PercentileCont | exp.PercentileDisc):
        return None
    chosen = exp.Case(ifs=[exp.If(this=condition, true=aggregate.this.copy())])
    chosen.meta["kind"] = _kind(aggregate.this)
    aggregate.set("this", chosen)
    return aggregate


def _smallest(aggregate: Node, condition: Node) -> Node:
    """Return the few smallest of some structs, nulls last: a query of its own, as Spark has no such aggregate."""
    from sqlglot import exp

    packed = aggregate.this
    while isinstance(packed, exp.Case):  # which only spares DuckDB work
        packed = packed.args["ifs"][0].args["true"]
    parts = [part.expression.copy() for part in packed.expressions]
    around = aggregate.parent_select
    # Nothing is left to aggregate in the statement itself: only such queries share one.
    source = around.meta.setdefault("source", (around.args.get("from_") or exp.From(this=None)).this)
    around.set("from_", None)
    inner = exp.select(*(exp.alias_(part, f"f{place}") for place, part in enumerate(parts)))
    inner = inner.from_(source.copy()).where(condition.copy())
    named = ", ".join(f"'f{place}', f{place}" for place in range(len(parts)))
    listed = parsed(f"collect_list(named_struct({named}))")
    order = [exp.Ordered(this=exp.column(f"f{place}"), nulls_first=False) for place in range(len(parts))]
    inner = inner.order_by(*order).limit(aggregate.args["count"].name)
    return exp.select(listed).from_(inner.subquery("few")).subquery()


def _bits(node: Node, made: Translation) -> Node:  # noqa: ARG001
    """Count the different values of a key, of which DuckDB keeps a bitmap."""
    return parsed("count(DISTINCT :x)", x=node.expressions[0])


def _counted_bits(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return node.expressions[0]


def _same(node: Node, made: Translation) -> Node:  # noqa: ARG001
    return node


WHOLE: Mapping[str, Callable[[Node, Translation], Node | None]] = {
    "Escape": _escaped, "Filter": _filtered, "Group": _grouped, "In": _among,
}  # fmt: skip
"""By sqlglot's name of a construct that is put in another order before its parts are said."""

SAID: Mapping[str, Callable[[Node, Translation], Node]] = {
    **dict.fromkeys(("DateTrunc", "TimestampTrunc"), _truncated),
    **dict.fromkeys(("EQ", "NEQ", "LT", "LTE", "GT", "GTE", "Between", "In"), _compared),
    "Array": _same, "ArrayContains": _contains, "Avg": _mean, "Cast": cast, "DateDiff": _difference, "Div": _divided,
    "Exists": _same, "Extract": _part, "ILike": _like, "IntDiv": _whole_quotient, "IsInf": _infinite, "Like": _like,
    "Median": _median, "Mod": _remainder, "PercentileCont": _continuous, "PercentileDisc": _discrete,
    "Placeholder": _placeholder, "RegexpLike": _matches, "StddevSamp": _deviation, "Sum": _sum, "TryCast": cast,
    "bit_count": _counted_bits, "bitstring_agg": _bits, "epoch_us": _micros, "isfinite": _finite,
    "list_position": _position,
}  # fmt: skip
"""By sqlglot's name of a construct, or DuckDB's name of a function that sqlglot does not know."""
