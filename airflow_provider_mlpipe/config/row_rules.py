"""Further rules on rows: patterns, lengths, comparisons of columns, expressions, references to other datasets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, model_validator

from airflow_provider_mlpipe.config.rules import MostlyRule, bounds_short

__all__ = [
    "Counts",
    "ForeignKey",
    "ForeignKeyForm",
    "Pair",
    "PairForm",
    "Pattern",
    "PatternForm",
    "RowExpressionForm",
    "RowExpressionRule",
    "Sum",
    "SumForm",
    "TextLength",
    "TextLengthForm",
    "check_order",
]

Counts = Annotated[list[NonNegativeInt | None], Field(min_length=2, max_length=2)]
"""The short form of the fewest and the most, as an editor should accept it."""


def check_order(low: float | None, high: float | None, what: str) -> None:
    """Refuse bounds that nothing passes, or none at all."""
    if low is None and high is None:
        raise ValueError(f"{what} needs min, max or both")
    if low is not None and high is not None and low > high:
        raise ValueError("min is greater than max, so nothing passes")


class Pattern(MostlyRule):
    """Texts match a regular expression somewhere; anchor it with ``^`` and ``$`` to match all of them.

    Attributes:
        regex: as RE2 understands it: no lookaround, no backreferences. Short form: the expression alone.
    """

    regex: str = Field(min_length=1)


class TextLength(MostlyRule):
    """Texts have so many characters. Short form: ``[min, max]``.

    Attributes:
        min: the fewest characters that pass; unlimited if absent.
        max: the most characters that pass; unlimited if absent.
    """

    min: NonNegativeInt | None = None
    max: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> TextLength:
        check_order(self.min, self.max, "a length")
        return self


class ComparingRule(MostlyRule):
    """A rule on several columns of one row.

    Attributes:
        nulls: ``skip``: a row without one of the values does not count. ``fail``: it breaks the rule, unless all of
            them are missing.
    """

    nulls: Literal["skip", "fail"] = "skip"


class Pair(ComparingRule):
    """Two columns of a row compare as said.

    Attributes:
        pair: ``created_at <= completed_at``, with one of ``< <= = >= >``; a name with blanks stands in double quotes.
            Short form: the comparison alone.
    """

    pair: str


class Sum(ComparingRule):
    """The sum of some columns of a row is a number or another column.

    Attributes:
        sum: ``net + tax = gross`` or ``a + b + c = 100``. Short form: the equation alone.
        tolerance: how far from it a sum may be and still pass.
    """

    sum: str
    tolerance: float = Field(default=0.0, ge=0)


class RowExpressionRule(MostlyRule):
    """An expression over one row is true.

    Attributes:
        rule: a boolean SQL expression over one row; no clock, no subquery, no aggregate. Short form: it alone.
        name: what to call it; the expression itself if absent.
        nulls: ``skip``: a row for which it is null does not count, as in an SQL CHECK. ``fail``: it breaks the rule.
    """

    rule: str = Field(min_length=1)
    name: str | None = Field(default=None, min_length=1)
    nulls: Literal["skip", "fail"] = "skip"


class ForeignKey(MostlyRule):
    """Every value stands in a column of another dataset; nulls do not count. Short form: ``users.user_id``.

    Attributes:
        dataset: the other dataset, as the task or the command line names it.
        column: its column.
    """

    dataset: str
    column: str


def _regex_short(value: Any) -> Any:  # noqa: ANN401
    return {"regex": value} if isinstance(value, str) else value


def _pair_short(value: Any) -> Any:  # noqa: ANN401
    return {"pair": value} if isinstance(value, str) else value


def _sum_short(value: Any) -> Any:  # noqa: ANN401
    return {"sum": value} if isinstance(value, str) else value


def _rule_short(value: Any) -> Any:  # noqa: ANN401
    return {"rule": value} if isinstance(value, str) else value


def _reference_short(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        dataset, _, column = value.partition(".")
        if not dataset or not column:
            raise ValueError("a reference is dataset.column, such as users.user_id")
        return {"dataset": dataset, "column": column}
    return value


PatternForm = Annotated[Pattern, BeforeValidator(_regex_short, json_schema_input_type=str | Pattern)]
TextLengthForm = Annotated[TextLength, BeforeValidator(bounds_short, json_schema_input_type=Counts | TextLength)]
PairForm = Annotated[Pair, BeforeValidator(_pair_short, json_schema_input_type=str | Pair)]
SumForm = Annotated[Sum, BeforeValidator(_sum_short, json_schema_input_type=str | Sum)]
RowExpressionForm = Annotated[
    RowExpressionRule, BeforeValidator(_rule_short, json_schema_input_type=str | RowExpressionRule)
]
ForeignKeyForm = Annotated[ForeignKey, BeforeValidator(_reference_short, json_schema_input_type=str | ForeignKey)]
