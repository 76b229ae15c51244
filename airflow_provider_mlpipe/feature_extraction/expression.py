"""The small language of `where` and `derived`: parsed by sqlglot, checked against an allow-list, kept as plain data.

Allowed: literals, columns, ``+ - * /``, comparisons, ``and or not``, ``in``, ``between``, ``is null``, ``case``,
``coalesce``, ``least``, ``greatest``, ``days_since``. Nothing here runs anything: `compile` gives the tree its meaning,
and a tree also tells which columns it reads. Whatever is not on the list is refused, above all what would read the
clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.expressions import CLOCK, CLOCK_NODES, NotAllowedError, shortened, sql_of, tree_of
from airflow_provider_mlpipe.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "FUNCTIONS",
    "Column",
    "Constant",
    "Node",
    "Operation",
    "Reference",
    "columns",
    "parse",
    "parts",
    "rendered",
    "replaced",
]

FUNCTIONS = ("coalesce", "least", "greatest", "days_since")
"""Functions that may be called; ``days_since(time)`` is the days from a time to as_of, and null for a time to come."""

MAX_DEPTH = 60
"""How deep an expression may nest; keeps every later walk over it away from Python's recursion limit."""

_BINARY = {
    "Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">",
    "GTE": ">=", "And": "and", "Or": "or",
}  # fmt: skip
_CALLS = {"Coalesce": "coalesce", "Least": "least", "Greatest": "greatest"}
_SPLIT = "Split it into several derived features."
_ALLOWED = "literals, columns, + - * /, comparisons, and, or, not, in, between, is null, case, " + ", ".join(FUNCTIONS)


@dataclass(frozen=True)
class Constant:
    """A number, a text, true, false or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A name that the expression uses: a column of its input or another feature."""

    name: str


@dataclass(frozen=True)
class Reference:
    """A number that the plan computes, by its id there. The parser makes none: the plan puts them in place of names."""

    id: str


@dataclass(frozen=True)
class Operation:
    """An operator or function over its arguments.

    ``in`` has the value first, then the members; ``case`` has condition and result in turn and the ``else`` last.
    """

    name: str
    arguments: tuple[Node, ...]


Node = Constant | Column | Reference | Operation


def parse(text: str, *, where: str, key: str) -> Node:
    """Read an expression.

    Args:
        text: what stands in the YAML.
        where: file and line, for messages.
        key: what the expression belongs to, e.g. ``derived.bug_rate``.

    Raises:
        ConfigError: it is not an expression, or uses something that is not allowed.
    """
    try:
        return _Reader().read(tree_of(text, too_long=_SPLIT), 0)
    except NotAllowedError as error:
        hint = error.hint or f"Allowed are {_ALLOWED}."
        raise ConfigError.invalid(
            where=where, key=key, problem=error.problem, value=repr(shortened(text)), hint=hint
        ) from None


def columns(node: Node) -> Iterator[str]:
    """Yield the names that an expression uses, in the order in which they appear; a name may come twice."""
    if isinstance(node, Column):
        yield node.name
    elif isinstance(node, Operation):
        for argument in node.arguments:
            yield from columns(argument)


def parts(node: Node) -> Iterator[Node]:
    """Yield an expression and everything that it is made of."""
    yield node
    if isinstance(node, Operation):
        for argument in node.arguments:
            yield from parts(argument)


def replaced(node: Node, replace: Callable[[str], Node]) -> Node:
    """Return the expression with every name replaced by what `replace` returns for it."""
    if isinstance(node, Column):
        return replace(node.name)
    if isinstance(node, Operation):
        return Operation(node.name, tuple(replaced(argument, replace) for argument in node.arguments))
    return node


def rendered(node: Node) -> str:
    """Return one text per meaning, fully bracketed: for hashes and documentation.

    >>> rendered(parse("a+1>b*2 and c is not null", where="", key=""))
    '(((a + 1) > (b * 2)) and not(is null(c)))'
    """
    if isinstance(node, Constant):
        return "null" if node.value is None else repr(node.value)
    if isinstance(node, Column):
        return node.name if node.name.isidentifier() else '"' + node.name.replace('"', '""') + '"'
    if isinstance(node, Reference):
        return f"${node.id}"
    parts = [rendered(argument) for argument in node.arguments]
    if node.name in _BINARY.values() and len(parts) == 2:
        return f"({parts[0]} {node.name} {parts[1]})"
    return f"{node.name}({', '.join(parts)})"


