"""The base of rules on rows: which rows count, which of those break the rule, how many that are, and a few of them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_mlpipe.validation import samples
from airflow_provider_mlpipe.validation.findings import Finding, Sample
from airflow_provider_mlpipe.validation.measures import all_of, count, negated
from airflow_provider_mlpipe.validation.rules.rule import Rule, Subject, broken_share
from airflow_provider_mlpipe.validation.wording import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.row_expression import RowExpression

__all__ = ["Conditional", "NullsRule", "RowRule"]

ROW_METRICS = ("table.mlpipe_rows_holding", "table.mlpipe_rows_adding_up", "table.mlpipe_rows_referring")
"""The metrics of our own expectations on rows: one set of counts each."""


@dataclass(frozen=True, kw_only=True)
class Conditional(Rule):
    """A rule that may be about some of the rows only.

    Attributes:
        condition: the rows that it is about; all if None. Rows where it is null are not among them.
    """

    condition: RowExpression | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Every column without which the rule cannot be judged."""
        return tuple(dict.fromkeys([*self.columns, *(self.condition.columns if self.condition else ())]))

    @property
    def details(self) -> dict[str, Any]:
        """The condition as the YAML has it."""
        return {"condition": self.condition.text} if self.condition else {}

    @property
    def where_clause(self) -> str:
        """The condition in words."""
        return f", where {self.condition.text}" if self.condition else ""

    def selected(self, frame: Frame) -> Condition | None:
        """Return the SQL condition of a row that the rule is about; None if all are."""
        return self.condition.condition(frame) if self.condition else None


@dataclass(frozen=True, kw_only=True)
class RowRule(Conditional):
    """A rule that every row keeps or breaks by itself.

    Attributes:
        mostly: the share of the rows that must keep it.
    """

    by_row: ClassVar[bool] = True
    mostly: float = 1.0

    @property
    def tail(self) -> str:
        """How many rows, and which, in words: the end of the rule's sentence."""
        about = "" if self.mostly == 1 else f" in at least {share(self.mostly)} of its values"
        return f"{about}{self.where_clause}"

    @property
    def statement(self) -> str | None:
        """What must hold of a row, as SQL over its own column names; None if one row cannot tell.

        It stands in for GX's own expectation where GX cannot express the condition.
        """
        return None

    @property
    def nulls_fail(self) -> bool:
        """Whether a row for which the statement is null breaks the rule, instead of not counting."""
        return False

    def missing(self, frame: Frame) -> Condition | None:
        """Return the SQL condition of a row that does not count, for want of a value; None if every row counts."""
        return " OR ".join(frame.is_null(name) for name in self.columns), []

    @property
    def missing_is_profiled(self) -> bool:
        """Whether the rows that do not count are those in which the profile saw a null."""
        return self.condition is None and len(self.columns) == 1

    @abstractmethod
    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row that breaks the rule; it need not care for missing values."""

    def settled(self, subject: Subject) -> bool:  # noqa: ARG002
        """Whether what is known of the columns already says that no row breaks the rule."""
        return False

    def in_sql(self, frame: Frame) -> bool:  # noqa: ARG002 - for those who override it
        """Whether SQL can tell the rows that break the rule."""
        return True

    def offending(self, frame: Frame) -> Condition:
        """Return the SQL condition that is true of exactly the rows that count and break the rule."""
        return all_of(self.selected(frame), negated(self.missing(frame)), self.broken(frame))

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return the counts that are not known yet."""
        frame, wanted = subject.frame, {}
        selected, missing = self.selected(frame), self.missing(frame)
        if selected is not None:
            wanted["selected"] = count(selected)
        if missing is not None and not self.missing_is_profiled:
            wanted["missing"] = count(all_of(selected, missing))
        if not self.settled(subject):
            wanted["unexpected"] = count(self.offending(frame))
        return wanted

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the counts, and some rows if there are too many."""
        selected, missing = self._counts(subject, measured)
        unexpected = measured.get("unexpected", 0)
        some: tuple[Sample, ...] = ()
        if (listed := measured.get("samples")) is not None:
            some = samples.read(listed, self.reads, subject.key)
        elif self._fails(selected, missing, unexpected):
            some = self.samples(subject)
        return Finding(selected=selected, missing=missing, unexpected=unexpected, samples=some)

    def later(self, subject: Subject, measured: Mapping[str, Any]) -> Mapping[str, Measure]:
        """Return some of the rows that break the rule, if it fails and they are nothing special."""
        if type(self).samples is not RowRule.samples or not (unexpected := measured.get("unexpected")):
            return {}
        selected, missing = self._counts(subject, measured)
        if not self._fails(selected, missing, unexpected):
            return {}
        return {"samples": samples.few(subject.frame, self.reads, subject.key, self.offending(subject.frame))}

    def _counts(self, subject: Subject, measured: Mapping[str, Any]) -> tuple[int, int]:
        """Return how many rows the rule is about, and how many of them do not count."""
        missing = measured.get("missing")
        if missing is None:
            missing = 0 if self.missing(subject.frame) is None else subject.profiles[self.column].nulls or 0
        return measured.get("selected", subject.frame.rows), missing

    def _fails(self, selected: int, missing: int, unexpected: int) -> bool:
        """Whether more rows break it than may."""
        return bool(unexpected) and (selected - missing - unexpected) / (selected - missing) < self.mostly

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """Return some of the rows that break the rule."""
        frame = subject.frame
        sql, parameters = samples.few(frame, self.reads, subject.key, self.offending(frame))
        return samples.read(frame.row([sql], parameters)[0], self.reads, subject.key)

    def found(self, finding: Finding, rows: int) -> str:
        """Return how many rows break the rule."""
        return broken_share(finding, rows, "value", ("is not", "are not"))

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the counts for our own expectations on rows; GX's own ask for them one by one."""
        return dict.fromkeys(ROW_METRICS, finding.counted())


@dataclass(frozen=True, kw_only=True)
class NullsRule(RowRule):
    """A rule on rows that says what becomes of those about which nulls leave it open.

    Attributes:
        nulls: ``skip``: such a row does not count; ``fail``: it breaks the rule.
    """

    nulls: Literal["skip", "fail"] = "skip"

    @property
    def nulls_fail(self) -> bool:
        """Whether such a row breaks the rule."""
        return self.nulls == "fail"
