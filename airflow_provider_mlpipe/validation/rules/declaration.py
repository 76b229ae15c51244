"""From YAML to typed rules: every family states its own, here they are put in order and get an id each."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.rules import (
    choices,
    comparisons,
    distribution,
    expected,
    expressions,
    foreign_keys,
    fresh,
    logical,
    presence,
    ranges,
    statistics,
    table,
    texts,
    uniqueness,
)
from airflow_provider_mlpipe.validation.rules.presence import ColumnExists, HasRows
from airflow_provider_mlpipe.validation.rules.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, DatasetRules
    from airflow_provider_mlpipe.validation.rules.rule import Rule

__all__ = ["FAMILIES", "rules_of"]

FAMILIES = (
    logical, presence, uniqueness, ranges, choices, texts, comparisons, expressions, foreign_keys, statistics, fresh,
    distribution, table, expected,
)  # fmt: skip
"""Every family of rules, in the order in which they are listed: each has a function ``stated``."""

_RANK = {"ERROR": 0, "WARNING": 1, "INFO": 2}


def rules_of(configured: Configured[DatasetRules], as_of: datetime) -> tuple[Rule, ...]:
    """Return the rules of a dataset, in the order of the report: rows, columns, then family by family.

    Raises:
        ConfigError: rules that no data could ever make sense of, e.g. a range from a number to a date: the first of
            every family.
    """
    statements = Statements(configured, as_of)
    rules: list[Rule] = []
    problems: list[ConfigError] = []
    for family in FAMILIES:
        try:
            rules.extend(family.stated(statements))
        except ConfigError as error:
            problems.append(error)
    if problems:
        raise problems[0] if len(problems) == 1 else ConfigError.several(problems)
    dataset = configured.name
    first: list[Rule] = []
    if not configured.model.allow_empty:
        where = configured.where("allow_empty")
        first.append(HasRows(rule_id=f"{dataset}.rows", columns=(), severity="ERROR", where=where))
    return tuple(_with_distinct_ids([*first, *_columns(dataset, rules), *rules]))


def _columns(dataset: str, rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield one existence rule per column that any rule reads, as severe as the most severe of those."""
    by_column: dict[str, list[Rule]] = {}
    for rule in rules:
        for name in rule.reads:
            by_column.setdefault(name, []).append(rule)
    for name, readers in by_column.items():
        severity = min((rule.severity for rule in readers), key=_RANK.__getitem__)
        where = next(rule.where for rule in readers if rule.severity == severity)
        yield ColumnExists(rule_id=f"{dataset}.column.{name}", columns=(name,), severity=severity, where=where)


def _with_distinct_ids(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Number the rules that the YAML states twice, so that an id names one of them."""
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.rule_id] += 1
        count = seen[rule.rule_id]
        yield rule if count == 1 else replace(rule, rule_id=f"{rule.rule_id}#{count}")
