"""Rules as a Great Expectations suite: GX's own classes where they work, ours where it has none.

Importing this module imports Great Expectations: only `stage` does, and only while it validates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import great_expectations.expectations  # noqa: F401 - registers GX's own
from great_expectations.core.expectation_suite import ExpectationSuite
from great_expectations.expectations.registry import get_expectation_impl

import airflow_provider_mlpipe.validation.expectations  # noqa: F401 - registers ours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["expectation_of", "suite_of"]

_SEVERITY = {"ERROR": "critical", "WARNING": "warning", "INFO": "info"}


def suite_of(name: str, rules: Iterable[Rule]) -> Any:  # noqa: ANN401 - GX ships no types for us
    """Return the suite of a dataset's rules."""
    return ExpectationSuite(name=name, expectations=[expectation_of(rule) for rule in rules])


def expectation_of(rule: Rule) -> Any:  # noqa: ANN401
    """Return the expectation that says what `rule` says, with its id and YAML line in ``meta``."""
    kind, arguments = rule.expectation()
    facts = {"rule_id": rule.rule_id, "type": rule.kind, "where": rule.where, "owner": rule.owner, "note": rule.note}
    facts |= rule.details
    meta = {"mlpipe": {key: value for key, value in facts.items() if value is not None}}
    return get_expectation_impl(kind)(severity=_SEVERITY[rule.severity], notes=rule.text, meta=meta, **arguments)
