"""Computing what all rules need, together, in a few statements.

Tier 0 reads parquet footers (`profile.known`). Tier 1 measures what they do not say of the columns and what the rules
ask for (`Rule.measures`), side by side, so that a column is decoded once; a range whose extremes lie inside asks for
nothing. What does not stream (a median, a look into a list, an expression) shares statements with its own family.
Tier 2 measures what rules ask for once that is known (`Rule.later`): sample rows, of rules that fail only. Tier 3 is
what a rule fetches by itself (`Rule.find`): a key grouped by its hash, a comparison with another dataset.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.measures import MEASURES_PER_STATEMENT, Refused, measure
from airflow_provider_mlpipe.validation.profile import asked, completed, known
from airflow_provider_mlpipe.validation.refusal import refusal
from airflow_provider_mlpipe.validation.rules import Rule, Subject, Unique
from airflow_provider_mlpipe.validation.rules.rule import HOLISTIC, STREAMING
from airflow_provider_mlpipe.validation.wording import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["Scan"]

logger = logging.getLogger(__name__)

Asked = dict[tuple[str, str], "Measure"]
"""Measures by rule id, or by column, and name."""

_AT_A_TIME = {STREAMING: 64, HOLISTIC: 4}
"""How many measures of a family share a statement, if not as many as usual."""

FEW_VALUES = 4_000_000
"""Holistic measures that hold no more values than that between them are measured with those that stream."""


class Scan:
    """One pass over a frame for a list of rules.

    Attributes:
        columns: the profile of every column.
        findings: what was found, by rule id.
    """

    def __init__(self, frame: Frame, rules: Sequence[Rule]) -> None:
        footers = known(frame)
        subject = Subject(frame=frame, profiles=footers, key=_key_columns(frame, rules))
        hindered = {rule.rule_id: reason for rule in rules if (reason := _hindrance(frame, rule))}
        able = [rule for rule in rules if rule.rule_id not in hindered]
        facts = asked(frame, footers, {rule.column for rule in able if _is_key(rule)})
        measured, answers = _measure(subject, able, facts)
        self.columns: dict[str, ColumnProfile] = completed(frame, footers, answers)
        self._subject = replace(subject, profiles=self.columns)
        self._measure_later(able, measured)
        found = {rule.rule_id: self._find(rule, measured[rule.rule_id]) for rule in able}
        self.findings: dict[str, Finding] = {rule.rule_id: (hindered | found)[rule.rule_id] for rule in rules}

    def _measure_later(self, rules: Sequence[Rule], measured: Mapping[str, dict[str, Any]]) -> None:
        """Add what rules ask for now; what is refused here is left to the rule, which can do without."""
        wanted: Asked = {}
        for rule in rules:
            if not _refused(measured[rule.rule_id]):
                more = rule.later(self._subject, measured[rule.rule_id])
                wanted |= {(rule.rule_id, name): each for name, each in more.items()}
        for (rule_id, name), value in measure(self._subject.frame, wanted).items():
            if not isinstance(value, Refused):
                measured[rule_id][name] = value

    def _find(self, rule: Rule, measured: dict[str, Any]) -> Finding:
        """Return the finding of a rule; what the engine refuses to compute is a finding, too."""
        if refused := _refused(measured):
            return Finding(problem=str(refused[0]))
        try:
            return rule.find(self._subject, measured)
        except Exception as error:
            said = refusal(error)
            logger.debug("rule %s could not run", rule.rule_id, exc_info=True)
            return Finding(problem=said)


def _measure(
    subject: Subject, rules: Sequence[Rule], facts: Asked
) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], Any]]:
    """Return by rule id what each rule asked for, and the facts of columns.

    Args:
        subject: what is known.
        rules: that ask.
        facts: what to measure of columns beside that.
    """
    frame = subject.frame
    streaming = {("fact", *name): (frame.names[name[0]], each) for name, each in facts.items()}
    by_family: dict[str, dict[tuple[str, str, str], Measure]] = {STREAMING: {}}
    holistic = sum(rule.family == HOLISTIC for rule in rules)
    stream = {STREAMING, HOLISTIC} if holistic * frame.rows <= FEW_VALUES else {STREAMING}
    for rule in rules:
        for name, each in rule.measures(subject).items():
            if rule.family in stream:
                streaming["rule", rule.rule_id, name] = (frame.names[rule.columns[0]], each)
            else:
                by_family.setdefault(rule.family, {})["rule", rule.rule_id, name] = each
    in_order = sorted(streaming.items(), key=lambda item: item[1][0])
    by_family[STREAMING] = {name: each for name, (_, each) in in_order}
    found: dict[str, dict[str, Any]] = {rule.rule_id: {} for rule in rules}
    answers: dict[tuple[str, str], Any] = {}
    for family, wanted in by_family.items():
        for (whose, one, name), value in measure(frame, wanted, _AT_A_TIME.get(family, MEASURES_PER_STATEMENT)).items():
            if whose == "fact":
                answers[one, name] = value
            else:
                found[one][name] = value
    return found, answers


def _refused(measured: Mapping[str, Any]) -> list[Refused]:
    return [value for value in measured.values() if isinstance(value, Refused)]


def _is_key(rule: Rule) -> bool:
    return isinstance(rule, Unique) and len(rule.columns) == 1 and not rule.condition


def _hindrance(frame: Frame, rule: Rule) -> Finding | None:
    """Return why a rule is not judged at all: columns that are missing or of a type that it cannot be about."""
    missing = [name for name in rule.reads if name not in frame.names]
    if missing and rule.skips_without_columns:
        return Finding(skipped=f"the data has no {columns(missing)}")
    problem = rule.problem(frame)
    return Finding(problem=problem) if problem else None


def _key_columns(frame: Frame, rules: Sequence[Rule]) -> tuple[str, ...]:
    """Return the columns that find a row again: those of the first unique key whose columns are all there."""
    keys = (rule.columns for rule in rules if isinstance(rule, Unique) and not rule.condition)
    return next((key for key in keys if all(name in frame.names for name in key)), ())
