"""The table as a whole: how many rows, whether that is usual, which columns and in which order."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.rules.bounds import bounds_in_words
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, Surroundings
from airflow_provider_mlpipe.validation.wording import columns, number, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["HasColumns", "HasRowCount", "HasUsualRowCount", "stated", "usual"]

_MAD_TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations."""


@dataclass(frozen=True, kw_only=True)
class HasRowCount(Rule):
    """There are between `low` and `high` rows, both inclusive."""

    kind: ClassVar[str] = "row_count"
    low: int | None
    high: int | None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"The number of rows is {bounds_in_words(self.low, self.high)}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_table_row_count_to_be_between", {"min_value": self.low, "max_value": self.high}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the number of rows."""
        return Finding(observed=subject.frame.rows)

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say how many there are."""
        return f"There are {number(finding.observed)}."


@dataclass(frozen=True, kw_only=True)
class HasUsualRowCount(Rule):
    """The number of rows is not far from the median of recent runs.

    Attributes:
        deviations: how many robust standard deviations pass.
        tolerance: a share of the median that always passes.
        runs: how many runs are looked at.
        min_runs: with fewer the rule is skipped.
        recent: the row counts of those runs, the oldest first.
    """

    kind: ClassVar[str] = "row_count_anomaly"
    deviations: float
    tolerance: float
    runs: int
    min_runs: int
    recent: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return (
            f"There are about as many rows as in recent runs: within {number(self.deviations)} deviations, "
            f"or {number(100 * self.tolerance)} %, of their median."
        )

    def bound(self, surroundings: Surroundings) -> Self:
        """Return the rule with the row counts of the latest runs whose data was let through."""
        # A run that was stopped says nothing of what is usual; there may be some among the latest.
        good = [run.rows for run in surroundings.past(2 * self.runs) if run.passed]
        return replace(self, recent=tuple(good[-self.runs :]))

    def expectation(self) -> Expectation:
        """Return our expectation: GX knows no earlier runs."""
        return "expect_table_row_count_to_be_usual", {
            "recent": list(self.recent), "deviations": self.deviations, "tolerance": self.tolerance,
            "min_runs": self.min_runs,
        }  # fmt: skip

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the number of rows, unless there are too few runs to tell."""
        if len(self.recent) < self.min_runs:
            runs = plural(len(self.recent), "earlier run")
            verb = "is" if len(self.recent) == 1 else "are"
            return Finding(skipped=f"{runs} {verb} fewer than min_runs {self.min_runs}")
        return Finding(observed=subject.frame.rows)

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say how many there are, and how many are usual."""
        low, high = usual(self.recent, self.deviations, self.tolerance)
        middle = number(float(statistics.median(self.recent)))
        return (
            f"There are {number(finding.observed)}; the median of {plural(len(self.recent), 'run')} is {middle}, "
            f"and {number(round(low, 1))} to {number(round(high, 1))} pass."
        )


def usual(recent: Sequence[int], deviations: float, tolerance: float) -> tuple[float, float]:
    """Return the fewest and the most rows that pass for usual.

    >>> usual([100, 102, 98, 100, 101, 99, 5000], deviations=5, tolerance=0.01)
    (92.587, 107.413)
    """
    middle = statistics.median(recent)
    spread = statistics.median(abs(count - middle) for count in recent)
    reach = max(deviations * _MAD_TO_DEVIATION * spread, tolerance * middle)
    return max(middle - reach, 0), middle + reach


@dataclass(frozen=True, kw_only=True)
class HasColumns(Rule):
    """The columns are those of the schema and no others; `ordered`: in its order, too."""

    kind: ClassVar[str] = "columns"
    expected: tuple[str, ...]
    ordered: bool = False

    @property
    def text(self) -> str:
        """The rule in plain words."""
        order = " in this order" if self.ordered else ""
        return f"The columns are {columns(self.expected)}{order}, and no others."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        if self.ordered:
            return "expect_table_columns_to_match_ordered_list", {"column_list": list(self.expected)}
        return "expect_table_columns_to_match_set", {"column_set": list(self.expected), "exact_match": True}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return which columns are too many, missing or in another place."""
        there = list(subject.frame.names)
        surplus = [name for name in there if name not in self.expected]
        missing = [name for name in self.expected if name not in there]
        said = [
            f"{word}: {columns(names)}." for word, names in (("Unexpected", surplus), ("Missing", missing)) if names
        ]
        if self.ordered and not said and there != list(self.expected):
            said.append(f"Their order is {columns(there)}.")
        return Finding(observed=there, unexpected=int(bool(said)), detail=" ".join(said))

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say what is different."""
        return finding.detail


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``schema_strict``, ``schema_ordered``, ``row_count`` and ``row_count_anomaly``."""
    model, expected = statements.model, tuple(statements.model.columns)
    if model.schema_strict is not None:
        yield HasColumns(expected=expected, **statements.common(model.schema_strict, "columns", [], "schema_strict"))
    if model.schema_ordered is not None:
        common = statements.common(model.schema_ordered, "column_order", [], "schema_ordered")
        yield HasColumns(expected=expected, ordered=True, **common)
    if (span := model.row_count) is not None:
        yield HasRowCount(low=span.min, high=span.max, **statements.common(span, "row_count", [], "row_count"))
    if (anomaly := model.row_count_anomaly) is not None:
        yield HasUsualRowCount(
            deviations=anomaly.deviations, tolerance=anomaly.tolerance, runs=anomaly.runs, min_runs=anomaly.min_runs,
            **statements.common(anomaly, "row_count_anomaly", [], "row_count_anomaly"),
        )  # fmt: skip
