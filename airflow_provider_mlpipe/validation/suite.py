"""Rules as a Great Expectations suite: GX's own classes where they work, ours where it has none.

Importing this module imports Great Expectations: only `stage` does, and only while it validates.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import great_expectations.expectations as gxe
from great_expectations.core.expectation_suite import ExpectationSuite

from airflow_provider_mlpipe.validation.expectations import (
    ExpectColumnDriftToBeAtMost,
    ExpectColumnLogicalTypeToBe,
    ExpectColumnToBeFresh,
)
from airflow_provider_mlpipe.validation.rules import (
    ColumnExists,
    Drift,
    Fresh,
    HasRows,
    InRange,
    InSet,
    NotNull,
    OfType,
    Rule,
    Unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["expectation_of", "suite_of"]

_SEVERITY = {"ERROR": "critical", "WARNING": "warning", "INFO": "info"}


def suite_of(name: str, rules: Iterable[Rule]) -> Any:  # noqa: ANN401 - GX ships no types for us
    """Return the suite of a dataset's rules."""
    return ExpectationSuite(name=name, expectations=[expectation_of(rule) for rule in rules])


def expectation_of(rule: Rule) -> Any:  # noqa: ANN401
    """Return the expectation that says what `rule` says, with its id and YAML line in ``meta``."""
    kind, arguments = _expectation(rule)
    facts = {"rule_id": rule.rule_id, "type": rule.kind, "where": rule.where, "owner": rule.owner, "note": rule.note}
    meta = {"mlpipe": {key: value for key, value in facts.items() if value is not None}}
    return kind(severity=_SEVERITY[rule.severity], notes=rule.text, meta=meta, **arguments)


@singledispatch
def _expectation(rule: Rule) -> tuple[Any, dict[str, Any]]:
    """Return the class of the expectation and its arguments."""
    raise NotImplementedError(type(rule).__name__)


@_expectation.register
def _(rule: HasRows) -> tuple[Any, dict[str, Any]]:  # noqa: ARG001
    return gxe.ExpectTableRowCountToBeBetween, {"min_value": 1}


@_expectation.register
def _(rule: ColumnExists) -> tuple[Any, dict[str, Any]]:
    return gxe.ExpectColumnToExist, {"column": rule.column}


@_expectation.register
def _(rule: OfType) -> tuple[Any, dict[str, Any]]:
    return ExpectColumnLogicalTypeToBe, {"column": rule.column, "logical_type": rule.type}


@_expectation.register
def _(rule: NotNull) -> tuple[Any, dict[str, Any]]:
    return gxe.ExpectColumnValuesToNotBeNull, {"column": rule.column, "mostly": rule.mostly}


@_expectation.register
def _(rule: Unique) -> tuple[Any, dict[str, Any]]:
    if len(rule.columns) == 1:
        return gxe.ExpectColumnValuesToBeUnique, {"column": rule.column}
    arguments = {"column_list": list(rule.columns), "ignore_row_if": "any_value_is_missing"}
    return gxe.ExpectCompoundColumnsToBeUnique, arguments


@_expectation.register
def _(rule: InRange) -> tuple[Any, dict[str, Any]]:
    arguments = {"column": rule.column, "min_value": rule.low, "max_value": rule.high, "mostly": rule.mostly}
    return gxe.ExpectColumnValuesToBeBetween, arguments


@_expectation.register
def _(rule: InSet) -> tuple[Any, dict[str, Any]]:
    arguments = {"column": rule.column, "value_set": _plain(rule.values), "mostly": rule.mostly}
    return gxe.ExpectColumnValuesToBeInSet, arguments


@_expectation.register
def _(rule: Fresh) -> tuple[Any, dict[str, Any]]:
    return ExpectColumnToBeFresh, {
        "column": rule.column,
        "reference_time": rule.as_of.isoformat(),
        "max_age_hours": rule.max_age_hours,
        "max_future_hours": rule.max_future_hours,
    }


@_expectation.register
def _(rule: Drift) -> tuple[Any, dict[str, Any]]:
    return ExpectColumnDriftToBeAtMost, {
        "column": rule.column,
        "method": rule.method,
        "threshold": rule.threshold,
        "reference": {key: _plain(values) for key, values in rule.reference.as_dict().items()},
        "min_rows": rule.min_rows,
    }


def _plain(values: Iterable[Any]) -> list[Any]:
    """Return values as JSON has them: YAML reads a bare date as one."""
    return [value.isoformat() if isinstance(value, (date, datetime)) else value for value in values]
