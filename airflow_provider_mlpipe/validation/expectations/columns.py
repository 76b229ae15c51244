"""Expectations on one column: logical type, freshness against a given time, drift from a reference."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)

from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.expectations.rendering import Judged, RenderedColumnExpectation
from airflow_provider_mlpipe.validation.freshness import hours_before
from airflow_provider_mlpipe.validation.references import Reference, statistic

__all__ = [
    "DRIFT",
    "LOGICAL_TYPE",
    "NEWEST",
    "ExpectColumnDriftToBeAtMost",
    "ExpectColumnLogicalTypeToBe",
    "ExpectColumnToBeFresh",
]

LOGICAL_TYPE = "column.mlpipe_logical_type"
NEWEST = "column.mlpipe_newest"
DRIFT = "column.mlpipe_drift"


class ExpectColumnLogicalTypeToBe(RenderedColumnExpectation):
    """Expect the column to be of a logical type: any width of int counts as int, and so on."""

    logical_type: str

    metric_dependencies = (LOGICAL_TYPE,)
    success_keys = ("logical_type",)
    args_keys = ("column", "logical_type")
    template: ClassVar[str] = "must be of type $logical_type."
    shown: ClassVar[tuple[str, ...]] = ("column", "logical_type")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Judged:  # noqa: ANN401
        found = metrics[LOGICAL_TYPE]
        return {"success": found in {self.logical_type, "null"}, "result": {"observed_value": found}}


class ExpectColumnToBeFresh(RenderedColumnExpectation):
    """Expect the newest value to be at most so many hours older than a given time."""

    reference_time: str
    max_age_hours: float
    max_future_hours: float | None = None

    metric_dependencies = (NEWEST,)
    success_keys = ("reference_time", "max_age_hours", "max_future_hours")
    args_keys = ("column", "reference_time", "max_age_hours", "max_future_hours")
    template: ClassVar[str] = "must have a value at most $max_age_hours hours older than $reference_time."
    shown: ClassVar[tuple[str, ...]] = ("column", "max_age_hours", "reference_time")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Judged:  # noqa: ANN401
        newest = metrics[NEWEST]
        if newest is None:
            return {"success": False, "result": {"observed_value": None}}
        age = hours_before(instant(newest), instant(self.reference_time))
        ahead = self.max_future_hours is not None and -age > self.max_future_hours
        observed = {"newest": newest, "age_hours": round(age, 3)}
        return {"success": age <= self.max_age_hours and not ahead, "result": {"observed_value": observed}}


class ExpectColumnDriftToBeAtMost(RenderedColumnExpectation):
    """Expect the distribution to be at most so far from a reference, by PSI, Jensen-Shannon distance or KS."""

    method: str
    threshold: float
    reference: dict[str, list[Any]]
    min_rows: int = 1

    metric_dependencies = (DRIFT,)
    success_keys = ("method", "threshold", "reference", "min_rows")
    args_keys = ("column", "method", "threshold")
    template: ClassVar[str] = "must have a $method of at most $threshold from its reference distribution."
    shown: ClassVar[tuple[str, ...]] = ("column", "method", "threshold")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Judged:  # noqa: ANN401
        moved = metrics[DRIFT]
        # None says that there were too few values to tell; a scan reports such a rule as skipped.
        return {"success": moved is None or moved <= self.threshold, "result": {"observed_value": moved}}


class _LogicalType(ColumnAggregateMetricProvider):  # type: ignore[misc]
    metric_name = LOGICAL_TYPE
    value_keys = ("logical_type",)

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, **given: Any) -> str:  # noqa: ANN401, N805
        import pyarrow as pa

        from airflow_provider_mlpipe.validation.frame import logical_type

        array = pa.array(column, from_pandas=True)
        found = logical_type(pa.field("column", array.type))
        # GX hands over the values that are there: a whole column with nulls came to pandas as floats.
        if found == "float" and given.get("logical_type") == "int" and (column % 1 == 0).all():
            return "int"
        return found


class _Newest(ColumnAggregateMetricProvider):  # type: ignore[misc]
    metric_name = NEWEST

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, **_: Any) -> str | None:  # noqa: ANN401, N805
        import pandas as pd

        newest = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce").max()
        return None if pd.isna(newest) else datetime.isoformat(newest.to_pydatetime(warn=False))


class _Drift(ColumnAggregateMetricProvider):  # type: ignore[misc]
    metric_name = DRIFT
    value_keys = ("method", "reference", "min_rows")

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, **given: Any) -> float | None:  # noqa: ANN401, N805
        import numpy as np

        reference = Reference(**{name: tuple(values) for name, values in given["reference"].items()})
        if len(column) < max(given["min_rows"], 1):
            return None
        if reference.bins:
            below = [int((column < edge).sum()) for edge in reference.bins[1:-1]]
            counts = np.diff([0, *below, len(column)]).tolist()
        else:
            listed = [int((column == value).sum()) for value in reference.values]
            counts = [*listed, len(column) - sum(listed)]
        return statistic(given["method"], reference.expected, counts)
