"""Expressions over one row: whatever SQL can say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_mlpipe.validation.rules.rows import NullsRule
from airflow_provider_mlpipe.validation.rules.rule import broken_share
from airflow_provider_mlpipe.validation.wording import share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.row_expression import RowExpression
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["RowHolds", "stated"]


@dataclass(frozen=True, kw_only=True)
class RowHolds(NullsRule):
    """`expression` is true of the row; where it is null, `nulls` decides."""

    kind: ClassVar[str] = "row"
    expression: RowExpression

    @property
    def text(self) -> str:
        """The rule in plain words."""
        about = "Every row has" if self.mostly == 1 else f"At least {share(self.mostly)} of the rows have"
        return f"{about} {self.expression.text}{self.where_clause}."

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        return self.expression.text

    def expectation(self) -> Expectation:
        """Return our expectation: GX has none for files and frames."""
        return "expect_rows_to_hold", {"rule": self.expression.text, "nulls": self.nulls, "mostly": self.mostly}

    def missing(self, frame: Frame) -> Condition | None:
        """Return the SQL condition of a row for which the expression is null."""
        return None if self.nulls == "fail" else (f"({self.expression.sql(frame)}) IS NULL", [])

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row of which it is not true."""
        return f"NOT coalesce({self.expression.sql(frame)}, false)", []

    @property
    def missing_is_profiled(self) -> bool:
        """Never: no profile knows where an expression is null."""
        return False

    def found(self, finding: Finding, rows: int) -> str:
        """Return how many rows break the rule."""
        return broken_share(finding, rows, "row", ("does not", "do not"))


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``row_rules``."""
    for place, each in enumerate(statements.model.row_rules):
        read = statements.expression(each.rule, statements.where("row_rules", place), f"row_rules.{place}.rule")
        yield RowHolds(
            expression=read, nulls=each.nulls,
            **statements.common(each, f"row.{each.name or read.text}", read.columns, "row_rules", place),
        )  # fmt: skip
