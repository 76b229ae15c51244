"""Aggregations over what several entities have in common, and over how a whole is shared.

They are named operations, since they join the events with themselves or aggregate twice: dear, and easily done wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.events import keys_of
from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, rest, whole
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.feature_extraction.compile.windows import Keep, Windows
    from airflow_provider_mlpipe.feature_extraction.scope import Cell

__all__ = ["SHARING", "sharing"]

SHARING = ("companions", "shared", "effective")
"""See `_companions`, `_shared` and `_effective`."""

_VALUE = "value"


def sharing(windows: Windows, found: Any, cells: Mapping[str, Cell], keep: Keep) -> Any:  # noqa: ANN401 - ibis
    """Add the columns of `cells` to `found`, which has one row per key."""
    made = {"companions": _companions, "shared": _shared, "effective": _effective}
    for key, cell in cells.items():
        more = keep(made[cell.agg](windows, key))
        more = more.select(**{f"o{n}": more[name] for n, name in enumerate(keys_of(more))}, **{key: more[key]})
        joined = found.left_join(more, [found[name] == more[f"o{n}"] for n, name in enumerate(keys_of(found))])
        found = joined.select(found, more[key])
    return found


def _pairs(windows: Windows, key: str) -> Any:  # noqa: ANN401
    """Return the different pairs of key and value among a cell's events; a null is no key and no value.

    Where the cell is about what is shared `among` something else, that is a third column.
    """
    rows, among = _counted(windows, key), windows.plan.cells[key].among
    values = {name: rows[name] for name in (*keys_of(rows), _VALUE)}
    if among is not None:
        values["a0"] = rows[windows.names.of[among]]
        rows = rows.filter(values["a0"].notnull())
    return rows.select(**values).distinct()


def _counted(windows: Windows, key: str) -> Any:  # noqa: ANN401
    rows, mask = windows.rows, windows.mask(key)
    rows = rows.mutate(**{_VALUE: windows.value(key)})
    conditions = [rows[name].notnull() for name in (*keys_of(rows), _VALUE)]
    return rows.filter(*conditions, *([] if mask is None else [mask]))


def _companions(windows: Windows, key: str) -> Any:  # noqa: ANN401
    """Count the other entities that have an event of one of the same values."""
    pairs = _pairs(windows, key)
    keys = keys_of(pairs)
    moments = [name for name in keys if name == MOMENT]
    others = pairs.select(o0=pairs[keys[0]], other=pairs[_VALUE], **{f"o_{name}": pairs[name] for name in moments})
    same = [pairs[name] == others[f"o_{name}"] for name in moments]
    joined = pairs.inner_join(others, [pairs[_VALUE] == others.other, pairs[keys[0]] != others.o0, *same])
    return joined.group_by(keys).aggregate(**{key: joined.o0.nunique().cast("int64")})


def _shared(windows: Windows, key: str) -> Any:  # noqa: ANN401
    """Count the values that another entity has an event of, too; or that two of `among` have within the entity."""
    pairs = _pairs(windows, key)
    if "a0" in pairs.columns:
        values = pairs.group_by([*keys_of(pairs), _VALUE]).aggregate(n=pairs.count())
        return values.group_by(keys_of(pairs)).aggregate(**{key: (values.n > 1).sum().cast("int64")})
    moments = [name for name in keys_of(pairs) if name == MOMENT]
    popular = pairs.group_by([_VALUE, *moments]).aggregate(n=pairs.count())
    popular = popular.filter(popular.n > 1)
    popular = popular.select(other=popular[_VALUE], **{f"o_{name}": popular[name] for name in moments})
    same = [pairs[name] == popular[f"o_{name}"] for name in moments]
    joined = pairs.inner_join(popular, [pairs[_VALUE] == popular.other, *same])
    return joined.group_by(keys_of(pairs)).aggregate(**{key: joined.count().cast("int64")})


def _effective(windows: Windows, key: str) -> Any:  # noqa: ANN401
    """Return (sum of x)² / (sum of x²), where x is how many events a value has, or their weight if that is positive."""
    rows, weight = _counted(windows, key), windows.plan.cells[key].weight
    keys = keys_of(rows)
    if weight is None:
        parts = rows.group_by([*keys, _VALUE]).aggregate(x=rows.count().cast("float64"))
    else:
        first, second = windows.names.parts(weight)
        parts = rows.group_by([*keys, _VALUE]).aggregate(x=exact_sum(rows[first], rows[second]))
        parts = parts.filter(parts.x > 0)
    # As shares of the largest, so that squares of small numbers keep all their digits.
    most = parts.group_by(keys).aggregate(most=parts.x.max())
    most = most.select("most", **{f"o{n}": most[name] for n, name in enumerate(keys)})
    joined = parts.inner_join(most, [parts[name] == most[f"o{n}"] for n, name in enumerate(keys)])
    parts = joined.select(**{name: parts[name] for name in keys}, x=parts.x / most.most)
    parts = parts.mutate(y=parts.x * parts.x)
    parts = parts.mutate(wx=whole(parts.x), wy=whole(parts.y))
    parts = parts.mutate(rx=rest(parts.x, parts.wx), ry=rest(parts.y, parts.wy))
    totals = parts.group_by(keys).aggregate(x=exact_sum(parts.wx, parts.rx), y=exact_sum(parts.wy, parts.ry))
    return totals.select(**{name: totals[name] for name in keys}, **{key: totals.x * totals.x / totals.y.nullif(0.0)})
