"""Texts: regular expressions that they match, how many characters they have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation import samples
from airflow_provider_mlpipe.validation.measures import all_of, count, negated
from airflow_provider_mlpipe.validation.profile import EXACT_ROWS
from airflow_provider_mlpipe.validation.rules.bounds import bounds_in_words
from airflow_provider_mlpipe.validation.rules.plain import spelled
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.wording import column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.validation.findings import Finding, Sample
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["HasLength", "Matches", "stated"]

MATCHED_ONCE = 0.25
"""Grouping texts before they are matched pays if at most this share of them is different."""


@dataclass(frozen=True, kw_only=True)
class _OfText(RowRule):
    """A rule that makes sense for texts only."""

    def problem(self, frame: Frame) -> str:
        """Return why the rule makes no sense for the column's type, or nothing."""
        kind = frame.logical(self.column)
        if kind in {"string", "null"}:
            return ""
        return f"{column(self.column)} is of type {kind}, not text"

    def settled(self, subject: Subject) -> bool:
        """Whether there is nothing to look at."""
        return subject.profiles[self.column].type == "null"

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """Return the most frequent texts that break the rule."""
        return samples.strangers(subject.frame, self.column, subject.key, *self.offending(subject.frame))


@dataclass(frozen=True, kw_only=True)
class Matches(_OfText):
    r"""A regular expression matches somewhere in the text.

    It is matched by RE2, which has no lookaround and no backreferences and never runs away; GX on pandas matches it by
    Python's ``re``. They differ where ``$`` meets a final line break (Python matches before it) and in that
    ``\\\\d``, ``\\\\w``, ``\\\\s`` and ``\\\\b`` mean ASCII to RE2, any script to Python.
    """

    kind: ClassVar[str] = "pattern"
    regex: str

    @property
    def text(self) -> str:
        """The rule in plain words."""
        return f"{column(self.column)} matches {self.regex}{self.tail}."

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        return f"regexp_matches({quote(self.column)}, {spelled(self.regex)})"

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        arguments = {"column": self.column, "regex": self.regex, "mostly": self.mostly}
        return "expect_column_values_to_match_regex", arguments

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a text that does not match."""
        if frame.logical(self.column) == "null":
            return "false", []
        return f"NOT regexp_matches({frame.sql(self.column)}, ?)", [self.regex]

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return the counts; of many rows, matching waits until it is known how often texts repeat."""
        wanted = dict(super().measures(subject))
        if subject.frame.rows > EXACT_ROWS:
            wanted.pop("unexpected", None)
        return wanted

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the counts, and the most frequent texts that do not match if there are too many."""
        if "unexpected" not in measured and not self.settled(subject):
            measured = {**measured, "unexpected": self._unexpected(subject)}
        return super().find(subject, measured)

    def _unexpected(self, subject: Subject) -> int:
        """Return how many texts do not match; where they repeat, each is matched once."""
        frame, different = subject.frame, subject.profiles[self.column].distinct
        if different is None or different > MATCHED_ONCE * frame.rows:
            sql, parameters = count(self.offending(frame))
            return int(frame.row([sql], parameters)[0])
        place = frame.sql(self.column)
        counted, given = all_of(self.selected(frame), negated(self.missing(frame)))
        broken, regex = self.broken(frame)
        ((found,),) = frame.query(
            f"SELECT coalesce(sum(times) FILTER (WHERE {broken}), 0) FROM "  # noqa: S608
            f"(SELECT {place}, count(*) AS times FROM {{rows}} WHERE {counted} GROUP BY {place})",
            [*regex, *given],
        )
        return int(found)


@dataclass(frozen=True, kw_only=True)
class HasLength(_OfText):
    """The text has so many characters (Unicode code points)."""

    kind: ClassVar[str] = "length"
    streams: ClassVar[bool] = True
    low: int | None
    high: int | None

    @property
    def text(self) -> str:
        """The rule in plain words."""
        many = bounds_in_words(self.low, self.high)
        return f"{column(self.column)} has {many} character{'' if many == '1' else 's'}{self.tail}."

    @property
    def statement(self) -> str | None:
        """What must hold of a row."""
        given = [(sign, bound) for sign, bound in ((">=", self.low), ("<=", self.high)) if bound is not None]
        return " AND ".join(f"length({quote(self.column)}) {sign} {bound}" for sign, bound in given)

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        arguments = {"column": self.column, "min_value": self.low, "max_value": self.high, "mostly": self.mostly}
        return "expect_column_value_lengths_to_be_between", arguments

    def broken(self, frame: Frame) -> Condition:
        """Return the SQL condition of a text that is too short or too long."""
        if frame.logical(self.column) == "null":
            return "false", []
        given: list[tuple[str, Any]] = [("<", self.low), (">", self.high)]
        sides = [(sign, bound) for sign, bound in given if bound is not None]
        sql = " OR ".join(f"length({frame.sql(self.column)}) {sign} ?" for sign, _ in sides)
        return sql, [bound for _, bound in sides]


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``patterns`` and ``lengths``."""
    for name, pattern in statements.model.patterns.items():
        common = statements.common(pattern, f"pattern.{name}", [name], "patterns", name)
        _check_regex(pattern.regex, common["where"], f"patterns.{name}")
        yield Matches(regex=pattern.regex, **common)
    for name, span in statements.model.lengths.items():
        yield HasLength(
            low=span.min, high=span.max, **statements.common(span, f"length.{name}", [name], "lengths", name)
        )


def _check_regex(regex: str, where: str, key: str) -> None:
    """Refuse what RE2, or Python's ``re``, cannot read: the suite must run anywhere.

    Raises:
        ConfigError: either refuses it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    hint = (
        "Patterns are RE2's: no (?=...), (?<=...) or \\1. Say the rest with a row rule. In YAML, single quotes keep \\."
    )
    try:
        pc.match_substring_regex(pa.array([""]), regex)
        re.compile(regex)
    except (pa.ArrowInvalid, re.error) as error:
        problem = f"not a regular expression: {str(error).removeprefix('Invalid regular expression: ')}"
        raise ConfigError.invalid(where=where, key=key, problem=problem, value=repr(regex), hint=hint) from error
