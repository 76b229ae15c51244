"""What every column looks like: nulls, distinct values, smallest and greatest.

Nulls and extremes stand in the parquet footers, which cost a few milliseconds; only what they cannot say is scanned:
NaN and the extremes of floats, nested columns, and the (approximate) number of distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.frame import MAX_TEXT, NESTED, ORDERED
from airflow_provider_mlpipe.validation.samples import json_clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.validation.frame import Frame

__all__ = ["EXACT_ROWS", "ColumnProfile", "profile"]

EXACT_ROWS = 100_000
"""Up to so many rows distinct values are counted exactly; beyond that a sketch says it within a few per cent."""

COLUMNS_PER_STATEMENT = 32
"""DuckDB computes a few narrow statements faster than one that is hundreds of aggregates wide."""

_FOOTER_KINDS = frozenset({"string", "int", "bool", "date"})
"""Where the footer's extremes are exact and of a type that needs no interpretation."""


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """One column.

    Attributes:
        nulls: values that are null or NaN; None if not yet known.
        distinct: about how many different values; None for nested columns.
        low: the smallest value; numbers as they are, all else as text.
        high: the greatest value.
    """

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    low: Any = None
    high: Any = None
    extremes_known: bool = field(default=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "name": self.name, "type": self.type, "nulls": self.nulls, "distinct": self.distinct,
            "low": json_clean(self.low), "high": json_clean(self.high),
        }  # fmt: skip


def profile(frame: Frame) -> dict[str, ColumnProfile]:
    """Return the profile of every column of `frame`."""
    found = {name: ColumnProfile(name=name, type=frame.logical(name)) for name in dict.fromkeys(frame.schema.names)}
    if frame.artifact is not None:
        _read_footers(frame.artifact, found)
    names = list(found)
    for start in range(0, len(names), COLUMNS_PER_STATEMENT):
        _scan(frame, names[start : start + COLUMNS_PER_STATEMENT], found)
    return found


def _scan(frame: Frame, names: list[str], found: dict[str, ColumnProfile]) -> None:
    """Fill in what the footers did not say, in one statement."""
    wanted = [(name, what, sql) for name in names for what, sql in _expressions(frame, found[name])]
    if not wanted:
        return
    row = frame.row([sql for _, _, sql in wanted])
    for (name, what, _), value in zip(wanted, row, strict=True):
        found[name] = replace(found[name], **{what: value})


def _expressions(frame: Frame, column: ColumnProfile) -> Iterator[tuple[str, str]]:
    """Yield the field and the aggregate of each fact that is still unknown."""
    if column.nulls is None:
        yield "nulls", f"count(*) FILTER (WHERE {frame.is_null(column.name)})"
    if column.type not in NESTED and column.type != "null":
        exact = frame.rows <= EXACT_ROWS
        yield "distinct", f"{'count(DISTINCT ' if exact else 'approx_count_distinct('}{frame.sql(column.name)})"
    if column.type in ORDERED and not column.extremes_known:
        for what, function in (("low", "min"), ("high", "max")):
            # The extreme is taken of the value and only then shown: text sorts differently from what it shows.
            extreme = f"{function}({frame.sql(column.name)})"
            yield what, frame.shown(column.name, extreme)


def _read_footers(artifact: Artifact, found: dict[str, ColumnProfile]) -> None:
    """Add up what the parquet footers say of flat columns; leave the rest unknown."""
    import pyarrow.parquet as pq

    places = _leaves(artifact.schema)
    groups: dict[str, list[Any]] = {name: [] for name in places}
    for path in artifact.paths:
        with artifact.place.filesystem.open_input_file(path) as file:
            footer = pq.read_metadata(file)
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            for name, leaf in places.items():
                groups[name].append(group.column(leaf).statistics)
    for name, statistics in groups.items():
        found[name] = _with_statistics(found[name], statistics)


def _with_statistics(column: ColumnProfile, statistics: list[Any]) -> ColumnProfile:
    if any(part is None or not part.has_null_count for part in statistics) or column.type == "float":
        return column
    column = replace(column, nulls=sum(part.null_count for part in statistics))
    if column.type not in _FOOTER_KINDS:
        return column
    bounded = [part for part in statistics if part.has_min_max]
    if any(not part.has_min_max and part.num_values for part in statistics):
        return column
    if not bounded:
        return replace(column, extremes_known=True)
    low, high = min(part.min for part in bounded), max(part.max for part in bounded)
    return replace(column, low=_shown(low), high=_shown(high), extremes_known=True)


def _shown(value: Any) -> Any:  # noqa: ANN401 - a parquet statistic
    if isinstance(value, (bool, int)):
        return value
    return value[:MAX_TEXT] if isinstance(value, str) else value.isoformat()


def _leaves(schema: pa.Schema) -> dict[str, int]:
    """Return the parquet leaf of every flat column; nested columns before it have several leaves or none."""
    import pyarrow.types as kinds

    places: dict[str, int] = {}
    leaf = 0
    for column in schema:
        width = _width(column.type)
        if width == 1 and not kinds.is_nested(column.type):
            places[column.name] = leaf
        leaf += width
    return places


def _width(kind: pa.DataType) -> int:
    import pyarrow.types as kinds

    if not kinds.is_nested(kind):
        return 1
    return sum(_width(kind.field(position).type) for position in range(kind.num_fields))
