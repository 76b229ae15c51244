"""The rules of ``validation_config.yaml`` that the seed has, one model each, and how their short forms are read.

A short form is turned into the long one before it is read; what an editor should accept for both stands beside it, as
``json_schema_input_type``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from airflow_provider_mlpipe.config.section import Section

__all__ = [
    "Bounds",
    "Category",
    "CategoryForm",
    "Completeness",
    "CompletenessForm",
    "Distribution",
    "Freshness",
    "LogicalType",
    "MostlyRule",
    "OnFailure",
    "Range",
    "RangeForm",
    "RowRule",
    "Rule",
    "SchemaColumn",
    "SchemaColumnForm",
    "Severity",
    "Uniqueness",
    "UniquenessForm",
    "bounds_short",
]

Severity = Literal["ERROR", "WARNING", "INFO"]
OnFailure = Literal["block", "quarantine", "warn"]
LogicalType = Literal["string", "int", "float", "bool", "timestamp", "date", "decimal", "binary", "list", "struct"]

Bounds = Annotated[list[float | int | str | None], Field(min_length=2, max_length=2)]
"""The short form of two bounds, as an editor should accept it."""


class Rule(Section):
    """What every rule may carry.

    Attributes:
        severity: ERROR blocks the pipeline, WARNING is logged and counted, INFO is reported.
        owner: whom to ask.
        note: why the rule is there; shown in the report.
        on_failure: what becomes of data that breaks it; the dataset's `on_failure` if absent. ``block``: the pipeline
            stops. ``quarantine``: the rows that break it are taken out, the others go on; a rule that is not about rows
            blocks. ``warn``: the same as severity WARNING.
    """

    on_failure: OnFailure | None = None
    severity: Severity = "ERROR"
    owner: str | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _severity_that_blocks(self) -> Self:
        if self.on_failure == "block" and self.severity != "ERROR":
            raise ValueError(f"a rule of severity {self.severity} never blocks: leave out severity or on_failure")
        return self


class RowRule(Rule):
    """A rule on rows.

    Attributes:
        condition: the rows that it is about, as a boolean SQL expression over one row, e.g. ``status = 'active'``; all
            if absent. It sees one row: no clock, no subquery, no aggregate.
    """

    condition: str | None = Field(default=None, min_length=1)


class MostlyRule(RowRule):
    """A rule of which a few rows may be an exception.

    Attributes:
        mostly: the share of them that must hold, in (0, 1].
    """

    mostly: float = Field(default=1.0, gt=0, le=1)


class SchemaColumn(Rule):
    """The column exists and is of this logical type.

    Attributes:
        type: any width of int, float, string ... counts as one. Short form: the type alone.
    """

    type: LogicalType


class Completeness(MostlyRule):
    """The column exists and has no nulls.

    Attributes:
        column: its name. Short form: the name alone.
    """

    column: str


class Uniqueness(RowRule):
    """No two rows have the same values in these columns; rows with a null in one of them do not count.

    Attributes:
        columns: the key. Short form: a name, or a list of names for a key of several columns.
    """

    columns: list[str] = Field(min_length=1)


class Range(MostlyRule):
    """Values lie between two bounds, both inclusive; nulls do not count. Short form: ``[min, max]``.

    Attributes:
        min: the lowest value that passes; unlimited if absent.
        max: the highest value that passes; unlimited if absent.
    """

    min: float | int | str | None = None
    max: float | int | str | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        return self


class Category(MostlyRule):
    """Values are among a few; nulls do not count. Short form: the list alone.

    Attributes:
        values: the values that pass.
    """

    values: list[Any] = Field(min_length=1)


class Freshness(Rule):
    """The newest value of a time column is at most `max_age_hours` older than the run's as_of.

    Attributes:
        timestamp_column: the time column.
        max_age_hours: the greatest age that passes.
        max_future_hours: how far after as_of a value may lie before it counts as wrong; unlimited if absent.
    """

    timestamp_column: str
    max_age_hours: PositiveFloat
    max_future_hours: float | None = Field(default=None, ge=0)


class Distribution(Rule):
    """The column's distribution has not moved away from a reference.

    Attributes:
        reference: ``{bins: [...], weights: [...]}`` for numbers (n+1 edges, n shares) or
            ``{values: [...], weights: [...]}`` for categories; or the path of a JSON file with that, relative to the
            YAML file, or of a stored profile (``mlpipe profile ARTIFACT --reference-out FILE``). One weight more than
            there are values is the share of anything else.
        method: ``psi`` (population stability index), ``js`` (Jensen-Shannon distance, base 2) or ``ks`` (binned
            Kolmogorov-Smirnov statistic, numbers only).
        threshold: the highest value that passes. The customary reading of PSI: < 0.1 stable, > 0.25 shifted.
        min_rows: with fewer values than this the rule is skipped, as the statistic would be noise.
    """

    reference: dict[str, list[Any]] | str
    method: Literal["psi", "js", "ks"] = "psi"
    threshold: PositiveFloat = 0.2
    min_rows: int = Field(default=100, ge=1)


def _type_short(value: Any) -> Any:  # noqa: ANN401
    return {"type": value} if isinstance(value, str) else value


def _column_short(value: Any) -> Any:  # noqa: ANN401
    return {"column": value} if isinstance(value, str) else value


def _key_short(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return {"columns": [value]}
    return {"columns": value} if isinstance(value, list) else value


def bounds_short(value: Any) -> Any:  # noqa: ANN401
    """Read ``[min, max]`` as its long form."""
    if isinstance(value, (list, tuple)):
        if len(value) != 2:
            raise ValueError("two bounds are [min, max]")
        return {"min": value[0], "max": value[1]}
    return value


def _values_short(value: Any) -> Any:  # noqa: ANN401
    return {"values": list(value)} if isinstance(value, (list, tuple, set, frozenset)) else value


SchemaColumnForm = Annotated[
    SchemaColumn, BeforeValidator(_type_short, json_schema_input_type=LogicalType | SchemaColumn)
]
CompletenessForm = Annotated[Completeness, BeforeValidator(_column_short, json_schema_input_type=str | Completeness)]
UniquenessForm = Annotated[Uniqueness, BeforeValidator(_key_short, json_schema_input_type=str | list[str] | Uniqueness)]
RangeForm = Annotated[Range, BeforeValidator(bounds_short, json_schema_input_type=Bounds | Range)]
CategoryForm = Annotated[Category, BeforeValidator(_values_short, json_schema_input_type=list[Any] | Category)]
