"""Logical types: any width of int is an int."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["OfType", "stated"]


@dataclass(frozen=True, kw_only=True)
class OfType(Rule):
    """The column has a logical type."""

    kind: ClassVar[str] = "type"
    type: str

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is of type {self.type}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_column_logical_type_to_be", {"column": self.column, "logical_type": self.type}

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the type; a column in which nothing ever stood is of any."""
        found = subject.frame.logical(self.column)
        return Finding(
            observed=self.type if found == "null" else found, unexpected=int(found not in {self.type, "null"})
        )

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say which type it is instead."""
        return f"It is of type {finding.observed}." if finding.unexpected else ""

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the type."""
        return {"column.mlpipe_logical_type": finding.observed}


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``schema``."""
    for name, kind in statements.model.columns.items():
        yield OfType(type=kind.type, **statements.common(kind, f"type.{name}", [name], "schema", name))
