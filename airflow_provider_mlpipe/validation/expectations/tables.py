"""Expectations on the table as a whole: whether it has about as many rows as usual."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_mlpipe.validation.expectations.rendering import Judged, RenderedBatchExpectation
from airflow_provider_mlpipe.validation.rules.table import usual

__all__ = ["ExpectTableRowCountToBeUsual"]


class ExpectTableRowCountToBeUsual(RenderedBatchExpectation):
    """Expect the number of rows to be near the median of recent runs, in robust deviations or a share of it.

    With fewer recent runs than `min_runs` it holds; a scan reports such a rule as skipped.
    """

    recent: list[int]
    deviations: float
    tolerance: float
    min_runs: int

    metric_dependencies = ("table.row_count",)
    success_keys = ("recent", "deviations", "tolerance", "min_runs")
    args_keys = ("recent", "deviations", "tolerance", "min_runs")
    template: ClassVar[str] = (
        "Must have about as many rows as recent runs: within $deviations deviations of the median of $recent."
    )
    shown: ClassVar[tuple[str, ...]] = ("deviations", "recent")

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Judged:  # noqa: ANN401
        count = metrics["table.row_count"]
        if len(self.recent) < self.min_runs:
            return {"success": True, "result": {"observed_value": count}}
        low, high = usual(self.recent, self.deviations, self.tolerance)
        observed = {"observed_value": count, "details": {"usual": [round(low, 1), round(high, 1)]}}
        return {"success": low <= count <= high, "result": observed}
