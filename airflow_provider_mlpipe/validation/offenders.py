"""Which rows break a rule, as SQL: what sets the bad rows of an artifact apart from its good ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.validation.rules import RowRule

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["offending"]


def offending(frame: Frame, rule: Rule) -> Condition | None:
    """Return the SQL condition, over the relation of `frame`, that is true of exactly the rows that break `rule`.

    It is true or false of every row, never null, so that its negation is the rows that keep the rule. Of a repeated key
    it is true of every row. ``mostly`` plays no part: a rule that holds may have rows that break it.

    Args:
        frame: the rows, whose relation the condition is about.
        rule: the rule.

    Returns:
        SQL and its parameters; None for a rule that is not about rows, or that cannot be judged on these columns.
    """
    if not isinstance(rule, RowRule) or any(name not in frame.names for name in rule.reads) or rule.problem(frame):
        return None
    if not rule.in_sql(frame):
        return None
    sql, parameters = rule.offending(frame)
    return f"coalesce(({sql}), false)", parameters
