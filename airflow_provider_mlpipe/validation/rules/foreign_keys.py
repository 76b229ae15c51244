"""Referential integrity: every value of a column stands in a column of another dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_mlpipe.errors import did_you_mean
from airflow_provider_mlpipe.validation import samples
from airflow_provider_mlpipe.validation.measures import all_of, negated
from airflow_provider_mlpipe.validation.rules.comparisons import comparable
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.findings import Finding, Sample
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, Surroundings
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["RefersTo", "stated"]

_TIMES = {"timestamp", "date"}


@dataclass(frozen=True, kw_only=True)
class RefersTo(RowRule):
    """Every value stands in `other_column` of `dataset`; nulls do not count.

    Attributes:
        location: where the other dataset was when this one was judged, so that GX can judge again; None if unknown.
    """

    kind: ClassVar[str] = "reference"
    dataset: str
    other_column: str
    location: str | None = None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} stands in {column(self.other_column)} of {self.dataset}{self.tail}."

    def bound(self, surroundings: Surroundings) -> Self:
        """Return the rule with the address of the other dataset."""
        return replace(self, location=surroundings.related.get(self.dataset))

    def expectation(self) -> Expectation:
        """Return our expectation: GX has none across files."""
        return "expect_column_values_to_be_in_dataset", {
            "column": self.column, "dataset": self.dataset, "other_column": self.other_column,
            "location": self.location, "mostly": self.mostly,
        }  # fmt: skip

    def problem(self, frame: Frame) -> str:
        """Return why the two columns cannot be compared, or nothing."""
        other = frame.related.get(self.dataset)
        if other is None:
            given = f"given were {', '.join(frame.related)}" if frame.related else "none was given"
            return f"it needs the dataset {self.dataset!r} beside this one, and {given}"
        if self.other_column not in other.names:
            guess = did_you_mean(self.other_column, other.names)
            return f"the dataset {self.dataset!r} has no column {self.other_column!r}{guess.rstrip('?')}"
        one, two = frame.logical(self.column), other.logical(self.other_column)
        if comparable(one, two):
            return ""
        return f"{column(self.column)} is of type {one}, {self.dataset}.{self.other_column} of type {two}"

    def _sides(self, frame: Frame) -> tuple[str, str, str]:
        """Return the value, the other value, and the other relation in SQL."""
        other = frame.related[self.dataset]
        here, there = frame.sql(self.column), other.sql(self.other_column)
        if {frame.logical(self.column), other.logical(self.other_column)} & _TIMES:
            here, there = f"CAST({here} AS TIMESTAMPTZ)", f"CAST({there} AS TIMESTAMPTZ)"
        return here, there, other.relation

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a value that does not stand there."""
        if "null" in {frame.logical(self.column), frame.related[self.dataset].logical(self.other_column)}:
            return "true", []
        here, there, relation = self._sides(frame)
        return f"{here} NOT IN (SELECT {there} FROM {relation} WHERE {there} IS NOT NULL)", []  # noqa: S608

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return what can be counted without the other dataset."""
        return {name: wanted for name, wanted in super().measures(subject).items() if name != "unexpected"}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return how many values do not stand there, by an anti-join, which spills where memory is short."""
        frame = subject.frame
        counted, parameters = all_of(self.selected(frame), negated(self.missing(frame)))
        if "null" in {frame.logical(self.column), frame.related[self.dataset].logical(self.other_column)}:
            sql = f"SELECT count(*) FROM {{rows}} WHERE {counted}"  # noqa: S608
        else:
            here, there, relation = self._sides(frame)
            sql = (
                f"SELECT count(*) FROM (SELECT {here} AS here FROM {{rows}} WHERE {counted}) AS these "  # noqa: S608
                f"ANTI JOIN (SELECT {there} AS there FROM {relation}) AS those ON here = there"
            )
        ((strangers,),) = frame.query(sql, parameters)
        return super().find(subject, {**measured, "unexpected": int(strangers)})

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """Return the most frequent values that do not stand there."""
        return samples.strangers(subject.frame, self.column, subject.key, *self.offending(subject.frame))


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``references``."""
    for name, other in statements.model.references.items():
        common = statements.common(other, f"reference.{name}", [name], "references", name)
        yield RefersTo(dataset=other.dataset, other_column=other.column, **common)
