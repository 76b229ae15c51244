"""Aggregations over half-open windows that end at as_of: one row per key of a source's events, one column per cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import TIME, Names, keys_of, prepared
from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, number, real
from airflow_provider_mlpipe.feature_extraction.compile.revisits import REVISITED, revisited
from airflow_provider_mlpipe.feature_extraction.compile.sharing import SHARING, sharing
from airflow_provider_mlpipe.feature_extraction.compile.sights import latest_seen
from airflow_provider_mlpipe.feature_extraction.compile.terms import Terms
from airflow_provider_mlpipe.feature_extraction.compile.variety import variety

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from airflow_provider_mlpipe.feature_extraction.compile.extent import Extent
    from airflow_provider_mlpipe.feature_extraction.plan import Plan
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["EVENTS", "Keep", "Windows", "events_per_key"]

Keep = Callable[[Any], Any]
"""Has an engine compute an expression, and returns the table that holds the result."""

EVENTS = "events"
"""The internal name of the number of events in the longest window."""


def events_per_key(plan: Plan, source: str, tables: Mapping[str, Any], extent: Extent, keep: Keep | None = None) -> Any:  # noqa: ANN401 - ibis has no types
    """Return one row per key that occurs in the source's longest window, null included: key, events, every cell.

    Args:
        plan: what to compute.
        source: of whose events.
        tables: the inputs by role.
        extent: moments and entities.
        keep: has an engine compute a part at once, and returns the table that holds it. A part reads the events again,
            but one part is all that is in memory at a time; in one statement, engines would keep the events for all of
            them.
    """
    windows = Windows(plan, source, prepared(plan, source, tables, extent), extent)
    rows, cells = windows.rows, plan.source_cells(source)
    plain = {key: windows.cell(key) for key, cell in cells.items() if cell.agg not in (*SHARING, "distinct")}
    result = rows.group_by(keys_of(rows)).aggregate(
        **{EVENTS: rows.count().cast("int64")}, **latest_seen(windows), **plain
    )
    keep = keep or _inline
    if any(cell.agg in REVISITED for cell in cells.values()):
        result = keep(result)
        result = revisited(windows, result, {key: cell for key, cell in cells.items() if cell.agg in REVISITED})
    varied = {key: cell for key, cell in cells.items() if cell.agg == "distinct"}
    shared = {key: cell for key, cell in cells.items() if cell.agg in SHARING}
    if varied or shared:
        result = keep(result)
    return sharing(windows, variety(windows, result, varied, keep), shared, keep)


def _inline(expression: Any) -> Any:  # noqa: ANN401
    return expression


class Windows:
    """The prepared events of one source, and which of them each cell is about.

    Attributes:
        rows: the events.
        names: what their columns are called.
    """

    def __init__(self, plan: Plan, source: str, rows: Any, extent: Extent) -> None:  # noqa: ANN401
        self.plan = plan
        self.source = source
        self.rows = rows
        self.names = Names(plan, source)
        self.extent = extent

    def mask(self, key: str) -> Any:  # noqa: ANN401
        """Return which events a cell counts; None for all of them."""
        return _both(self.recent(self.plan.cells[key].window), self.condition(key))

    def recent(self, window: timedelta) -> Any:  # noqa: ANN401
        """Return which events lie in a window; None for all of them."""
        if window == self.plan.longest(self.source):
            return None
        return self.rows[TIME] >= self.extent.start(self.rows, window, TIME)

    def condition(self, key: str) -> Any:  # noqa: ANN401
        """Return which events a cell counts, as far as it does not depend on the window; None for all of them."""
        cell, rows, mask = self.plan.cells[key], self.rows, None
        if cell.where is not None:
            feature, place = self.plan.owners[key]
            terms = Terms(
                column=lambda name: rows[self.names.of[name]],
                as_of=self.extent.as_of(rows),
                where=place,
                feature=feature,
            )
            mask = terms.condition(cell.where)
        if cell.pivot is not None:
            column, value = cell.pivot
            found = rows[self.names.of[column]]
            mask = _both(mask, (found if found.type().is_string() else found.cast("string")) == value)
        return mask

    def value(self, key: str) -> Any:  # noqa: ANN401
        """Return the column that a cell is about."""
        return self.rows[self.names.of[str(self.plan.cells[key].column)]]

    def total(self, column: str, mask: Any) -> Any:  # noqa: ANN401
        """Return the exact sum of a column; null if there is nothing to add."""
        first, second = self.names.parts(column)
        return exact_sum(self.rows[first], self.rows[second], where=mask)

    def cell(self, key: str) -> Any:  # noqa: ANN401
        """Return an aggregation; for those that are revisited, what the second look starts from."""
        cell, mask, rows = self.plan.cells[key], self.mask(key), self.rows
        per_day = real(cell.window.total_seconds() / 86_400)
        if cell.column is None:
            count = rows.count(where=mask).cast("int64")
            return count if cell.agg == "count" else count.cast("float64") / per_day
        value = self.value(key)
        if cell.agg in ("count", "distinct"):
            return (value.count(where=mask) if cell.agg == "count" else value.nunique(where=mask)).cast("int64")
        if cell.agg in ("first", "last"):
            times = rows[TIME].min if cell.agg == "first" else rows[TIME].max
            return times(where=value.notnull() if mask is None else mask & value.notnull())
        if cell.agg in ("min", "max", "quantile"):
            return _picked(number(value), cell, mask)
        total = self.total(cell.column, mask)
        if cell.agg in ("sum", "rate"):
            return total if cell.agg == "sum" else total / per_day
        return total / value.count(where=mask).cast("float64").nullif(0.0)


def _both(one: Any, other: Any) -> Any:  # noqa: ANN401
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _picked(value: Any, cell: Cell, mask: Any) -> Any:  # noqa: ANN401
    """Return the least, the greatest or a quantile, which lies on the line between its neighbours.

    Adding zero turns -0.0 into 0.0: the two are equal, and which one is found first depends on the order.
    """
    if cell.agg == "quantile":
        return value.quantile(cell.q, where=mask) + 0.0
    return getattr(value, cell.agg)(where=mask) + 0.0
