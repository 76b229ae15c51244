"""Rules on a whole column or table: statistics, row counts, the set of columns."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from airflow_provider_mlpipe.config.row_rules import Counts, check_order
from airflow_provider_mlpipe.config.rules import Bounds, RowRule, Rule, bounds_short
from airflow_provider_mlpipe.config.section import Section

__all__ = [
    "RowCount",
    "RowCountAnomaly",
    "RowCountAnomalyForm",
    "RowCountForm",
    "Statistic",
    "StatisticForm",
    "Statistics",
    "TableRule",
    "TableRuleForm",
]


class Statistic(RowRule):
    """A number computed from a column lies between two bounds, both inclusive. Short form: ``[min, max]``.

    Attributes:
        min: the lowest value that passes; unlimited if absent.
        max: the highest value that passes; unlimited if absent.
    """

    min: float | int | str | None = None
    max: float | int | str | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Statistic:
        if self.min is None and self.max is None:
            raise ValueError("a statistic needs min, max or both")
        return self


class RowCount(Rule):
    """There are so many rows. Short form: ``[min, max]``.

    Attributes:
        min: the fewest rows that pass; unlimited if absent.
        max: the most rows that pass; unlimited if absent.
    """

    min: NonNegativeInt | None = None
    max: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> RowCount:
        check_order(self.min, self.max, "a row count")
        return self


class RowCountAnomaly(Rule):
    """There are about as many rows as in recent runs of the same dataset. Short form: ``true``.

    Attributes:
        deviations: how many standard deviations from the median of those runs pass; the deviation is estimated
            robustly, as 1.4826 times the median absolute deviation.
        tolerance: a share of the median that always passes, for datasets whose row count hardly ever changes.
        runs: how many runs are looked at, the latest before this one's as_of whose data was let through.
        min_runs: with fewer than this the rule is skipped.
    """

    deviations: PositiveFloat = 5.0
    tolerance: float = Field(default=0.1, ge=0)
    runs: PositiveInt = 30
    min_runs: int = Field(default=7, ge=2)

    @model_validator(mode="after")
    def _enough(self) -> RowCountAnomaly:
        if self.min_runs > self.runs:
            raise ValueError("min_runs is greater than runs, so it would always be skipped")
        return self


class TableRule(Rule):
    """A rule that needs no more than to be switched on. Short form: ``true``."""


def _switch(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bool):
        return {} if value else None
    return value


StatisticForm = Annotated[Statistic, BeforeValidator(bounds_short, json_schema_input_type=Bounds | Statistic)]
RowCountForm = Annotated[RowCount, BeforeValidator(bounds_short, json_schema_input_type=Counts | RowCount)]
RowCountAnomalyForm = Annotated[
    RowCountAnomaly | None, BeforeValidator(_switch, json_schema_input_type=bool | RowCountAnomaly)
]
TableRuleForm = Annotated[TableRule | None, BeforeValidator(_switch, json_schema_input_type=bool | TableRule)]


class Statistics(Section):
    """Bounds on what is computed from all values of a column; nulls do not count.

    Attributes:
        mean: the average.
        median: half of the values are smaller, as interpolated between the middle two.
        std: the standard deviation of a sample.
        sum: of all values.
        min: the smallest value.
        max: the greatest value.
        distinct: how many different values there are.
        quantiles: by share, such as ``0.95``; interpolated.
    """

    mean: StatisticForm | None = None
    median: StatisticForm | None = None
    std: StatisticForm | None = None
    sum: StatisticForm | None = None
    min: StatisticForm | None = None
    max: StatisticForm | None = None
    distinct: StatisticForm | None = None
    quantiles: dict[str, StatisticForm] = {}

    @field_validator("quantiles")
    @classmethod
    def _shares(cls, quantiles: dict[str, Statistic]) -> dict[str, Statistic]:
        for share in quantiles:
            try:
                fits = 0 <= float(share) <= 1
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(f"{share!r} is not a share between 0 and 1, such as 0.95")
        return quantiles
