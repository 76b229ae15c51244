"""Python values to Arrow columns, exactly: a value that its column cannot hold is reported, never changed.

Whole columns are converted in one call where that is exact. Only a column in which this fails is looked at value by
value, and only its bad rows leave the batch.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.natives import native
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected
from airflow_provider_mlpipe.ingestion.vectors import array_of, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

__all__ = [
    "ISO_DATE",
    "ISO_TIME",
    "ColumnType",
    "as_text",
    "convert",
    "convert_one_by_one",
    "schema_of",
    "timestamp",
]

ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = ISO_DATE + r"[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"
_ISO = re.compile(rf"(?:{ISO_DATE}|{ISO_TIME}(?:Z|[+-]\d{{2}}:?\d{{2}})?)")
_CLOCK = re.compile(r"\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?")
_MIDNIGHT = time(0)


@dataclass(frozen=True)
class ColumnType:
    """A column to fill.

    Attributes:
        name: its name.
        kind: its Arrow type.
        text: whether values of any kind are to be written as text (the column's values have no common type).
        fit: of a nested column, makes a value what the type takes.
    """

    name: str
    kind: pa.DataType
    text: bool = False
    fit: Callable[[Any], Any] | None = None


def schema_of(columns: Sequence[ColumnType]) -> pa.Schema:
    """Return the Arrow schema of `columns`."""
    import pyarrow as pa

    return pa.schema([pa.field(column.name, column.kind) for column in columns])


def convert(columns: Sequence[ColumnType], values: Mapping[str, Sequence[Any]], rows: int) -> Chunk:
    """Convert `rows` rows, given by column.

    Args:
        columns: what to fill.
        values: by column name; a column that is absent is all null.
        rows: how many there are.

    Returns:
        The rows that could be converted, and the others with the first reason of each.
    """
    import pyarrow as pa

    arrays = []
    bad: dict[int, str] = {}
    for column in columns:
        found = values.get(column.name)
        if found is None:
            arrays.append(pa.nulls(rows, column.kind))
            continue
        array = _as_texts(found) if column.text else None if column.fit else _together(column.kind, found)
        if array is None:
            array, failures = convert_one_by_one(column, found)
            for position, reason in failures.items():
                bad.setdefault(position, f"{column.name}: {reason}")
        arrays.append(array)
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema_of(columns)) if columns else _empty(rows)
    if not bad:
        return Chunk(batch)
    keep = array_of([position not in bad for position in range(rows)], pa.bool_())
    rejected = tuple(
        Rejected(reason, {name: column[position] for name, column in values.items()})
        for position, reason in sorted(bad.items())
    )
    return Chunk(batch.filter(keep), rejected)


def _empty(rows: int) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_struct_array(pa.array([{}] * rows, pa.struct([])))


def _together(kind: pa.DataType, values: Sequence[Any]) -> pa.Array | None:
    """Convert a whole column if that is exact for every value, else return None."""
    import pyarrow as pa

    failures = (pa.ArrowException, OverflowError, ValueError, TypeError)
    try:
        array = vector(values)
        array = pa.array(values) if array is None else array
        if array.type == kind:
            return array
        return array.cast(kind) if _exact_cast(array.type, kind) else None
    except failures:
        return None


def _as_texts(values: Sequence[Any]) -> pa.Array | None:
    """Convert a whole column of objects and lists to JSON texts; None if there is something else in it."""
    import orjson
    import pyarrow as pa

    if not set(map(type, values)) <= _NESTED:
        return None
    dumps, option = orjson.dumps, orjson.OPT_NON_STR_KEYS
    try:
        texts = [None if value is None else dumps(value, _as_datum, option).decode() for value in values]
        return array_of(texts, pa.string())
    except orjson.JSONEncodeError:
        return None


_NESTED = {dict, list, type(None)}


def _exact_cast(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a checked Arrow cast from `found` to `wanted` either keeps every value or fails."""
    import pyarrow as pa

    types = pa.types
    if types.is_null(found):
        return True
    if types.is_integer(found):
        return bool(types.is_integer(wanted) or types.is_float64(wanted) or types.is_decimal(wanted))
    if types.is_string(found):
        return bool(types.is_timestamp(wanted) or types.is_date(wanted))
    if types.is_decimal(found):
        return bool(types.is_decimal(wanted))
    if types.is_timestamp(found):  # aware values are UTC by now, naive ones are UTC by convention
        return bool(types.is_timestamp(wanted))
    return bool(types.is_date(found) and types.is_timestamp(wanted))


def convert_one_by_one(column: ColumnType, values: Sequence[Any]) -> tuple[pa.Array, dict[int, str]]:
    """Convert value by value; the bad ones become null, and by position comes why."""
    exact = column.fit or (as_text if column.text else _exact(column.kind))
    good: list[Any] = []
    bad: dict[int, str] = {}
    for position, value in enumerate(values):
        try:
            good.append(None if value is None else exact(value))
        except (ValueError, TypeError, ArithmeticError) as error:
            good.append(None)
            reason = str(error) if isinstance(error, MisfitError) else "cannot be held"
            bad[position] = f"{_shown(value)} {reason} as {column.kind}"
    return array_of(good, column.kind), bad


class MisfitError(ValueError):
    """A value that a type cannot hold; the text completes ``VALUE ... as TYPE``."""

    def __init__(self, problem: str = "does not fit") -> None:
        super().__init__(problem)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _exact(kind: pa.DataType) -> Callable[[Any], Any]:
    import pyarrow as pa

    types = pa.types
    if types.is_integer(kind):
        signed = types.is_signed_integer(kind)
        low = -(2 ** (kind.bit_width - 1)) if signed else 0
        high = 2 ** (kind.bit_width - (1 if signed else 0)) - 1
        return lambda value: _integer(value, low, high)
    if types.is_decimal(kind):
        return lambda value: _decimal(value, kind.precision, kind.scale)
    if types.is_timestamp(kind):
        return lambda value: timestamp(value, aware=kind.tz is not None)
    simple: list[tuple[Callable[[Any], bool], Callable[[Any], Any]]] = [
        (types.is_floating, _float),
        (types.is_boolean, _boolean),
        (types.is_date, _date),
        (types.is_time, _time),
        (types.is_binary, _binary),
        (types.is_string, _string),
    ]
    return next((function for matches, function in simple if matches(kind)), _string)


def _integer(value: Any, low: int, high: int) -> int:  # noqa: ANN401 - whatever a driver returns
    if not isinstance(value, (int, float, Decimal)):
        raise MisfitError
    number = int(value)  # raises for NaN and infinity
    if number != value or not low <= number <= high:
        raise MisfitError
    return number


def _float(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, Decimal):
        number = float(value)
        if value.is_finite() and Decimal(repr(number)) != value:
            raise MisfitError("loses digits")
        return number
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise MisfitError
    number = float(value)
    if isinstance(value, int) and int(number) != value:
        raise MisfitError("loses digits")
    return number


def _decimal(value: Any, precision: int, scale: int) -> Decimal:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise MisfitError
    try:
        # repr() is the shortest text that reads back as this double: the digits that were stored.
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise MisfitError from None
    if not number.is_finite():
        raise MisfitError
    _, digits, exponent = number.normalize().as_tuple()
    exponent = int(exponent)
    if -exponent > scale or len(digits) + exponent > precision - scale:
        raise MisfitError
    return number


def _boolean(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, (bool, int)) and value in {0, 1}:
        return bool(value)
    raise MisfitError


def timestamp(value: Any, *, aware: bool) -> datetime:  # noqa: ANN401
    """Return the time that `value` is or writes in ISO 8601, in UTC, with or without saying so.

    Raises:
        MisfitError: it is no time.
    """
    if isinstance(value, str):
        if not _ISO.fullmatch(value):
            raise MisfitError("is no ISO 8601 time")
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, _MIDNIGHT)
    if not isinstance(value, datetime):
        raise MisfitError("is no time")
    utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return utc if aware else utc.replace(tzinfo=None)


