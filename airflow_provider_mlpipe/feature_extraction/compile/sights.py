"""What an aggregation has seen: the time of the latest event of each set of events that cells count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import TIME
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT
from airflow_provider_mlpipe.feature_extraction.compile.terms import clean

if TYPE_CHECKING:
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
    """Return an aggregation per set that carries the time of others: the latest time of its events."""
    sets = sets_of_events(windows.plan, windows.source)
    carriers = set(_carriers(windows.plan, windows.source).values())
    return {
        name: windows.rows[TIME].max(where=windows.mask(keys[0])) for name, keys in sets.items() if name in carriers
    }


def seen(plan: Plan, source: str, per_key: Any, extent: Extent) -> Any:  # noqa: ANN401 - ibis has no types
    """Return a row (per moment) with the latest time of each set, and as x0, x1 ... who has seen beyond the window."""
    import ibis

    own = plan.sources[source].entity_key(plan.domain.entity)
    per_key = extent.entities(per_key, own) if own else per_key  # what is there for comparison counts elsewhere
    numbers: dict[str, Any] = {}
    sets, carriers = sets_of_events(plan, source), _carriers(plan, source)
    for name, (key, *_) in sets.items():
        time = per_key[carriers[name]]
        if carriers[name] != name:
            start = extent.start(per_key, plan.cells[key].window, carriers[name])
            time = ibis.ifelse(time >= start, time, ibis.null(time.type()))
        end = extent.end(per_key, carriers[name])
        numbers[name] = clean(time.max())
        numbers[f"x{name[1:]}"] = (time >= end).sum().fill_null(0).cast("int64")
    grouped = per_key.group_by(MOMENT) if extent.many else per_key
    return grouped.aggregate(**numbers, events=per_key.events.sum().fill_null(0).cast("int64"))


def _carriers(plan: Plan, source: str) -> dict[str, str]:
    """Return for each set the one whose latest time tells its own: that with the longest window, all else alike.

    All windows end together, so the latest event of a longer one is that of a shorter one, unless it came before that
    began: then the shorter has none.
    """
    first = {name: plan.cells[keys[0]] for name, keys in sets_of_events(plan, source).items()}
    return {
        name: max(
            (other for other in first if (first[other].where, first[other].pivot) == (cell.where, cell.pivot)),
            key=lambda other: first[other].window,
        )
        for name, cell in first.items()
    }
