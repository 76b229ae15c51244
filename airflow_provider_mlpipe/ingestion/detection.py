"""Telling a schema from values, where nothing declares one: queries of SQLite, answers of an API, JSON files.

Every value counts, not a sample, so a late surprise cannot break a run half-way. To look at all of them before the
first is written without holding them, the rows go through a temporary file.
"""

from __future__ import annotations

import pickle
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import ISO_DATE, ISO_TIME, ColumnType, convert, schema_of
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.nesting import Shape
from airflow_provider_mlpipe.ingestion.spooling import spool_file, spooling
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO


__all__ = ["Frame", "Observer", "detected"]

_EXACT_IN_DOUBLE = 2**53
_PATTERNS = {
    "date": re.compile(ISO_DATE),
    "naive": re.compile(ISO_TIME),
    "aware": re.compile(ISO_TIME + r"(?:Z|[+-]\d{2}:?\d{2})"),
}


@dataclass
class Frame:
    """Rows by column, as Python values, and rows that are not even that."""

    rows: int
    values: dict[str, Sequence[Any]]
    rejected: list[Rejected] = field(default_factory=list)


class Observer:
    """Sees every value of one column and then names the narrowest type that holds all of them unchanged."""

    def __init__(self, *, structs: bool = False) -> None:
        self._shape = Shape() if structs else None
        self._types: set[type] = set()
        self._low = self._high = 0
        self._forms = dict(_PATTERNS)
        self._aware: set[bool] = set()

    def see(self, values: Sequence[Any]) -> None:
        """Take note of `values`."""
        found = set(map(type, values))
        self._types |= found
        if self._shape is not None and found & {dict, list}:
            self._shape.see(values)
        if int in found:
            numbers = [value for value in values if type(value) is int]
            self._low, self._high = min(self._low, *numbers, 0), max(self._high, *numbers, 0)
        if datetime in found:
            self._aware |= {value.tzinfo is not None for value in values if isinstance(value, datetime)}
        for name in list(self._forms) if str in found else ():
            matches = self._forms[name].fullmatch
            if not all(matches(value) for value in values if type(value) is str):
                del self._forms[name]

    def column(self, name: str) -> ColumnType:
        """Return the column; values without a common type become text."""
        import pyarrow as pa

        types = self._types - {type(None)}
        if not types:
            return ColumnType(name, pa.null())  # nothing tells
        if types == {int}:
            return self._of_integers(name)
        if types == {int, float} and max(-self._low, self._high) <= _EXACT_IN_DOUBLE:
            return ColumnType(name, pa.float64())
        if types == {str}:
            return self._of_strings(name)
        simple = {
            datetime: pa.timestamp("us", "UTC" if self._aware == {True} else None),
            bool: pa.bool_(), float: pa.float64(), bytes: pa.binary(), date: pa.date32(), time: pa.time64("us")
        }  # fmt: skip
        if len(types) == 1 and (kind := simple.get(next(iter(types)))) is not None:
            return ColumnType(name, kind)
        return self._of_anything(name, nested=types in ({dict}, {list}))

    def _of_anything(self, name: str, *, nested: bool) -> ColumnType:
        """Return a struct or list if that is wanted and possible, else text."""
        import pyarrow as pa

        kind = pa.string() if self._shape is None or not nested else self._shape.type()
        if self._shape is None or pa.types.is_string(kind):
            return ColumnType(name, pa.string(), text=True)
        return ColumnType(name, kind, fit=self._shape.fit)

    def _of_integers(self, name: str) -> ColumnType:
        import pyarrow as pa

        if self._low >= -(2**63) and self._high < 2**63:
            return ColumnType(name, pa.int64())
        return ColumnType(name, pa.string(), text=True)

    def _of_strings(self, name: str) -> ColumnType:
        import pyarrow as pa

        kinds = {"date": pa.date32(), "naive": pa.timestamp("us"), "aware": pa.timestamp("us", "UTC")}
        form = next(iter(self._forms), None)
        return ColumnType(name, kinds[form] if form else pa.string())


@contextmanager
def detected(
    frames: Iterable[Frame],
    known: Sequence[ColumnType] = (),
    order: Sequence[str] = (),
    expected: Sequence[str] = (),
    *,
    structs: bool = False,
) -> Iterator[Stream]:
    """Read all `frames`, tell the types, and give the rows.

    Args:
        frames: the source.
        known: columns whose type is declared; the others are told from their values.
        order: the columns that are there in any case, in their order; others follow in order of appearance.
        expected: columns to name if there is not a single row to tell them.
        structs: whether objects and lists become struct and list columns rather than JSON text.
    """
    declared = {column.name: column for column in known}
    observers = {name: Observer(structs=structs) for name in order if name not in declared}
    names: dict[str, None] = dict.fromkeys([*order, *declared])
    with spool_file() as spool:
        for frame in frames:
            for name, values in frame.values.items():
                names.setdefault(name)
                if name not in declared:
                    observers.setdefault(name, Observer(structs=structs)).see(values)
            try:
                with spooling():
                    pickle.dump(frame, spool, protocol=pickle.HIGHEST_PROTOCOL)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                raise Unreadable(f"among the values is something that is no data: {error}") from error
        with spooling():
            spool.seek(0)
        names = names or dict.fromkeys(expected)
        observers = observers or {name: Observer(structs=structs) for name in names if name not in declared}
        columns = [declared.get(name) or observers[name].column(name) for name in names]
        yield Stream(schema_of(columns), _typed(spool, columns), detected=list(observers))


def _typed(spool: IO[bytes], columns: Sequence[ColumnType]) -> Iterator[Chunk]:
    while True:
        try:
            frame: Frame = pickle.load(spool)  # noqa: S301 - written above, by this process, to an unnamed file
        except EOFError:
            return
        chunk = convert(columns, frame.values, frame.rows)
        yield Chunk(chunk.batch, (*frame.rejected, *chunk.rejected))