def _date(value: Any) -> date:  # noqa: ANN401
    if isinstance(value, str):
        if not _ISO.fullmatch(value):
            raise MisfitError("is no ISO 8601 date")
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        if value.timetz() != _MIDNIGHT:
            raise MisfitError("has a time of day")
        return value.date()
    if not isinstance(value, date):
        raise MisfitError("is no date")
    return value


def _time(value: Any) -> time:  # noqa: ANN401
    if isinstance(value, str) and _CLOCK.fullmatch(value):
        value = time.fromisoformat(value)
    if isinstance(value, timedelta) and timedelta(0) <= value < timedelta(days=1):
        value = (datetime(1970, 1, 1) + value).time()  # noqa: DTZ001 - a time of day has no zone
    if not isinstance(value, time) or value.tzinfo is not None:
        raise MisfitError("is no time of day")
    return value


def _binary(value: Any) -> bytes:  # noqa: ANN401
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise MisfitError


def _string(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, (bool, int, float, Decimal, bytes, bytearray, memoryview)):
        raise MisfitError
    return as_text(value)


def as_text(value: Any) -> str:  # noqa: ANN401
    """Return any value as text: text as it is, times in ISO 8601, what is nested as JSON.

    Raises:
        ValueError: bytes, or text that is not Unicode.
    """
    if isinstance(value, str):
        value.encode()  # lone surrogates raise UnicodeEncodeError, a ValueError
        return value
    if type(value) is dict or type(value) is list:
        return _as_json(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise MisfitError("holds bytes, which do not fit")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (date, time)):
        return value.isoformat()
    return _as_json(value) if isinstance(value, (dict, list, tuple)) else str(_as_datum(value))


def _as_json(value: Any) -> str:  # noqa: ANN401 - what is nested
    import orjson

    try:
        return orjson.dumps(value, default=_as_datum, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, say
        return json.dumps(value, default=_as_datum, ensure_ascii=False, separators=(",", ":"))


def _says(kind: type, name: str) -> type:
    """Return the class that a method comes from."""
    return next(base for base in kind.__mro__ if name in vars(base))


def _as_datum(value: Any) -> Any:  # noqa: ANN401
    """Return what JSON has a word for, or the text of what has one that is the same in every run."""
    own, kind = native(value), type(value)
    if own is not value:
        return own
    if isinstance(value, (set, frozenset)):
        raise MisfitError(f"is or holds a {kind.__name__}, which has no order and does not fit; make it a list")
    if _says(kind, "__str__") is object and _says(kind, "__repr__") is object:
        raise MisfitError(f"is or holds an object of type {kind.__name__}, which has no text and does not fit")
    return str(value)
