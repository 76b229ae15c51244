"""Whether there is anything: rows at all, a column, a value in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.errors import did_you_mean
from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, broken_share
from airflow_provider_mlpipe.validation.wording import column, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["ColumnExists", "HasRows", "NotNull", "stated"]


@dataclass(frozen=True, kw_only=True)
class HasRows(Rule):
    """There is a row at all: without one every other rule would hold."""

    kind: ClassVar[str] = "rows"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return "There is at least one row."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_table_row_count_to_be_between", {"min_value": 1}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the number of rows."""
        return Finding(observed=subject.frame.rows, unexpected=int(subject.frame.rows == 0))

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say that there is none."""
        return "There is none." if finding.unexpected else ""


@dataclass(frozen=True, kw_only=True)
class ColumnExists(Rule):
    """The column is there. Its absence is one failure; the other rules on it are skipped."""

    kind: ClassVar[str] = "column"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"The column {column(self.column)} exists."

    @property
    def skips_without_columns(self) -> bool:
        """Never: this rule is the one that fails."""
        return False

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_column_to_exist", {"column": self.column}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return whether it is there, and which name comes closest if not."""
        names = list(subject.frame.names)
        if self.column in subject.frame.names:
            return Finding()
        return Finding(unexpected=1, detail=did_you_mean(self.column, names).strip())

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say that it is missing."""
        return f"It is missing. {finding.detail}".rstrip() if finding.unexpected else ""


@dataclass(frozen=True, kw_only=True)
class NotNull(RowRule):
    """A share of at least `mostly` of the rows has a value."""

    kind: ClassVar[str] = "not_null"
    streams: ClassVar[bool] = True

    @property
    def text(self) -> str:
        """The rule in plain words."""
        if self.mostly == 1:
            return f"{column(self.column)} is never empty{self.where_clause}."
        return f"{column(self.column)} is empty in at most {share(1 - self.mostly)} of the rows{self.where_clause}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_column_values_to_not_be_null", {"column": self.column, "mostly": self.mostly}

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        return f"{quote(self.column)} IS NOT NULL"  # never null itself, so that no row is left out

    def missing(self, frame: Frame) -> Condition | None:  # noqa: ARG002
        """Every row counts."""
        return None

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of an empty value."""
        return frame.is_null(self.column), []

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return nothing where the profile knows: nulls are counted there."""
        return super().measures(subject) if self.condition else {}

    def later(self, subject: Subject, measured: Mapping[str, Any]) -> Mapping[str, Measure]:
        """Return some rows if there are too many nulls."""
        return super().later(subject, self._known(subject, measured))

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the number of nulls, and some rows if there are too many."""
        return super().find(subject, self._known(subject, measured))

    def _known(self, subject: Subject, measured: Mapping[str, Any]) -> Mapping[str, Any]:
        return measured if self.condition else {**measured, "unexpected": subject.profiles[self.column].nulls or 0}

    def found(self, finding: Finding, rows: int) -> str:
        """Return how many rows have no value."""
        return broken_share(finding, rows, "row", ("is empty", "are empty"))


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``required_columns``."""
    for place, filled in enumerate(statements.model.required_columns):
        name = filled.column
        yield NotNull(**statements.common(filled, f"not_null.{name}", [name], "required_columns", place))
