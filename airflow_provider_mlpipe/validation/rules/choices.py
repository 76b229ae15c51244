"""Allowed values: one join with the list, in the column's own type, so that 1 never equals '1'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.validation import samples
from airflow_provider_mlpipe.validation.membership import LISTABLE, listed
from airflow_provider_mlpipe.validation.rules.plain import plain, spelled
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.wording import column, things

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.validation.findings import Sample
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["InSet", "stated"]


@dataclass(frozen=True, kw_only=True)
class InSet(RowRule):
    """Values are among `values`."""

    kind: ClassVar[str] = "in_set"
    values: tuple[Any, ...]

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} is one of {things(self.values)}{self.tail}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        arguments = {"column": self.column, "value_set": plain(self.values), "mostly": self.mostly}
        return "expect_column_values_to_be_in_set", arguments

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        return f"{quote(self.column)} IN ({', '.join(map(spelled, plain(self.values)))})"

    def problem(self, frame: Frame) -> str:
        """Return why values of the column's type cannot be looked up in a list, or nothing."""
        kind = frame.logical(self.column)
        if kind in LISTABLE or kind == "null":
            return ""
        return f"{column(self.column)} is of type {kind}, whose values cannot be looked up in a list"

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a value that is not allowed, and its parameters."""
        if frame.logical(self.column) == "null":
            return "true", []
        place, kind, values = listed(frame, self.column, self.values)
        if not values:
            return "true", []
        return f"({place} NOT IN (SELECT unnest(CAST(? AS {kind}[]))))", [values]

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """Return the most frequent values that are not allowed."""
        return samples.strangers(subject.frame, self.column, subject.key, *self.offending(subject.frame))


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``categorical_constraints``."""
    for name, choice in statements.model.categorical_constraints.items():
        common = statements.common(choice, f"in_set.{name}", [name], "categorical_constraints", name)
        yield InSet(values=tuple(choice.values), **common)
