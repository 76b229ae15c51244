"""Expressions over one row, as SQL writes them: parsed by sqlglot, checked against an allow-list, never run as given.

Allowed is what the row alone decides. What would read the clock (a backfill must say what that day's run said), other
rows or other tables is refused. Columns are addressed by position only when a frame is at hand, so that a name is
exactly itself: case, blanks, quotes and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_mlpipe.engines.expressions import (
    CLOCK,
    CLOCK_NODES,
    NotAllowedError,
    on_one_line,
    shortened,
    sql_of,
    tree_of,
)
from airflow_provider_mlpipe.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition

__all__ = ["ALLOWED", "RowExpression"]

MAX_NODES = 500

_FUNCTIONS = {
    "Abs": "abs", "Ceil": "ceil", "Coalesce": "coalesce", "DateDiff": "date_diff", "EndsWith": "ends_with",
    "Floor": "floor", "Greatest": "greatest", "Least": "least", "Length": "length", "Lower": "lower",
    "Nullif": "nullif", "RegexpLike": "regexp_matches", "Round": "round", "StartsWith": "starts_with", "Trim": "trim",
    "Upper": "upper", "Year": "year", "Month": "month", "Day": "day", "TimestampTrunc": "date_trunc",
    "DateTrunc": "date_trunc", "IsInf": "isinf",
}  # fmt: skip
_SYNTAX = frozenset(
    [
        "Add",
        "Sub",
        "Mul",
        "Div",
        "IntDiv",
        "Mod",
        "Neg",
        "Paren",
        "DPipe",
        "EQ",
        "NEQ",
        "LT",
        "LTE",
        "GT",
        "GTE",
        "NullSafeEQ",
        "NullSafeNEQ",
        "And",
        "Or",
        "Not",
        "Is",
        "Null",
        "Boolean",
        "Literal",
        "Column",
        "Identifier",
        "In",
        "Between",
        "Like",
        "ILike",
        "Case",
        "If",
        "Cast",
        "TryCast",
        "DataType",
        "DataTypeParam",
        "Interval",
        "Var",
        "Extract",
    ]
)
_TYPES = frozenset(
    {"BIGINT", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INT", "TEXT", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR"}
)
_SPLIT = "Split it into several rules."
_CLOCK_HINT = "Time is the run's as_of: say how old the newest row may be with freshness."
ALLOWED = (
    "columns, literals, + - * / // % ||, comparisons, and, or, not, in (...), between, like, is null, case, cast, "
    "interval, extract, " + ", ".join(sorted(set(_FUNCTIONS.values())))
)


@dataclass(frozen=True)
class RowExpression:
    """A checked expression.

    Attributes:
        text: as the YAML has it, on one line and without comments.
        columns: that it reads, in the order in which they appear.
    """

    text: str
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, *, where: str, key: str, known: Collection[str] = ()) -> Self:
        """Read and check an expression.

        Args:
            text: what stands in the YAML.
            where: file and line, for messages.
            key: the dotted path of the rule, for messages.
            known: the only columns there can be; any if empty.

        Raises:
            ConfigError: it is not an expression, or uses something that is not allowed, or an unknown column.
        """
        try:
            tree = tree_of(text, too_long=_SPLIT)
            _check(tree)
            names = tuple(dict.fromkeys(_names(tree)))
            _check_names(names, known)
        except NotAllowedError as error:
            hint = error.hint or f"Allowed are {ALLOWED}."
            raise ConfigError.invalid(
                where=where, key=key, problem=error.problem, value=repr(shortened(text)), hint=hint
            ) from None
        return cls(on_one_line(text), names)

    def condition(self, frame: Frame) -> Condition:
        """Return it as SQL over the columns of a frame."""
        return f"({self.sql(frame)})", []

    def sql(self, frame: Frame) -> str:
        """Return it as SQL over the columns of a frame, without brackets around it."""
        from sqlglot import exp

        def placed(node: Any) -> Any:  # noqa: ANN401 - sqlglot has no types here
            if isinstance(node, exp.Column):
                return exp.column(frame.sql(node.name))
            if isinstance(node, exp.Literal) and node.is_string and "{rows}" in node.name:
                # A frame's queries put the relation's name there; in a text it is only a text.
                start, _, end = node.name.partition("{rows}")
                return exp.Paren(
                    this=exp.DPipe(this=exp.Literal.string(start + "{"), expression=exp.Literal.string("rows}" + end))
                )
            return node

        return sql_of(self.tree().transform(placed))

    def tree(self) -> Any:  # noqa: ANN401
        """Return sqlglot's tree, for those who say the same in another language."""
        return tree_of(self.text, too_long=_SPLIT)


