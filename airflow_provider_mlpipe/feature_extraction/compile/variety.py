"""Counting different values: first the different values of each key, then how many there are.

Engines keep a set of values per key and cell for ``count(distinct)``. One grouping by key and value serves all windows
and conditions of a column at once, and takes a fraction of the memory.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import TIME, keys_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.windows import Keep, Windows
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["variety"]

_VALUE = "value"


def variety(windows: Windows, found: Any, cells: Mapping[str, Cell], keep: Keep) -> Any:  # noqa: ANN401 - ibis
    """Add the ``distinct`` cells to `found`, which has one row per key."""
    columns: dict[str, list[str]] = {}
    for key, cell in cells.items():
        columns.setdefault(str(cell.column), []).append(key)
    for same in columns.values():
        more = keep(_counted(windows, same))
        more = more.select(
            **{f"o{n}": more[name] for n, name in enumerate(keys_of(more))}, **{k: more[k] for k in same}
        )
        joined = found.left_join(more, [found[name] == more[f"o{n}"] for n, name in enumerate(keys_of(found))])
        found = joined.select(found, **{key: more[key].fill_null(0) for key in same})
    return found


def _counted(windows: Windows, cells: list[str]) -> Any:  # noqa: ANN401
    """Return one row per key: how many different values of one column lie in each cell.

    Carried along is when each value was last seen, for each condition; that tells for all windows at once.
    """
    rows, keys, plan = windows.rows, keys_of(windows.rows), windows.plan
    alike: dict[Any, list[str]] = {}
    for key in cells:
        alike.setdefault((plan.cells[key].where, plan.cells[key].pivot), []).append(key)
    longest = max(plan.cells[key].window for key in cells)
    seen = {f"l{n}": windows.condition(same[0]) for n, same in enumerate(alike.values())}
    masks = {name: rows[TIME].notnull() if mask is None else mask for name, mask in seen.items() if len(seen) > 1}
    wanted = [windows.value(cells[0]).notnull(), windows.recent(longest), *(seen.values() if not masks else ())]
    # Conditions first, by names of their own: they are about columns that the grouping does not need.
    flags = {f"f{name[1:]}": mask for name, mask in masks.items()}
    flags["wanted"] = functools.reduce(operator.and_, (part for part in wanted if part is not None))
    rows = rows.select(*keys, TIME, **{_VALUE: windows.value(cells[0])}, **flags)
    rows = rows.filter(rows.wanted)
    last = {name: rows[TIME].max(where=rows[f"f{name[1:]}"] if masks else None) for name in seen}
    values = rows.group_by([*keys, _VALUE]).aggregate(**last)
    counts = {}
    for name, same in zip(seen, alike.values(), strict=True):
        for key in same:
            window = plan.cells[key].window
            among = values[name].notnull()
            if window != longest:
                among = values[name] >= windows.extent.start(values, window, name)
            counts[key] = values.count(where=among).cast("int64")
    return values.group_by(keys).aggregate(**counts)
