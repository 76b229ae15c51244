"""Keys: a hash of the key per row, eight bytes each, tells whether any can repeat; only then rows are grouped by it.

The hashes of up to `MAX_SORTED` rows are sorted, which takes a quarter of the time of grouping by them; more rows are
grouped, as that spills where memory is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.frame import RELATION
from airflow_provider_mlpipe.validation.measures import all_of, negated
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, broken_share
from airflow_provider_mlpipe.validation.samples import duplicates
from airflow_provider_mlpipe.validation.wording import columns, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["Unique", "stated"]

MAX_SORTED = 2**24
"""So many hashes take 128 MB, which no memory limit of the engine knows of."""


@dataclass(frozen=True, kw_only=True)
class Unique(RowRule):
    """No two rows have the same values in `columns`; rows with a null in one of them do not count."""

    kind: ClassVar[str] = "unique"

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"No two rows have the same {columns(self.columns)}{self.where_clause}."

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        if len(self.columns) == 1:
            return "expect_column_values_to_be_unique", {"column": self.column}
        arguments = {"column_list": list(self.columns), "ignore_row_if": "any_value_is_missing"}
        return "expect_compound_columns_to_be_unique", arguments

    def counted(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row that counts: one with a whole key."""
        return all_of(self.selected(frame), negated(self.missing(frame)))

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a row whose key another row has, too: all rows of such a key."""
        key = ", ".join(frame.sql(name) for name in self.columns)
        counted, parameters = self.counted(frame)
        whole = "{" + ", ".join(f"'{place}': {frame.sql(name)}" for place, name in enumerate(self.columns)) + "}"
        # One struct per key: it compares values of any type, and a single join looks it up.
        return (
            f"({whole} IN (SELECT {whole} FROM {RELATION} WHERE {counted} "  # noqa: S608
            f"GROUP BY {key} HAVING count(*) > 1))"
        ), parameters

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return how many rows the condition leaves; the rest takes a statement of its own."""
        return {name: wanted for name, wanted in super().measures(subject).items() if name == "selected"}

    def settled(self, subject: Subject) -> bool:  # noqa: ARG002
        """Nothing of it can be counted beside other rules."""
        return True

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return how many rows share their key with another row."""
        frame = subject.frame
        selected = measured.get("selected", frame.rows)
        if self._is_proven(subject):
            return Finding(selected=selected, missing=subject.profiles[self.column].nulls or 0)
        key = ", ".join(frame.sql(name) for name in self.columns)
        counted, parameters = self.counted(frame)
        complete, groups = _hashed(frame, f"hash({key})", counted, parameters)
        missing = selected - complete
        if complete == groups:
            return Finding(selected=selected, missing=missing)
        ((shared, keys),) = frame.query(
            f"SELECT coalesce(sum(times), 0), count(*) FROM (SELECT count(*) AS times FROM {{rows}} "  # noqa: S608
            f"WHERE {counted} GROUP BY {key} HAVING count(*) > 1)",
            parameters,
        )
        if not shared:
            return Finding(selected=selected, missing=missing)
        some = duplicates(frame, self.columns, counted, parameters)
        return Finding(selected=selected, missing=missing, unexpected=int(shared), samples=some, observed=int(keys))

    def _is_proven(self, subject: Subject) -> bool:
        """Whether the profile counted as many different values as there are values."""
        known = subject.profiles.get(self.column)
        if known is None or len(self.columns) > 1 or self.condition or not known.counted:
            return False
        return known.distinct == subject.frame.rows - (known.nulls or 0)

    def found(self, finding: Finding, rows: int) -> str:
        """Return how many rows share a key."""
        if not finding.unexpected:
            return ""
        keys = plural(int(finding.observed), "duplicated key")
        return broken_share(finding, rows, "row", (f"share a key with another: {keys}",) * 2)

    def sample_value(self, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """Return the whole key if it is of several columns."""
        return dict(values) if len(self.columns) > 1 else values[self.column]


def _hashed(frame: Frame, expression: str, counted: str, parameters: list[Any]) -> tuple[int, int]:
    """Return how many rows count, and how many different hashes they have."""
    if frame.rows <= MAX_SORTED and not frame.distributed:
        hashes = frame.numbers(expression, counted, parameters)
        hashes.sort()
        return len(hashes), len(hashes) - int((hashes[1:] == hashes[:-1]).sum())
    ((complete, groups),) = frame.query(
        f"SELECT coalesce(sum(times), 0), count(*) FROM "  # noqa: S608
        f"(SELECT count(*) AS times FROM {{rows}} WHERE {counted} GROUP BY {expression})",
        parameters,
    )
    return int(complete), int(groups)


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``unique_columns``."""
    for place, key in enumerate(statements.model.unique_columns):
        yield Unique(**statements.common(key, f"unique.{'+'.join(key.columns)}", key.columns, "unique_columns", place))
