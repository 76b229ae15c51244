"""The base of all rules: what each is called, where it stands, what it measures, finds, says and means to GX.

A family of rules is one module beside this one: its typed rules, how the YAML states them, the SQL that decides them
and the Great Expectations class that says the same. The scan, the suite and the judgement ask the rule, and never which
kind of rule it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_mlpipe.validation.wording import number, plural, share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_mlpipe.config import Severity
    from airflow_provider_mlpipe.config.rules import OnFailure
    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.history import PastRun
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["HOLISTIC", "STREAMING", "Expectation", "Rule", "Subject", "Surroundings", "broken_share"]

Expectation = tuple[str, dict[str, Any]]
"""The type of a GX expectation and its arguments."""

STREAMING = "streaming"
"""The family of all rules that stream."""

HOLISTIC = "holistic"
"""The family of those that keep all values at hand while they compute."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged, and what is already known of it when rules are asked.

    Attributes:
        frame: the rows.
        profiles: nulls, extremes and the like by column.
        key: the columns that find a row again; none if no unique key is declared.
    """

    frame: Frame
    profiles: Mapping[str, ColumnProfile] = field(default_factory=dict)
    key: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lies around the data that is judged.

    Attributes:
        past: returns so many of the latest earlier runs, the oldest first.
        related: the address of each other dataset that rules may refer to, fit to be shown.
    """

    past: Callable[[int], Sequence[PastRun]] = lambda _limit: ()
    related: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """One thing that must hold.

    Attributes:
        rule_id: ``dataset.kind.columns``; the same as long as the YAML says the same.
        columns: the columns that it is about.
        severity: ERROR blocks, WARNING is counted, INFO is reported.
        where: ``file:line`` of the YAML.
        owner: whom to ask.
        note: why the rule is there.
        on_failure: what becomes of rows that break it.
    """

    kind: ClassVar[str] = "rule"
    by_row: ClassVar[bool] = False
    """Whether it counts rows, so that a share of them can be said to break it."""
    streams: ClassVar[bool] = False
    """Whether its measures look at one row after the other, cheaply, and cannot fail: then they share statements with
    whatever else is asked of the column."""

    rule_id: str
    columns: tuple[str, ...]
    severity: Severity
    where: str
    owner: str | None = None
    note: str | None = None
    on_failure: OnFailure = "block"

    @property
    @abstractmethod
    def text(self) -> str:
        """The rule in plain words."""

    @property
    def column(self) -> str:
        """The column of a rule that has exactly one."""
        return self.columns[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """Every column without which the rule cannot be judged."""
        return self.columns

    @property
    def skips_without_columns(self) -> bool:
        """Whether it is skipped if a column that it reads is missing."""
        return True

    @property
    def details(self) -> dict[str, Any]:
        """What the suite's ``meta`` says of the rule beyond what all rules have."""
        return {}

    def bound(self, surroundings: Surroundings) -> Self:  # noqa: ARG002 - for those who override it
        """Return the rule with what it needs to know of earlier runs and other datasets."""
        return self

    @property
    def family(self) -> str:
        """What it is measured with: rules of one family share statements."""
        return STREAMING if self.streams else self.kind

    @abstractmethod
    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""

    def problem(self, frame: Frame) -> str:  # noqa: ARG002 - for those who override it
        """Return why the rule makes no sense for such columns, or nothing."""
        return ""

    def measures(self, subject: Subject) -> Mapping[str, Measure]:  # noqa: ARG002
        """Return the numbers that it needs, by a name of its own; the scan computes those of many rules together."""
        return {}

    def later(self, subject: Subject, measured: Mapping[str, Any]) -> Mapping[str, Measure]:  # noqa: ARG002
        """Return what else it needs, now that `measured` is known, by names beside those; it may be left unanswered."""
        return {}

    @abstractmethod
    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return what the data says, from the numbers asked for in `measures` and `later`."""

    @abstractmethod
    def found(self, finding: Finding, rows: int) -> str:
        """Return what was found as a sentence, or nothing where there is nothing to say.

        Args:
            finding: what was found.
            rows: how many the rule looked at.
        """

    def answers(self, finding: Finding) -> Mapping[str, Any]:  # noqa: ARG002
        """Return GX's metrics beyond counts of rows, by their names, as its expectation asks for them."""
        return {}

    def sample_value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as GX lists an unexpected value
        """Return a sample as GX's lists of unexpected values hold it."""
        return values[self.column]


def broken_share(finding: Finding, rows: int, noun: str, predicate: tuple[str, str]) -> str:
    """Return ``3 of 20 values (15 %) are not.``, or nothing if no row breaks the rule."""
    if not finding.unexpected:
        return ""
    of = f"({share(finding.unexpected / rows)})" if rows else ""
    verb = predicate[0 if finding.unexpected == 1 else 1]
    return f"{number(finding.unexpected)} of {plural(rows, noun)} {of} {verb}."
