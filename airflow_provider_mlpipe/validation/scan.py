"""Computing what all rules need, together, in a few narrow statements grouped by kind of fact.

Tier 0 reads parquet footers, tier 1 profiles the columns (`profile`), tier 2 counts what breaks a rule and only where
the profile leaves that open: a range whose extremes lie inside is settled, a key is grouped by its hash. Tier 3
fetches sample rows, only of rules that fail.
"""

from __future__ import annotations

import logging
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import did_you_mean
from airflow_provider_mlpipe.validation import drift, freshness, membership, ranges, samples, uniqueness
from airflow_provider_mlpipe.validation.findings import Finding, Sample
from airflow_provider_mlpipe.validation.profile import profile
from airflow_provider_mlpipe.validation.refusal import refusal
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
from airflow_provider_mlpipe.validation.wording import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
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
        self._frame = frame
        self._key = _key_columns(frame, rules)
        self.columns: dict[str, ColumnProfile] = profile(frame)
        self._counted = ranges.count_outside(frame, [rule for rule in rules if isinstance(rule, InRange)], self.columns)
        self._counted |= membership.count_strangers(frame, [rule for rule in rules if isinstance(rule, InSet)])
        self.findings: dict[str, Finding] = {rule.rule_id: self._guarded(rule) for rule in rules}

    def _guarded(self, rule: Rule) -> Finding:
        """Return the finding of a rule; what the engine refuses to compute is a finding, too."""
        import duckdb

        missing = [name for name in rule.columns if name not in self._frame.names]
        if missing and not isinstance(rule, ColumnExists):
            return Finding(skipped=f"the data has no {columns(missing)}")
        try:
            return self._find(rule)
        except duckdb.Error as error:
            logger.debug("rule %s could not run", rule.rule_id, exc_info=True)
            return Finding(problem=refusal(error))

    @singledispatchmethod
    def _find(self, rule: Rule) -> Finding:
        """Return what was found for a rule."""
        raise NotImplementedError(type(rule).__name__)

    @_find.register
    def _(self, rule: HasRows) -> Finding:  # noqa: ARG002 - dispatched on
        return Finding(observed=self._frame.rows, unexpected=int(self._frame.rows == 0))

    @_find.register
    def _(self, rule: ColumnExists) -> Finding:
        names = list(self._frame.names)
        if rule.column in self._frame.names:
            return Finding()
        return Finding(unexpected=1, detail=did_you_mean(rule.column, names).strip())

    @_find.register
    def _(self, rule: OfType) -> Finding:
        found = self._frame.logical(rule.column)
        return Finding(
            observed=rule.type if found == "null" else found, unexpected=int(found not in {rule.type, "null"})
        )

    @_find.register
    def _(self, rule: NotNull) -> Finding:
        nulls = self._nulls(rule.column)
        some: tuple[Sample, ...] = ()
        if _fails(nulls, self._frame.rows, rule.mostly):
            some = samples.offenders(self._frame, rule.column, self._key, self._frame.is_null(rule.column), [])
        return Finding(unexpected=nulls, samples=some)

    @_find.register
    def _(self, rule: Unique) -> Finding:
        return uniqueness.find(self._frame, rule)

    @_find.register
    def _(self, rule: InRange) -> Finding:
        return self._of_values(rule, samples.offenders, ranges.condition)

    @_find.register
    def _(self, rule: InSet) -> Finding:
        return self._of_values(rule, samples.strangers, membership.condition)

    def _of_values(
        self, rule: InRange | InSet, fetch: Callable[..., tuple[Sample, ...]], condition: Callable[..., Any]
    ) -> Finding:
        """Return the finding of a rule on single values, whose offenders are already counted."""
        counted = self._counted[rule.rule_id]
        if isinstance(counted, str):
            return Finding(problem=counted)
        nulls = self._nulls(rule.column)
        some: tuple[Sample, ...] = ()
        if _fails(counted, self._frame.rows - nulls, rule.mostly):
            some = fetch(self._frame, rule.column, self._key, *condition(self._frame, rule))
        return Finding(missing=nulls, unexpected=counted, samples=some)

    @_find.register
    def _(self, rule: Fresh) -> Finding:
        return freshness.find(self._frame, rule)

    @_find.register
    def _(self, rule: Drift) -> Finding:
        return drift.find(self._frame, rule)

    def _nulls(self, name: str) -> int:
        return self.columns[name].nulls or 0


def _fails(unexpected: int, of: int, mostly: float) -> bool:
    """Whether so many rows break a rule that it will fail, so that sample rows are worth a query."""
    return unexpected > 0 and (of - unexpected) / of < mostly


def _key_columns(frame: Frame, rules: Sequence[Rule]) -> tuple[str, ...]:
    """Return the columns that find a row again: those of the first unique key whose columns are all there."""
    keys = (rule.columns for rule in rules if isinstance(rule, Unique))
    return next((key for key in keys if all(name in frame.names for name in key)), ())
