"""From a finding and its judgement to a result in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.freshness import hours_before
from airflow_provider_mlpipe.validation.rules import Drift, Fresh, NotNull, OfType, Rule, Unique
from airflow_provider_mlpipe.validation.verdict import RuleResult
from airflow_provider_mlpipe.validation.wording import number, plural, share, when

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import Severity
    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.verdict import Status

__all__ = ["outcome"]

_BY_ROW = frozenset({"not_null", "unique", "range", "in_set"})


def outcome(rule: Rule, finding: Finding, rows: int, *, held: bool) -> RuleResult:
    """Return what became of a rule.

    Args:
        rule: the rule.
        finding: what the scan found.
        rows: of the table.
        held: what the expectation said; of no meaning for a rule that was skipped or could not run.
    """
    status: Status = "passed" if held else "failed"
    severity: Severity = rule.severity
    if finding.skipped:
        status, found = "skipped", f"Skipped: {finding.skipped}."
    elif finding.problem:
        # A rule that says nothing protects nothing: it blocks until the rule or the data is repaired.
        status, severity, found = "error", "ERROR", f"It cannot run: {finding.problem}."
    else:
        found = _found(rule, finding, rows)
    by_row = rule.kind in _BY_ROW and status in {"passed", "failed"}
    return RuleResult(
        rule_id=rule.rule_id,
        kind=rule.kind,
        columns=rule.columns,
        severity=severity,
        status=status,
        text=rule.text,
        found=found,
        where=rule.where,
        checked=rows - finding.missing if by_row else 0,
        unexpected=finding.unexpected if by_row else 0,
        samples=finding.samples,
        observed=finding.observed,
        shape=finding.shape,
        owner=rule.owner,
        note=rule.note,
    )


def _found(rule: Rule, finding: Finding, rows: int) -> str:
    """Return what was found, as a sentence."""
    if rule.kind in _BY_ROW:
        return _count(rule, finding, rows - finding.missing)
    if isinstance(rule, Fresh):
        return _age(rule, finding)
    if isinstance(rule, Drift):
        return f"It is {number(float(finding.observed))} over {finding.detail}."
    if isinstance(rule, OfType):
        return f"It is of type {finding.observed}." if finding.unexpected else ""
    if rule.kind == "rows":
        return "There is none." if finding.unexpected else ""
    return f"It is missing. {finding.detail}".rstrip() if finding.unexpected else ""


def _count(rule: Rule, finding: Finding, checked: int) -> str:
    if not finding.unexpected:
        return ""
    one = finding.unexpected == 1
    of = f"({share(finding.unexpected / checked)})" if checked else ""
    if isinstance(rule, NotNull):
        return f"{number(finding.unexpected)} of {plural(checked, 'row')} {of} {'is' if one else 'are'} empty."
    if isinstance(rule, Unique):
        keys = plural(int(finding.observed), "duplicated key")
        return f"{number(finding.unexpected)} of {plural(checked, 'row')} {of} share a key with another: {keys}."
    return f"{number(finding.unexpected)} of {plural(checked, 'value')} {of} {'is' if one else 'are'} not."


def _age(rule: Fresh, finding: Finding) -> str:
    extra = f" {finding.detail}." if finding.detail else ""
    if finding.observed is None:
        return f"There is no value.{extra}"
    newest = instant(finding.observed)
    age = hours_before(newest, rule.as_of)
    relation = f"{age:,.1f} h older" if age >= 0 else f"{-age:,.1f} h newer"
    return f"It is of {when(newest)}, {relation}.{extra}"
