"""Distributions: how far a column may have moved away from its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.validation import drift
from airflow_provider_mlpipe.validation.references import Reference, read_reference
from airflow_provider_mlpipe.validation.rules.plain import plain
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
from airflow_provider_mlpipe.validation.wording import column, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.findings import Finding
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["Drift", "stated"]

_NAMES = {"psi": "PSI", "js": "Jensen-Shannon distance", "ks": "Kolmogorov-Smirnov statistic"}


@dataclass(frozen=True, kw_only=True)
class Drift(Rule):
    """The distribution is as far as `threshold` from the reference at most."""

    kind: ClassVar[str] = "drift"
    reference: Reference
    method: str
    threshold: float
    min_rows: int = 1

    @property
    def text(self) -> str:
        """The rule in plain words."""
        limit = f"{_NAMES[self.method]} at most {number(self.threshold)}"
        return f"{column(self.column)} is distributed as its reference: {limit}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        return "expect_column_drift_to_be_at_most", {
            "column": self.column,
            "method": self.method,
            "threshold": self.threshold,
            "reference": {key: plain(values) for key, values in self.reference.as_dict().items()},
            "min_rows": self.min_rows,
        }

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:  # noqa: ARG002
        """Return the statistic, and the shares that it was computed from."""
        return drift.find(subject.frame, self)

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say how far it is."""
        return f"It is {number(float(finding.observed))} over {finding.detail}."

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the statistic."""
        return {"column.mlpipe_drift": finding.observed}


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``distribution``."""
    for name, moved in statements.model.distribution.items():
        common = statements.common(moved, f"drift.{name}", [name], "distribution", name)
        yield Drift(
            method=moved.method, threshold=moved.threshold, min_rows=moved.min_rows,
            reference=read_reference(moved, statements.document, common["where"], name), **common,
        )  # fmt: skip
