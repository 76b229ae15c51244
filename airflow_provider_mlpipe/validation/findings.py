"""What a scan found for one rule: plain counts and samples, before anybody judges them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Sample"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row that breaks a rule.

    Attributes:
        values: the values of the rule's columns, fit for JSON.
        key: the values of the dataset's key columns, to find the row again.
        rows: how many rows are like that, for duplicates.
    """

    values: dict[str, Any]
    key: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        counted = {} if self.rows is None else {"rows": self.rows}
        return {"values": self.values, "key": self.key, **counted}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The facts about one rule.

    Attributes:
        selected: rows that the rule is about; None says all.
        missing: those of them that the rule does not look at, as they have no value (null, NaN).
        unexpected: rows that break it.
        samples: up to five of them.
        observed: what an aggregate rule looks at: a count, a type, an instant, a statistic.
        shape: of drift: labels of the bins or categories, and their expected and actual shares.
        detail: what else there is to say, as a clause.
        problem: why the rule could not run, as a sentence; then nothing else counts.
        result: what Great Expectations itself said, where it ran the rule on pandas.
        skipped: why it does not apply, as a sentence; then nothing else counts.
    """

    selected: int | None = None
    missing: int = 0
    unexpected: int = 0
    samples: tuple[Sample, ...] = ()
    observed: Any = None
    detail: str = ""
    shape: dict[str, list[Any]] | None = None
    problem: str = ""
    skipped: str = ""
    result: Any = field(default=None, repr=False)

    def checked(self, rows: int) -> int:
        """Return how many of `rows` the rule looked at."""
        return (rows if self.selected is None else self.selected) - self.missing

    def counted(self) -> dict[str, Any]:
        """Return the counts of a rule on rows, by the names that Great Expectations gives them."""
        return {
            "element_count": self.selected,
            "missing_count": self.missing,
            "unexpected_count": self.unexpected,
            "partial_unexpected_list": [{**sample.key, **sample.values} for sample in self.samples],
        }
