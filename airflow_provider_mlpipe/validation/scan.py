"""Computing what all rules need, together, in a few narrow statements grouped by family of rules.

Tier 0 reads parquet footers, tier 1 profiles the columns (`profile`), tier 2 measures what the rules still ask for
(`Rule.measures`), many rules of a family to a statement: a range whose extremes lie inside asks for nothing. Tier 3 is
what a rule fetches by itself (`Rule.find`): a key grouped by its hash, a comparison with another dataset, sample rows;
the latter only of rules that fail.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.measures import Refused, measure
from airflow_provider_mlpipe.validation.profile import profile
from airflow_provider_mlpipe.validation.refusal import refusal
from airflow_provider_mlpipe.validation.rules import Rule, Subject, Unique
from airflow_provider_mlpipe.validation.wording import columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["Scan"]

logger = logging.getLogger(__name__)


class Scan:
    """One pass over a frame for a list of rules.

    Attributes:
        columns: the profile of every column.
        findings: what was found, by rule id.
    """

    def __init__(self, frame: Frame, rules: Sequence[Rule]) -> None:
        self.columns: dict[str, ColumnProfile] = profile(frame)
        self._subject = Subject(frame=frame, profiles=self.columns, key=_key_columns(frame, rules))
        hindered = {rule.rule_id: reason for rule in rules if (reason := _hindrance(frame, rule))}
        able = [rule for rule in rules if rule.rule_id not in hindered]
        measured = self._measure(able)
        found = {rule.rule_id: self._find(rule, measured[rule.rule_id]) for rule in able}
        self.findings: dict[str, Finding] = {rule.rule_id: (hindered | found)[rule.rule_id] for rule in rules}

    def _measure(self, rules: Iterable[Rule]) -> dict[str, dict[str, Any]]:
        """Return by rule id what each rule asked for, measured together with others of its family."""
        found: dict[str, dict[str, Any]] = {rule.rule_id: {} for rule in rules}
        by_family: dict[str, dict[tuple[str, str], Measure]] = {}
        for rule in rules:
            asked = rule.measures(self._subject)
            by_family.setdefault(rule.family, {}).update({(rule.rule_id, name): each for name, each in asked.items()})
        for wanted in by_family.values():
            for (rule_id, name), value in measure(self._subject.frame, wanted).items():
                found[rule_id][name] = value
        return found

    def _find(self, rule: Rule, measured: dict[str, Any]) -> Finding:
        """Return the finding of a rule; what the engine refuses to compute is a finding, too."""
        import duckdb

        refused = [value for value in measured.values() if isinstance(value, Refused)]
        if refused:
            return Finding(problem=str(refused[0]))
        try:
            return rule.find(self._subject, measured)
        except duckdb.Error as error:
            logger.debug("rule %s could not run", rule.rule_id, exc_info=True)
            return Finding(problem=refusal(error))


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
