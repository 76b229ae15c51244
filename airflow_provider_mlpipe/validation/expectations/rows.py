"""Expectations on rows, where GX has none for files and frames: SQL over one row, sums, another dataset.

On a pandas frame they are decided as our own scan decides them: by DuckDB, on the frame where it lies.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from airflow_provider_mlpipe.validation.expectations.rendering import Judged, RenderedBatchExpectation
from airflow_provider_mlpipe.validation.row_expression import RowExpression
from airflow_provider_mlpipe.validation.rules import Adds, RefersTo, RowHolds, RowRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = [
    "ROWS_ADDING_UP",
    "ROWS_HOLDING",
    "ROWS_REFERRING",
    "ExpectColumnValuesToBeInDataset",
    "ExpectRowsToAddUp",
    "ExpectRowsToHold",
]

ROWS_HOLDING = "table.mlpipe_rows_holding"
ROWS_ADDING_UP = "table.mlpipe_rows_adding_up"
ROWS_REFERRING = "table.mlpipe_rows_referring"
_ABOUT = {"rule_id": "expectation", "severity": "ERROR", "where": ""}


class _OfRows(RenderedBatchExpectation):
    """An expectation that a share of the rows meets."""

    mostly: float = 1.0

    def _validate(self, metrics: dict[str, Any], **_: Any) -> Judged:  # noqa: ANN401
        (counted,) = (metrics[name] for name in self.metric_dependencies)
        checked = counted["element_count"] - counted["missing_count"]
        broken = counted["unexpected_count"]
        share = {"unexpected_percent": 100 * broken / checked if checked else None}
        return {"success": not checked or (checked - broken) / checked >= self.mostly, "result": counted | share}


class ExpectRowsToHold(_OfRows):
    """Expect an SQL expression over one row to be true; a row for which it is null is left out, or counts as broken."""

    rule: str
    condition: str | None = None
    nulls: Literal["skip", "fail"] = "skip"

    metric_dependencies = (ROWS_HOLDING,)
    success_keys = ("rule", "condition", "nulls", "mostly")
    args_keys = ("rule", "condition", "nulls", "mostly")
    template: ClassVar[str] = "Every row must have $rule; share of the rows at least $mostly."
    shown: ClassVar[tuple[str, ...]] = ("rule", "mostly")


class ExpectRowsToAddUp(_OfRows):
    """Expect the sum of some columns of a row to be a number or another column, within a tolerance."""

    column_list: list[str]
    total: float | int | str
    tolerance: float = 0.0
    condition: str | None = None
    nulls: Literal["skip", "fail"] = "skip"

    metric_dependencies = (ROWS_ADDING_UP,)
    success_keys = ("column_list", "total", "tolerance", "condition", "nulls", "mostly")
    args_keys = ("column_list", "total", "tolerance", "condition", "nulls", "mostly")
    template: ClassVar[str] = "The sum of $column_list must be $total within $tolerance; share at least $mostly."
    shown: ClassVar[tuple[str, ...]] = ("column_list", "total", "tolerance", "mostly")


class ExpectColumnValuesToBeInDataset(_OfRows):
    """Expect every value of a column to stand in a column of another dataset of ours, which lies at `location`."""

    column: str
    dataset: str
    other_column: str
    location: str | None = None
    condition: str | None = None

    metric_dependencies = (ROWS_REFERRING,)
    success_keys = ("column", "dataset", "other_column", "location", "condition", "mostly")
    args_keys = ("column", "dataset", "other_column", "location", "condition", "mostly")
    template: ClassVar[str] = "$column must stand in column $other_column of $dataset; share at least $mostly."
    shown: ClassVar[tuple[str, ...]] = ("column", "other_column", "dataset", "mostly")


class _RowsMetric(TableMetricProvider):  # type: ignore[misc] # GX ships no types for us
    """How many rows there are to judge and how many of those break the rule that the arguments describe.

    A subclass without `rule` fails where it is defined. ABC cannot see to that: GX's metaclass is none that goes
    together with ABC's, and no metric is ever instantiated.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if getattr(cls.rule, "__isabstractmethod__", False):
            raise TypeError(f"{cls.__name__} does not say which rule its arguments describe: it lacks rule()")

    @classmethod
    @abstractmethod
    def rule(cls, given: dict[str, Any]) -> tuple[RowRule, Mapping[str, Artifact]]:
        """Return the rule, and the datasets that it refers to."""

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls,  # noqa: N805
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],  # noqa: ARG002
        runtime_configuration: dict[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        data, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        return _counted(data, *cls.rule(metric_value_kwargs))


class _RowsHolding(_RowsMetric):
    metric_name = ROWS_HOLDING
    value_keys = ("rule", "condition", "nulls", "mostly")

    @classmethod
    def rule(cls, given: dict[str, Any]) -> tuple[RowRule, Mapping[str, Artifact]]:
        """Return the rule."""
        read = _expression(given["rule"], "rule")
        nulls: Literal["skip", "fail"] = given.get("nulls") or "skip"
        return RowHolds(columns=read.columns, expression=read, nulls=nulls, **_common(given)), {}


class _RowsAddingUp(_RowsMetric):
    metric_name = ROWS_ADDING_UP
    value_keys = ("column_list", "total", "tolerance", "condition", "nulls", "mostly")

    @classmethod
    def rule(cls, given: dict[str, Any]) -> tuple[RowRule, Mapping[str, Artifact]]:
        """Return the rule."""
        addends, total = tuple(given["column_list"]), given["total"]
        names = (*addends, total) if isinstance(total, str) else addends
        return Adds(
            columns=names, addends=addends, total=total, tolerance=given.get("tolerance") or 0.0,
            nulls=given.get("nulls") or "skip", **_common(given),
        ), {}  # fmt: skip


class _RowsReferring(_RowsMetric):
    metric_name = ROWS_REFERRING
    value_keys = ("column", "dataset", "other_column", "location", "condition", "mostly")

    @classmethod
    def rule(cls, given: dict[str, Any]) -> tuple[RowRule, Mapping[str, Artifact]]:
        """Return the rule and the other dataset; its S3 credentials, if it needs any, are the environment's."""
        from airflow_provider_mlpipe.artifacts import Artifact

        dataset, location = given["dataset"], given.get("location")
        related = {} if location is None else {dataset: Artifact.open(location)}
        rule = RefersTo(
            columns=(given["column"],), dataset=dataset, other_column=given["other_column"], **_common(given)
        )
        return rule, related


def _common(given: dict[str, Any]) -> dict[str, Any]:
    condition = given.get("condition")
    mostly = given.get("mostly")
    read = None if condition is None else _expression(condition, "condition")
    return {**_ABOUT, "condition": read, "mostly": 1.0 if mostly is None else mostly}


def _expression(text: str, key: str) -> RowExpression:
    return RowExpression.parse(text, where="expectation suite", key=key)


def _counted(data: Any, rule: RowRule, related: Mapping[str, Artifact]) -> dict[str, Any]:  # noqa: ANN401 - a DataFrame
    """Return the counts of a rule on a pandas frame.

    Raises:
        ValueError: the rule cannot be judged on such columns.
    """
    from airflow_provider_mlpipe.engines import DuckDBEngine
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.scan import Scan
    from airflow_provider_mlpipe.validation.tables import arrow_table

    with DuckDBEngine.open() as engine:
        frame = Frame.of_table(engine, arrow_table(data), related)
        finding = Scan(frame, [rule]).findings[rule.rule_id]
    if finding.problem or finding.skipped:
        raise ValueError(finding.problem or finding.skipped)
    return finding.counted()
