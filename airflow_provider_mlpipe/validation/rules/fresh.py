"""Freshness: how old the newest value may be at the run's as_of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation import freshness
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
from airflow_provider_mlpipe.validation.wording import column, number, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["Fresh", "stated"]


@dataclass(frozen=True, kw_only=True)
class Fresh(Rule):
    """The newest value is at most `max_age_hours` older than `as_of`, and at most `max_future_hours` newer."""

    kind: ClassVar[str] = "fresh"
    streams: ClassVar[bool] = True
    as_of: datetime
    max_age_hours: float
    max_future_hours: float | None = None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        future = "" if self.max_future_hours is None else f" and at most {number(self.max_future_hours)} h newer"
        return (
            f"The newest {column(self.column)} is at most {number(self.max_age_hours)} h older{future} "
            f"than {when(self.as_of)}."
        )

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_column_to_be_fresh", {
            "column": self.column,
            "reference_time": self.as_of.isoformat(),
            "max_age_hours": self.max_age_hours,
            "max_future_hours": self.max_future_hours,
        }

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return what tells the newest instant."""
        return freshness.measures(subject.frame, self)

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the newest instant."""
        return freshness.find(subject.frame, self, measured)

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say of when the newest value is."""
        extra = f" {finding.detail}." if finding.detail else ""
        if finding.observed is None:
            return f"There is no value.{extra}"
        newest = instant(finding.observed)
        age = freshness.hours_before(newest, self.as_of)
        relation = f"{age:,.1f} h older" if age >= 0 else f"{-age:,.1f} h newer"
        return f"It is of {when(newest)}, {relation}.{extra}"

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the newest instant."""
        return {"column.mlpipe_newest": finding.observed}


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rule of ``freshness``."""
    if (fresh := statements.model.freshness) is not None:
        name = fresh.timestamp_column
        yield Fresh(
            as_of=statements.as_of, max_age_hours=fresh.max_age_hours, max_future_hours=fresh.max_future_hours,
            **statements.common(fresh, f"fresh.{name}", [name], "freshness"),
        )  # fmt: skip
