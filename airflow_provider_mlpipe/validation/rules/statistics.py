"""Statistics: bounds on one number computed from all values of a column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.findings import Finding
from airflow_provider_mlpipe.validation.measures import all_of, negated
from airflow_provider_mlpipe.validation.profile import EXACT_ROWS
from airflow_provider_mlpipe.validation.rules.bounds import Bound, bounds_in_words, read_bounds
from airflow_provider_mlpipe.validation.rules.rows import Conditional
from airflow_provider_mlpipe.validation.rules.rule import HOLISTIC, STREAMING
from airflow_provider_mlpipe.validation.wording import column, number, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_mlpipe.config.table_rules import Statistic, Statistics
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Measure
    from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
    from airflow_provider_mlpipe.validation.rules.statements import Statements

__all__ = ["HasStatistic", "stated"]

_NUMBERS = frozenset({"int", "float", "decimal", "bool", "null"})
_TIMES = frozenset({"timestamp", "date", "null"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATISTICS: dict[str, tuple[str, str, str, str]] = {
    # name: in words, SQL, GX's expectation, GX's metric
    "mean": ("mean", "avg({})", "expect_column_mean_to_be_between", "column.mean"),
    "median": ("median", "median({})", "expect_column_median_to_be_between", "column.median"),
    "std": (
        "standard deviation", "stddev_samp({})", "expect_column_stdev_to_be_between", "column.standard_deviation",
    ),
    "sum": ("sum", "coalesce(sum({}), 0)", "expect_column_sum_to_be_between", "column.sum"),
    "min": ("smallest value", "min({})", "expect_column_min_to_be_between", "column.min"),
    "max": ("greatest value", "max({})", "expect_column_max_to_be_between", "column.max"),
    "distinct": (
        "number of different values", "", "expect_column_unique_value_count_to_be_between",
        "column.distinct_values.count",
    ),
    "quantile": ("quantile", "quantile_cont({}, ?)", "expect_column_quantile_values_to_be_between",
                 "column.quantile_values"),
}  # fmt: skip
_HOLISTIC = frozenset({"median", "quantile"})
"""Statistics that keep all values at hand while they are computed: they get statements of their own."""


@dataclass(frozen=True, kw_only=True)
class HasStatistic(Conditional):
    """A statistic of the column lies between `low` and `high`, both inclusive.

    Attributes:
        name: mean, median, std, sum, min, max, distinct or quantile.
        share: of the values that lie below a quantile; it is interpolated.
    """

    kind: ClassVar[str] = "statistic"
    name: str
    low: Bound
    high: Bound
    share: float = 0.0

    @property
    def text(self) -> str:
        """The rule in plain words."""
        word = _STATISTICS[self.name][0]
        which = f"{self.share:g} quantile" if self.name == "quantile" else word
        return f"The {which} of {column(self.column)} is {bounds_in_words(self.low, self.high)}{self.where_clause}."

    @property
    def temporal(self) -> bool:
        """Whether the bounds are instants."""
        return isinstance(self.low, datetime) or isinstance(self.high, datetime)

    @property
    def family(self) -> str:
        """Statistics that need all values are not mixed with those that stream, nor is one that infinities upset."""
        if self.name in _HOLISTIC:
            return HOLISTIC
        return self.kind if self.name == "std" else STREAMING

    def expectation(self) -> Expectation:
        """Return the GX expectation that says the same."""
        kind = _STATISTICS[self.name][2]
        if self.name == "quantile":
            ranges = {"quantiles": [self.share], "value_ranges": [[self.low, self.high]]}
            return kind, {"column": self.column, "quantile_ranges": ranges, "allow_relative_error": "linear"}
        return kind, {"column": self.column, "min_value": self.low, "max_value": self.high}

    def problem(self, frame: Frame) -> str:
        """Return why the statistic makes no sense for the column's type, or nothing."""
        kind = frame.logical(self.column)
        if self.name == "distinct":
            return ""
        fits = kind in (_TIMES if self.temporal else _NUMBERS)
        wanted = "times" if self.temporal else "numbers"
        return "" if fits else f"{column(self.column)} is of type {kind}, not {wanted}"

    def measures(self, subject: Subject) -> Mapping[str, Measure]:
        """Return the statistic, unless it is known or takes a statement of its own."""
        frame = subject.frame
        if self.name == "distinct" or frame.logical(self.column) == "null" or not frame.rows:
            return {}
        sql, parameters = _STATISTICS[self.name][1].format(self._place(frame)), []
        if self.name == "quantile":
            parameters = [self.share]
        if (selected := self.selected(frame)) is not None:
            # coalesce(sum(...), 0) takes its filter inside.
            inside = sql.removeprefix("coalesce(").removesuffix(", 0)")
            filtered = f"{inside} FILTER (WHERE {selected[0]})"
            sql = f"coalesce({filtered}, 0)" if inside != sql else filtered
            parameters = [*parameters, *selected[1]]
        return {"value": (f"epoch_us({sql})" if self.temporal else sql, parameters)}

    def _place(self, frame: Frame) -> str:
        """Return the column as the statistic takes it."""
        place = frame.sql(self.column)
        if self.temporal:
            return f"CAST({place} AS TIMESTAMPTZ)"
        kind = frame.logical(self.column)
        return f"CAST({place} AS {'INTEGER' if kind == 'bool' else 'DOUBLE'})" if kind in {"bool", "decimal"} else place

    def find(self, subject: Subject, measured: Mapping[str, Any]) -> Finding:
        """Return the statistic; none of no values, but 0 as their sum and number."""
        if not subject.frame.rows:
            return Finding(skipped="there are no rows")
        value = self._distinct(subject) if self.name == "distinct" else measured.get("value")
        if value is None and self.name == "sum":
            value = 0
        if value is None:
            return Finding(unexpected=1)
        if self.temporal:
            return Finding(observed=(_EPOCH + timedelta(microseconds=value)).isoformat())
        return Finding(observed=value)

    def _distinct(self, subject: Subject) -> int:
        """Return the exact number of different values, by their hashes, which spill where memory is short."""
        frame, known = subject.frame, subject.profiles[self.column]
        if frame.logical(self.column) == "null":
            return 0
        if self.condition is None and frame.rows <= EXACT_ROWS and known.distinct is not None:
            return known.distinct
        counted, parameters = all_of(self.selected(frame), negated((frame.is_null(self.column), [])))
        ((found,),) = frame.query(
            f"SELECT count(*) FROM (SELECT 1 FROM {{rows}} WHERE {counted} GROUP BY {frame.sql(self.column)})",  # noqa: S608
            parameters,
        )
        return int(found)

    def found(self, finding: Finding, rows: int) -> str:  # noqa: ARG002
        """Say what it is."""
        if finding.observed is None:
            return "There is no value."
        return f"It is {when(instant(finding.observed)) if self.temporal else number(finding.observed)}."

    def answers(self, finding: Finding) -> Mapping[str, Any]:
        """Return the statistic by the name of GX's metric."""
        observed = finding.observed
        if self.temporal and observed is not None:
            observed = instant(observed)
        return {_STATISTICS[self.name][3]: [observed] if self.name == "quantile" else observed}


def stated(statements: Statements) -> Iterator[Rule]:
    """Yield the rules of ``statistics``."""
    for name, statistics in statements.model.statistics.items():
        for path, kind, share, bounds in _each(statistics):
            suffix = f".{share:g}" if kind == "quantile" else ""
            common = statements.common(bounds, f"{kind}.{name}{suffix}", [name], "statistics", name, *path)
            low, high = read_bounds(bounds.min, bounds.max, common["where"], ".".join(("statistics", name, *path)))
            yield HasStatistic(name=kind, low=low, high=high, share=share, **common)


def _each(statistics: Statistics) -> Iterator[tuple[tuple[str, ...], str, float, Statistic]]:
    """Yield the path, the name, the share and the bounds of every statistic that is stated."""
    for kind in ("mean", "median", "std", "sum", "min", "max", "distinct"):
        bounds = getattr(statistics, kind)
        if bounds is not None:
            yield (kind,), kind, 0.0, bounds
    for share, bounds in statistics.quantiles.items():
        yield ("quantiles", share), "quantile", float(share), bounds