class _Reader:
    """Turns sqlglot's tree into ours, node kind by node kind; a kind without a method is not allowed."""

    def read(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        if depth > MAX_DEPTH:
            raise NotAllowedError("nests too deeply", _SPLIT)
        kind = type(tree).__name__
        if kind == "Paren":
            return self.read(tree.this, depth + 1)
        if kind in _BINARY:
            return Operation(_BINARY[kind], (self.read(tree.this, depth + 1), self.read(tree.expression, depth + 1)))
        if kind in _CALLS:
            return Operation(_CALLS[kind], tuple(self.read(part, depth + 1) for part in (tree.this, *tree.expressions)))
        special = getattr(self, f"_{kind.lower()}", None)
        if special is None:
            raise _refusal(tree, kind)
        node: Node = special(tree, depth)
        return node

    def _literal(self, tree: Any, depth: int) -> Node:  # noqa: ANN401, ARG002
        if tree.is_string:
            return Constant(str(tree.this))
        text = str(tree.this)
        number = int(text) if text.isdigit() else float(text)
        if number in (float("inf"), float("-inf")) or (isinstance(number, int) and number >= 1 << 63):
            raise NotAllowedError(f"the number {shortened(text)} is too large")
        return Constant(number)

    def _boolean(self, tree: Any, depth: int) -> Node:  # noqa: ANN401, ARG002
        return Constant(bool(tree.this))

    def _null(self, tree: Any, depth: int) -> Node:  # noqa: ANN401, ARG002
        return Constant(None)

    def _column(self, tree: Any, depth: int) -> Node:  # noqa: ANN401, ARG002
        if tree.args.get("table") is not None:
            raise NotAllowedError(
                f"{sql_of(tree)} names a table",
                "Write the column alone; a where sees the events, a derived the features.",
            )
        if type(tree.this).__name__ != "Identifier":
            raise _refusal(tree.this, type(tree.this).__name__)
        name = str(tree.this.this)
        if name.lower() in CLOCK and not tree.this.quoted:
            raise _clock(name)
        return Column(name)

    def _anonymous(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        name, arguments = str(tree.this).lower(), tree.expressions
        if name != "days_since":
            raise _refusal(tree, "Anonymous")
        if len(arguments) != 1:
            raise NotAllowedError(f"{shortened(sql_of(tree))}: days_since takes one time")
        return Operation(name, (self.read(arguments[0], depth + 1),))

    def _neg(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        inner = self.read(tree.this, depth + 1)
        if isinstance(inner, Constant) and isinstance(inner.value, (int, float)) and not isinstance(inner.value, bool):
            return Constant(-inner.value)
        return Operation("neg", (inner,))

    def _not(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        return Operation("not", (self.read(tree.this, depth + 1),))

    def _is(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        if type(tree.expression).__name__ != "Null":
            raise NotAllowedError(f"{sql_of(tree)}: only is null and is not null are known")
        return Operation("is null", (self.read(tree.this, depth + 1),))

    def _between(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        value = self.read(tree.this, depth + 1)
        low, high = (self.read(tree.args[side], depth + 1) for side in ("low", "high"))
        return Operation("and", (Operation(">=", (value, low)), Operation("<=", (value, high))))

    def _in(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        if tree.args.get("query") is not None:
            raise _refusal(tree.args["query"], "Subquery")
        members = tuple(self.read(member, depth + 1) for member in tree.expressions)
        if not members or not all(isinstance(member, Constant) and member.value is not None for member in members):
            raise NotAllowedError("in (...) takes literals other than null")
        return Operation("in", (self.read(tree.this, depth + 1), *members))

    def _case(self, tree: Any, depth: int) -> Node:  # noqa: ANN401
        subject = tree.args.get("this")
        parts: list[Node] = []
        for branch in tree.args["ifs"]:
            condition = self.read(branch.this, depth + 1)
            if subject is not None:
                condition = Operation("=", (self.read(subject, depth + 1), condition))
            parts += [condition, self.read(branch.args["true"], depth + 1)]
        default = tree.args.get("default")
        parts.append(Constant(None) if default is None else self.read(default, depth + 1))
        return Operation("case", tuple(parts))


def _clock(name: str) -> NotAllowedError:
    return NotAllowedError(
        f"{name} reads the clock, so a backfill would not get what that day's run got",
        "Time is the run's as_of: say how far back to look with windows and delay.",
    )


def _refusal(tree: Any, kind: str) -> NotAllowedError:  # noqa: ANN401
    if kind in CLOCK_NODES:
        return _clock(sql_of(tree))
    if kind in {"Subquery", "Select", "Exists"}:
        return NotAllowedError("a subquery is not allowed", "Declare an aggregation for it and use its name.")
    if kind in {"Window", "Sum", "Avg", "Count", "Max", "Min"}:
        return NotAllowedError(
            f"{shortened(sql_of(tree))} is an aggregation", "Declare it under aggregations and use its name here."
        )
    if kind == "Anonymous":
        name = str(tree.this)
        if name.lower() in CLOCK:
            return _clock(f"{name}()")
        guess = did_you_mean(name.lower(), FUNCTIONS).strip()
        return NotAllowedError(f"there is no function {name!r}" + (f" ({guess})" if guess else ""))
    return NotAllowedError(f"{shortened(sql_of(tree))} ({kind.lower()}) is not allowed")
