"""What the small languages of rules and of features have in common: text read by sqlglot, and refusals in plain words.

Which parts are allowed is for each language to say; nothing here runs anything.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CLOCK", "CLOCK_NODES", "NotAllowedError", "on_one_line", "shortened", "sql_of", "tree_of"]

MAX_LENGTH = 4_000
"""Characters of an expression; far more than a person would want to read."""

CLOCK = frozenset(
    {"now", "today", "current_date", "current_time", "current_timestamp", "getdate", "sysdate", "localtime",
     "localtimestamp", "get_current_timestamp", "get_current_time", "transaction_timestamp"}
)  # fmt: skip
"""Functions, and names without brackets, that read the clock."""

CLOCK_NODES = frozenset(
    {"CurrentDate", "CurrentTime", "CurrentTimestamp", "CurrentDatetime", "Localtime", "Localtimestamp"}
)
"""What sqlglot makes of them where it knows them."""

_DIALECT = "duckdb"
"""How sqlglot reads and writes; what is allowed is the same in every dialect."""


class NotAllowedError(Exception):
    """What is wrong with an expression, before it is known where the expression stands.

    Attributes:
        problem: what is wrong.
        hint: what to do; empty if a list of what is allowed helps most.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def tree_of(text: str, *, too_long: str) -> Any:  # noqa: ANN401 - sqlglot has no types here
    """Return sqlglot's tree of one expression.

    It is read as an expression from the start, not as a statement: a column may be called ``load`` or ``update``.

    Args:
        text: what stands in the YAML.
        too_long: what to do about an expression that is too large to be read.

    Raises:
        NotAllowedError: it is no expression, more than one, or too large.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    if len(text) > MAX_LENGTH:
        raise NotAllowedError(f"longer than {MAX_LENGTH} characters", too_long)
    try:
        tokens = sqlglot.tokenize(text, read=_DIALECT)
        if not tokens or any(token.token_type.name == "SEMICOLON" for token in tokens[:-1]):
            raise NotAllowedError("must be one expression")
        return sqlglot.parse_one(text, read=_DIALECT, into=sqlglot.exp.Condition)
    except RecursionError:
        raise NotAllowedError("nests too deeply", too_long) from None
    except SqlglotError as error:
        raise NotAllowedError(f"cannot be read ({_first_problem(error)})") from None


def on_one_line(text: str) -> str:
    """Return an expression that `tree_of` can read without its comments and line breaks, its texts as they are."""
    import sqlglot

    line, end = "", 0
    for token in sqlglot.tokenize(text, read=_DIALECT):
        line += (" " if line and token.start > end else "") + text[token.start : token.end + 1]
        end = token.end + 1
    return line


def sql_of(tree: Any) -> str:  # noqa: ANN401
    """Return the tree as text."""
    return str(tree.sql(dialect=_DIALECT))


def shortened(text: str) -> str:
    """Return a text that is short enough for a message."""
    return text if len(text) <= 120 else text[:117] + "..."


def _first_problem(error: Exception) -> str:
    details = getattr(error, "errors", None) or [{}]
    found = str(details[0].get("description") or str(error).splitlines()[0]).rstrip(".")
    # sqlglot names its own classes where an operand or a bracket is missing.
    return "something is missing" if "<class" in found else found
