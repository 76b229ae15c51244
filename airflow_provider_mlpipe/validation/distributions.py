"""How the values of columns are distributed, exactly: quantile bins of numbers, the counts of values that repeat."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.drift import binned
from airflow_provider_mlpipe.validation.frame import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["MAX_VALUES", "NUMBERS", "distributions"]

Distribution = dict[str, list[Any]]
"""``bins`` and ``weights``, or ``values`` and ``weights``; weights are counts."""

NUMBERS = frozenset({"int", "float", "decimal"})
CATEGORIES = frozenset({"string", "bool"})

BINS = 20
"""Bins of equal counts: a twentieth of the rows each."""

MAX_VALUES = 50
"""So many values are listed; what is left is counted as anything else."""

COVERED = 0.8
"""Values that do not make up so much of the rows are not listed: most would be anything else."""

MAX_GROUPS = 100_000
EXACT_QUANTILES_ROWS = 2_000_000
COLUMNS_PER_STATEMENT = 16


def distributions(frame: Frame, columns: Mapping[str, ColumnProfile]) -> dict[str, Distribution]:
    """Return the distribution of every column that has one worth comparing with.

    Numbers get bins of about equal counts, in which a value that fills a bin by itself has its own. Texts and truth
    values are counted if they repeat: an id or an address has no distribution, and does not belong into a profile.
    """
    numbers = [name for name, column in columns.items() if column.type in NUMBERS]
    found: dict[str, Distribution] = {}
    for start in range(0, len(numbers), COLUMNS_PER_STATEMENT):
        some = numbers[start : start + COLUMNS_PER_STATEMENT]
        for name, edges in _edges(frame, some).items():
            found[name] = _of_numbers(frame, name, edges)
    for name, column in columns.items():
        if column.type in CATEGORIES and (counted := _of_values(frame, column)):
            found[name] = counted
    return {name: found[name] for name in columns if name in found}


def _edges(frame: Frame, names: Sequence[str]) -> dict[str, list[float]]:
    """Return the edges of bins of about equal counts, by column; columns without a finite value are left out."""
    levels = [step / BINS for step in range(1, BINS)]
    quantile = "quantile_disc" if frame.rows <= EXACT_QUANTILES_ROWS else "approx_quantile"
    places = {name: f"CAST({frame.sql(name)} AS DOUBLE)" for name in names}
    wanted = []
    for place in places.values():
        finite = f"FILTER (WHERE isfinite({place}))"
        wanted += [f"{quantile}({place}, {levels}) {finite}", f"min({place}) {finite}", f"max({place}) {finite}"]
    row = frame.row(wanted)
    found: dict[str, list[float]] = {}
    for position, name in enumerate(names):
        cuts, low, high = row[3 * position : 3 * position + 3]
        if low is not None:
            found[name] = _with_atoms(frame, places[name], [low, *cuts, high])
    return found


def _with_atoms(frame: Frame, place: str, quantiles: Sequence[float]) -> list[float]:
    """Return growing edges; after a value that spans several quantiles comes the next value that there is."""
    low, high = quantiles[0], quantiles[-1]
    atoms = [value for value, times in Counter(quantiles[:-1]).items() if times > 1]
    nexts = _next_values(frame, place, atoms)
    inner = sorted({value for value in (*quantiles[1:-1], *nexts) if value > low})
    if not inner:
        return [low, high] if high > low else [low]
    if high == inner[-1]:  # the highest value fills a bin by itself, whose outer edge nothing reaches
        high = max(high + 1, math.nextafter(high, math.inf))
    return [low, *inner, high] if math.isfinite(high) else [low, *inner]


def _next_values(frame: Frame, place: str, values: Sequence[float]) -> list[float]:
    """Return the smallest finite value above each of `values`, where there is one."""
    if not values:
        return []
    row = frame.row([f"min({place}) FILTER (WHERE {place} > ? AND isfinite({place}))" for _ in values], list(values))
    return [value for value in row if value is not None]


def _of_numbers(frame: Frame, name: str, edges: Sequence[float]) -> Distribution:
    plain = [int(edge) if _whole(edge) else edge for edge in edges]
    if len(plain) == 1:
        # A single bin would hold everything; as a category, anything else is seen.
        return {"values": plain, "weights": binned(frame, name, [plain[0], plain[0] + 1])}
    return {"bins": plain, "weights": binned(frame, name, plain)}


def _whole(number: float) -> bool:
    return math.isfinite(number) and number == int(number) and abs(number) < 2**53


def _of_values(frame: Frame, column: ColumnProfile) -> Distribution | None:
    """Return the most frequent values and their counts, if the column repeats itself."""
    present = frame.rows - (column.nulls or 0)
    if not present or (column.distinct or 0) > min(MAX_GROUPS, max(present / 2, MAX_VALUES)):
        return None
    place = frame.sql(column.name)
    rows = frame.query(
        f"SELECT {place}, count(*) FROM {{rows}} WHERE {place} IS NOT NULL GROUP BY 1 "  # noqa: S608
        f"ORDER BY 2 DESC, 1 LIMIT {MAX_VALUES}"
    )
    counted = [(value, int(count)) for value, count in rows]
    listed = sum(count for _, count in counted)
    if listed < COVERED * present or _too_long(value for value, _ in counted):
        return None
    rest = [present - listed] if listed < present else []
    return {"values": [value for value, _ in counted], "weights": [*(count for _, count in counted), *rest]}


def _too_long(values: Iterable[Any]) -> bool:
    return any(isinstance(value, str) and len(value) > MAX_TEXT for value in values)
