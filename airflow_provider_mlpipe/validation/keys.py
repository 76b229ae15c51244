"""Which columns identify a row: found among the columns that hardly repeat, and proven by grouping."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.profile import ColumnProfile

__all__ = ["MIN_ROWS", "proven_keys"]

MIN_ROWS = 20
"""In fewer rows anything is unique by chance."""

_SINGLE = frozenset({"string", "int"})
_JOINED = frozenset({"string", "int", "timestamp", "date"})
NEARLY = 0.9
"""A sketch of distinct values errs by a few per cent; what it puts below this share of the rows is not grouped."""

MAX_JOINED = 6
MAX_PROOFS = 3


def proven_keys(frame: Frame, columns: Mapping[str, ColumnProfile]) -> tuple[tuple[str, ...], ...]:
    """Return the columns without nulls in which no value stands twice; without one, the pairs of which that is true."""
    if frame.rows < MIN_ROWS:
        return ()
    full = [column for column in columns.values() if column.nulls == 0 and column.distinct is not None]
    nearly = [
        column.name for column in full if column.type in _SINGLE and (column.distinct or 0) >= NEARLY * frame.rows
    ]
    single = tuple((name,) for name in nearly if _is_key(frame, (name,)))
    return single or _pairs(frame, [column for column in full if column.type in _JOINED])


def _pairs(frame: Frame, columns: Sequence[ColumnProfile]) -> tuple[tuple[str, ...], ...]:
    """Return the first pairs that are keys, the pairs of the most distinct columns first."""
    distinct = {column.name: column.distinct or 0 for column in columns}
    most = sorted(distinct, key=lambda name: -distinct[name])[:MAX_JOINED]
    pairs = [(one, other) for one, other in combinations(most, 2) if distinct[one] * distinct[other] >= frame.rows]
    if not pairs:
        return ()
    about = frame.row([f"approx_count_distinct(hash({', '.join(map(frame.sql, pair))}))" for pair in pairs])
    near = sorted(zip(about, pairs, strict=True), key=lambda item: -item[0])
    proofs = [pair for count, pair in near if count >= NEARLY * frame.rows][:MAX_PROOFS]
    ordered = [tuple(name for name in distinct if name in pair) for pair in proofs]
    return tuple(pair for pair in ordered if _is_key(frame, pair))


def _is_key(frame: Frame, names: Sequence[str]) -> bool:
    places = ", ".join(map(frame.sql, names))
    ((groups,),) = frame.query(f"SELECT count(*) FROM (SELECT {places} FROM {{rows}} GROUP BY {places})")  # noqa: S608
    return int(groups) == frame.rows
