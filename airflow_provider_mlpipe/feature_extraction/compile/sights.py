"""What an aggregation has seen: the time of the latest event of each set of events that cells count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import TIME
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.extent import Extent
    from airflow_provider_mlpipe.feature_extraction.compile.windows import Windows
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["latest_seen", "seen", "sets_of_events"]


def sets_of_events(plan: Plan, source: str) -> dict[str, list[str]]:
    """Return the sets of events of a source by internal name, each with the cells that count exactly these."""
    found: dict[Any, list[str]] = {}
    for key, cell in plan.source_cells(source).items():
        found.setdefault((cell.window, cell.where, cell.pivot), []).append(key)
    return {f"t{n}": keys for n, keys in enumerate(found.values())}


def latest_seen(windows: Windows) -> dict[str, Any]:
    """Return an aggregation per set: the latest time of its events."""
    sets = sets_of_events(windows.plan, windows.source)
    return {name: windows.rows[TIME].max(where=windows.mask(keys[0])) for name, keys in sets.items()}


def seen(plan: Plan, source: str, per_key: Any, extent: Extent) -> Any:  # noqa: ANN401 - ibis has no types
    """Return a row (per moment) with the latest time of each set, and as x0, x1 ... who has seen beyond the window."""
    own = plan.sources[source].entity_key(plan.domain.entity)
    per_key = extent.entities(per_key, own) if own else per_key  # what is there for comparison counts elsewhere
    numbers: Mapping[str, Any] = {}
    end = extent.end(per_key)
    for name in sets_of_events(plan, source):
        numbers = {
            **numbers,
            name: per_key[name].max(),
            f"x{name[1:]}": (per_key[name] >= end).sum().fill_null(0).cast("int64"),
        }
    grouped = per_key.group_by(MOMENT) if extent.many else per_key
    return grouped.aggregate(**numbers, events=per_key.events.sum().fill_null(0).cast("int64"))
