"""Rules as a Great Expectations suite: GX's own classes where they work, ours where it has none.

Importing this module imports Great Expectations: only `stage` does, and only while it validates.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import great_expectations.expectations  # noqa: F401 - registers GX's own
from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.core.expectation_suite import ExpectationSuite
from great_expectations.expectations.registry import get_expectation_impl
from great_expectations.expectations.row_conditions import AndCondition, Column, NullityCondition, OrCondition

import airflow_provider_mlpipe.validation.expectations  # noqa: F401 - registers ours
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.row_condition import row_condition
from airflow_provider_mlpipe.validation.rules import RowRule
from airflow_provider_mlpipe.validation.rules.rows import Conditional

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["expectation_of", "suite_of"]

_SEVERITY = {"ERROR": "critical", "WARNING": "warning", "INFO": "info"}


def suite_of(name: str, rules: Iterable[Rule]) -> Any:  # noqa: ANN401 - GX ships no types for us
    """Return the suite of a dataset's rules."""
    return ExpectationSuite(name=name, expectations=_apart([expectation_of(rule) for rule in rules]))


def _apart(expectations: list[Any]) -> list[Any]:
    """Keep several quantiles of one column apart for stock GX, which computes one and takes it for all of them.

    It names what it has computed by column, rows and interpolation, and forgets the quantile (1.24.1). So the rows are
    named differently each time: those that have a value, which are the ones that count, said once, twice, and so on.
    """
    seen: Counter[str] = Counter()
    for each in expectations:
        if each.expectation_type != "expect_column_quantile_values_to_be_between":
            continue
        name = f"{each.column} {each.row_condition!r}"
        if seen[name] and not isinstance(each.row_condition, OrCondition):
            given = [] if each.row_condition is None else [each.row_condition]
            present = [NullityCondition(column=Column(each.column), is_null=False)] * (seen[name] + 1)
            each.row_condition = AndCondition(conditions=[*given, *present])
        seen[name] += 1
    return expectations


def expectation_of(rule: Rule) -> Any:  # noqa: ANN401
    """Return the expectation that says what `rule` says, with its id and YAML line in ``meta``."""
    kind, arguments, conversion = _conditioned(rule)
    facts = {"rule_id": rule.rule_id, "type": rule.kind, "where": rule.where, "owner": rule.owner, "note": rule.note}
    facts |= {**rule.details, **conversion}
    meta = {"mlpipe": {key: value for key, value in facts.items() if value is not None}}
    try:
        return get_expectation_impl(kind)(severity=_SEVERITY[rule.severity], notes=rule.text, meta=meta, **arguments)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["expectations", *map(str, first["loc"])])
        raise ConfigError.invalid(where=rule.where, key=key, problem=first["msg"]) from error


def _conditioned(rule: Rule) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the type and arguments of the expectation with the rule's condition, and what to say of it in ``meta``.

    Our own expectations take the condition as it is. GX's own take it as GX's condition objects; where GX has no words
    for it, the rule is said in SQL as a whole. Of a conditioned key or aggregate that GX cannot express, only ``meta``
    tells the condition: our verdict is right, GX alone would look at all rows.
    """
    kind, arguments = rule.expectation()
    if not isinstance(rule, Conditional) or rule.condition is None or "row_condition" in arguments:
        return kind, arguments, {}
    if "condition" in get_expectation_impl(kind).__fields__:
        return kind, {**arguments, "condition": rule.condition.text}, {}
    found = row_condition(rule.condition)
    if found is not None:
        return kind, {**arguments, "row_condition": found}, {}
    if isinstance(rule, RowRule) and rule.statement is not None:
        nulls = "fail" if rule.nulls_fail else "skip"
        said = {"rule": rule.statement, "condition": rule.condition.text, "nulls": nulls, "mostly": rule.mostly}
        return "expect_rows_to_hold", said, {"instead_of": kind}
    return kind, arguments, {"gx_ignores_condition": True}
