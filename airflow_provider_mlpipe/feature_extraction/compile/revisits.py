"""Aggregations that need a second look at the events, once the first is known for each key: std, first, last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import TIME, keys_of
from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, number, rest, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.windows import Windows
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["REVISITED", "revisited"]

REVISITED = ("std", "first", "last")
"""Their first look gives the mean, the earliest or the latest time."""


def revisited(windows: Windows, found: Any, cells: Mapping[str, Cell]) -> Any:  # noqa: ANN401 - ibis has no types
    """Replace the first look's columns of `cells` in `found` by the aggregations.

    The deviation is the population's: the events of the window are all there are, and one event deviates by 0. Two
    passes, as one pass loses all precision. `first` and `last` are the value at the earliest or latest time that has
    one; of several at that time the smallest or largest, so that the order of rows decides nothing.
    """
    if not cells:
        return found
    rows, keys = windows.rows, keys_of(found)
    joined = rows.inner_join(found, [rows[key] == found[key] for key in keys])
    looked_at = {key: _looked_at(windows, key, cell, found[key]) for key, cell in cells.items()}
    wide = joined.select(**{key: found[key] for key in keys}, **looked_at)
    deviating = [key for key, cell in cells.items() if cell.agg == "std"]
    wide = wide.mutate(**{f"w_{key}": whole(wide[key]) for key in deviating}) if deviating else wide
    wide = wide.mutate(**{f"r_{key}": rest(wide[key], wide[f"w_{key}"]) for key in deviating}) if deviating else wide
    second = wide.group_by(keys).aggregate(**{key: _second(wide, key, cell) for key, cell in cells.items()})
    both = found.left_join(second, [found[key] == second[key] for key in keys])
    return both.select(**{column: second[column] if column in cells else found[column] for column in found.columns})


def _looked_at(windows: Windows, key: str, cell: Cell, first: Any) -> Any:  # noqa: ANN401
    """Return what the second look adds up or compares: the squared distance, or the value at the right time."""
    import ibis

    value, mask = number(windows.value(key)), windows.mask(key)
    if cell.agg == "std":
        value = (value - first) * (value - first)
    else:
        at = windows.rows[TIME] == first
        mask = at if mask is None else mask & at
    return value if mask is None else ibis.ifelse(mask, value, ibis.null("float64"))


def _second(wide: Any, key: str, cell: Cell) -> Any:  # noqa: ANN401
    if cell.agg == "std":
        total = exact_sum(wide[f"w_{key}"], wide[f"r_{key}"])
        return (total / wide[key].count().cast("float64").nullif(0.0)).sqrt()
    return (wide[key].min() if cell.agg == "first" else wide[key].max()) + 0.0