def _check(tree: Any) -> None:  # noqa: ANN401
    for number, node in enumerate(tree.walk()):
        if number > MAX_NODES:
            raise NotAllowedError(f"of more than {MAX_NODES} parts", _SPLIT)
        kind = type(node).__name__
        if kind not in _SYNTAX and kind not in _FUNCTIONS:
            raise _refusal(node, kind)
        _check_parts(node, kind)


def _check_parts(node: Any, kind: str) -> None:  # noqa: ANN401
    """Refuse what is allowed in general, but not in this form."""
    if kind == "Column":
        if node.table:
            raise NotAllowedError(f"{sql_of(node)} names a table", "Write the column alone: a rule sees one row.")
        if node.name.lower() in CLOCK and not node.this.quoted:
            raise _clock(node.name)
    elif kind in {"Cast", "TryCast"}:
        target = node.to.this.name if hasattr(node.to.this, "name") else str(node.to.this)
        if target.replace("TIMESTAMPNTZ", "TIMESTAMP") not in _TYPES:  # as sqlglot calls DuckDB's TIMESTAMP
            raise NotAllowedError(f"a cast to {sql_of(node.to)} is not allowed", f"Types: {', '.join(sorted(_TYPES))}.")
    elif kind == "In" and node.args.get("query") is not None:
        raise _refusal(node.args["query"], "Subquery")


def _names(tree: Any) -> list[str]:  # noqa: ANN401
    return [str(node.name) for node in tree.walk(bfs=False) if type(node).__name__ == "Column"]


def _check_names(names: tuple[str, ...], known: Collection[str]) -> None:
    if not names:
        raise NotAllowedError("reads no column", "A rule compares columns of one row, as in hours <= 24.")
    for name in names:
        if known and name not in known:
            raise NotAllowedError(
                f"there is no column {name!r} in the schema, which is strict.{did_you_mean(name, known)}",
                f"Its columns: {', '.join(known)}. A text stands in single quotes: 'active'.",
            )


def _refusal(node: Any, kind: str) -> NotAllowedError:  # noqa: ANN401
    if kind in CLOCK_NODES:
        return _clock(sql_of(node))
    if kind in {"Subquery", "Select", "Exists"}:
        return NotAllowedError(
            "a subquery is not allowed: a rule sees one row", "Compare with another dataset through references."
        )
    if kind in {"Window", "Sum", "Avg", "Count", "Max", "Min", "Star", "Median", "Stddev"}:
        return NotAllowedError(
            f"{shortened(sql_of(node))} reads more than one row", "Put bounds on aggregates under statistics."
        )
    if kind == "Anonymous":
        name = str(node.this)
        if name.lower() in CLOCK:
            return _clock(f"{name}()")
        return NotAllowedError(f"there is no function {name!r}.{did_you_mean(name.lower(), _FUNCTIONS.values())}")
    return NotAllowedError(f"{shortened(sql_of(node))} is not allowed")


def _clock(name: str) -> NotAllowedError:
    problem = f"{name} reads the clock, so a backfill would not say what that day's run said"
    return NotAllowedError(problem, _CLOCK_HINT)
