"""From a finding and its judgement to a result in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.validation.verdict import RuleResult

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import Severity
    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.rules import Rule
    from airflow_provider_mlpipe.validation.verdict import Status

__all__ = ["outcome"]


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
        found = rule.found(finding, finding.checked(rows))
    by_row = rule.by_row and status in {"passed", "failed"}
    return RuleResult(
        rule_id=rule.rule_id,
        kind=rule.kind,
        columns=rule.columns,
        severity=severity,
        status=status,
        text=rule.text,
        found=found,
        where=rule.where,
        checked=finding.checked(rows) if by_row else 0,
        unexpected=finding.unexpected if by_row else 0,
        samples=finding.samples,
        observed=finding.observed,
        shape=finding.shape,
        owner=rule.owner,
        note=rule.note,
        on_failure=rule.on_failure,
    )
