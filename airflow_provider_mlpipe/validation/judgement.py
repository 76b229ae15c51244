"""Judging: each GX expectation gets the numbers of its rule and says itself whether they are good enough.

Importing this module imports Great Expectations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from great_expectations import __version__ as gx_version
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.gx.remembering import Judge
from airflow_provider_mlpipe.validation.outcome import outcome
from airflow_provider_mlpipe.validation.suite import suite_of
from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.rules import Rule
    from airflow_provider_mlpipe.validation.verdict import RuleResult

__all__ = ["Judgement", "judge", "judge_all"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What became of all rules, in our words and in GX's.

    Attributes:
        name: of the suite.
        suite: the suite as JSON-ready values.
        results: one per rule, in the order of the rules.
        evaluated: GX's results; none for rules that were skipped.
    """

    name: str
    suite: dict[str, Any]
    results: tuple[RuleResult, ...]
    evaluated: tuple[Any, ...]

    def document(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Return the ExpectationSuiteValidationResult as JSON-ready values, with `meta` in its ``meta``."""
        good = sum(bool(result.success) for result in self.evaluated)
        whole = ExpectationSuiteValidationResult(
            success=good == len(self.evaluated),
            results=list(self.evaluated),
            suite_name=self.name,
            statistics={
                "evaluated_expectations": len(self.evaluated),
                "successful_expectations": good,
                "unsuccessful_expectations": len(self.evaluated) - good,
                "success_percent": 100 * good / len(self.evaluated) if self.evaluated else None,
            },
            meta={"great_expectations_version": gx_version, **meta},
        )
        document: dict[str, Any] = whole.to_json_dict()
        return document


class _Metrics(dict[Any, Any]):
    """Answers every metric that an expectation asks for, by the metric's name, from what the scan found for its rule.

    GX looks metrics up by ``(name, domain, arguments)``; as each rule has an instance of its own, the name suffices.
    """

    def __init__(self, frame: Frame, rule: Rule, finding: Finding) -> None:
        super().__init__()
        self._rule, self._finding = rule, finding
        self._answers = {
            "table.columns": list(frame.schema.names),
            "table.column_count": len(frame.schema.names),
            "table.row_count": frame.rows if finding.selected is None else finding.selected,
            "filtered_row_count": finding.checked(frame.rows),
            "unexpected_count": finding.unexpected,
            "unexpected_values": [rule.sample_value(sample.values) for sample in finding.samples],
            "unexpected_index_list": [{**sample.key, **sample.values} for sample in finding.samples],
            "unexpected_index_query": None,
        }
        self._aggregates = rule.answers(finding)

    def __contains__(self, metric: object) -> bool:
        return True

    def __missing__(self, metric: tuple[str, Any, Any]) -> Any:  # noqa: ANN401
        name = metric[0]
        if name in self._aggregates:
            return self._aggregates[name]
        if name.startswith("column_values.nonnull.") and self._rule.kind != "not_null":
            return self._finding.missing
        return self._answers[name if name.startswith("table.") else name.rpartition(".")[2]]


def judge(
    ask: Judge,
    expectation: Any,  # noqa: ANN401
    frame: Frame,
    rule: Rule,
    finding: Finding,
) -> Any:  # noqa: ANN401
    """Return GX's ExpectationValidationResult of one rule."""
    if finding.result is not None:
        return finding.result
    if finding.problem:
        return ExpectationValidationResult(
            success=False,
            expectation_config=expectation.configuration,
            exception_info={
                "raised_exception": True,
                "exception_traceback": "",
                "exception_message": finding.problem,
            },
        )
    form: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": MAX_SAMPLES}
    key = list(finding.samples[0].key) if finding.samples else []
    if key:
        form["unexpected_index_column_names"] = key
    return ask(expectation, _Metrics(frame, rule, finding), form)


def judge_all(frame: Frame, rules: Sequence[Rule], findings: Mapping[str, Finding], name: str) -> Judgement:
    """Return the judgement of every rule on what was found for it.

    Args:
        frame: the rows.
        rules: the rules.
        findings: what the scan found, by rule id.
        name: of the suite.
    """
    suite = suite_of(name, rules)
    evaluated, results, ask = [], [], Judge()
    for rule, expectation in zip(rules, suite.expectations, strict=True):
        finding = findings[rule.rule_id]
        held = False
        if not finding.skipped:
            try:
                evaluated.append(judge(ask, expectation, frame, rule, finding))
            except (TypeError, ValueError, ArithmeticError, LookupError) as error:
                # A bound that the column's values cannot be compared with, which GX notices only now.
                finding = Finding(problem=f"Great Expectations says: {str(error).partition(chr(10))[0].rstrip('.')}")
                evaluated.append(judge(ask, expectation, frame, rule, finding))
            held = bool(evaluated[-1].success)
        results.append(outcome(rule, finding, frame.rows, held=held))
    return Judgement(name=name, suite=suite.to_json_dict(), results=tuple(results), evaluated=tuple(evaluated))
