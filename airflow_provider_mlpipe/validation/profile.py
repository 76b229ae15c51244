"""What every column looks like: nulls, distinct values, smallest and greatest.

Nulls and extremes stand in the parquet footers, which cost a few milliseconds; only what they cannot say is measured:
NaN and the extremes of floats, nested columns, and the (approximate) number of distinct values. A scan measures that
together with what its rules ask for (`known`, `asked`, `completed`), `profile` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.frame import MAX_TEXT, NESTED, ORDERED
from airflow_provider_mlpipe.validation.measures import Refused, measure
from airflow_provider_mlpipe.validation.samples import json_clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Measure

__all__ = ["EXACT_ROWS", "ColumnProfile", "asked", "completed", "known", "profile"]

EXACT_ROWS = 100_000
"""Up to so many rows distinct values are counted exactly; beyond that a sketch says it within a few per cent."""

MAX_BITS = 2**27
"""A bitmap of so many bits is kept to count the distinct values of a key of whole numbers, and..."""

BITS_PER_ROW = 8
"""... so many for each row: a key that is hardly ever used is no use for one."""

_FACTS_PER_STATEMENT = 96
_COUNTED_EXACTLY = frozenset({"int", "string", "date", "timestamp"})
"""The types of which the exact number of distinct values says whether one is there twice."""

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
        extremes_known: whether there is no need to look for them.
        counted: whether `distinct` is exact, and of a type of which it says how many values repeat.
    """

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    low: Any = None
    high: Any = None
    extremes_known: bool = field(default=False, repr=False)
    counted: bool = field(default=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "name": self.name, "type": self.type, "nulls": self.nulls, "distinct": self.distinct,
            "low": json_clean(self.low), "high": json_clean(self.high),
        }  # fmt: skip


def profile(frame: Frame) -> dict[str, ColumnProfile]:
    """Return the profile of every column of `frame`."""
    columns = known(frame)
    return completed(frame, columns, measure(frame, asked(frame, columns), _FACTS_PER_STATEMENT))


def known(frame: Frame) -> dict[str, ColumnProfile]:
    """Return what is known of every column without looking at its values."""
    found = {name: ColumnProfile(name=name, type=frame.logical(name)) for name in dict.fromkeys(frame.schema.names)}
    if frame.artifact is not None:
        _read_footers(frame.artifact, found)
    return found


def asked(
    frame: Frame, columns: Mapping[str, ColumnProfile], keys: Collection[str] = ()
) -> dict[tuple[str, str], Measure]:
    """Return, by column and fact, what is to be measured of columns of which so much is known.

    Args:
        frame: the rows.
        columns: what `known` says.
        keys: columns of which it is worth a little to know exactly how many values there are.
    """
    return {
        (name, what): (sql, [])
        for name, column in columns.items()
        for what, sql in _expressions(frame, column, name in keys)
    }


def completed(
    frame: Frame, columns: Mapping[str, ColumnProfile], measured: Mapping[tuple[str, str], Any]
) -> dict[str, ColumnProfile]:
    """Return the whole profiles.

    Args:
        frame: the rows.
        columns: what was known.
        measured: the answers to what was `asked`.
    """
    found = dict(columns)
    for (name, what), answer in measured.items():
        fact, value = what, answer
        if isinstance(answer, Refused):
            # Without a bitmap, as the footer's extremes were wrong; or to have the engine's own error.
            fact = "distinct" if what == "counted" else what
            (value,) = frame.row([dict(_expressions(frame, columns[name]))[fact]])
        facts = {"distinct": value, "counted": True} if fact == "counted" else {fact: value}
        found[name] = replace(found[name], **facts)
    return found


def _expressions(frame: Frame, column: ColumnProfile, is_key: bool = False) -> Iterator[tuple[str, str]]:  # noqa: FBT001, FBT002
    """Yield the field and the aggregate of each fact that is still unknown and can be known."""
    if not frame.holds(column.name):
        return
    place = frame.sql(column.name)
    if column.nulls is None:
        yield "nulls", f"count(*) FILTER (WHERE {frame.is_null(column.name)})"
    if column.type not in NESTED and column.type != "null":
        if frame.rows <= EXACT_ROWS:
            yield "counted" if column.type in _COUNTED_EXACTLY else "distinct", f"count(DISTINCT {place})"
        elif is_key and _fits_bits(column, frame.rows):
            yield "counted", f"coalesce(bit_count(bitstring_agg({place}, {column.low}, {column.high})), 0)"
        else:
            yield "distinct", f"approx_count_distinct({place})"
    if column.type in ORDERED and not column.extremes_known:
        for what, function in (("low", "min"), ("high", "max")):
            # The extreme is taken of the value and only then shown: text sorts differently from what it shows.
            yield what, frame.shown(column.name, f"{function}({place})")


def _fits_bits(column: ColumnProfile, rows: int) -> bool:
    """Whether whole numbers lie so close together that a bit for each possible one is not too many."""
    if column.type != "int" or not column.extremes_known or column.low is None:
        return False
    return int(column.high - column.low) < min(MAX_BITS, BITS_PER_ROW * rows)


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
