"""What a column of MySQL is asked for, and the Arrow type that holds every value of it.

The server describes a result column by a type code, a character set, a length and flags, the same for tables and
queries. No driver is trusted with what it would change: decimals, times and dates are asked for as text, which is
converted in Arrow; BIT and YEAR as numbers; FLOAT as a double, since MySQL prints six digits of it; geometry as WKB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["Column", "column_of", "quoted"]

_UNSIGNED = 32
_NO_CHARACTERS = 63
"""The number of the character set ``binary``."""
_INTEGERS = {1: 8, 2: 16, 9: 32, 3: 32, 8: 64}
_FLOAT, _DOUBLE, _NULL, _DECIMALS, _GEOMETRY, _JSON = 4, 5, 6, (0, 246), 255, 245
_TIMESTAMP, _DATES, _TIME, _DATETIME, _YEAR, _BIT = 7, (10, 14), 11, 12, 13, 16
_TEXTS = (15, 247, 248, 249, 250, 251, 252, 253, 254)


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Attributes:
        name: its name.
        expression: what the server is asked for.
        kind: its Arrow type.
        long: whether one value may be megabytes.
    """

    name: str
    expression: str
    kind: pa.DataType
    long: bool = False

    @property
    def selected(self) -> str:
        """The expression under the column's name."""
        return f"{self.expression} AS {quoted(self.name)}"


def quoted(name: str) -> str:
    """Return an identifier as MySQL quotes it.

    >>> quoted("a`b")
    '`a``b`'
    """
    return "`" + name.replace("`", "``") + "`"


def column_of(field: Any, *, dates_as_text: bool = False) -> Column | None:  # noqa: ANN401 - pymysql has no types
    """Return how to ask for a column of a result; None for a type that is not known.

    Args:
        field: the description that the server sent.
        dates_as_text: whether dates and times of day stay as MySQL writes them.
    """
    name = quoted(field.name)
    for decide in (_number, _moment, _sequence):
        found = decide(field, name, dates_as_text)
        if found is not None:
            expression, kind = found
            return Column(field.name, expression, kind, long=field.length > 65_535)
    return None


def _number(field: Any, name: str, _: bool) -> tuple[str, pa.DataType] | None:  # noqa: ANN401, FBT001
    import pyarrow as pa

    code = field.type_code
    unsigned = bool(field.flags & _UNSIGNED)
    if code in _INTEGERS:
        return name, getattr(pa, f"{'u' if unsigned else ''}int{_INTEGERS[code]}")()
    if code in _DECIMALS:
        # The length that was sent counts the sign and the point.
        precision = field.length - (field.scale > 0) - (not unsigned)
        decimal = pa.decimal128 if precision <= 38 else pa.decimal256
        return f"CAST({name} AS CHAR)", decimal(max(precision, field.scale, 1), field.scale)
    simple: dict[int, Callable[[], tuple[str, pa.DataType]]] = {
        _FLOAT: lambda: (f"{name} + 0e0", pa.float32()),
        _DOUBLE: lambda: (name, pa.float64()),
        _YEAR: lambda: (f"CAST({name} AS UNSIGNED)", pa.int16()),
        _BIT: lambda: (f"CAST({name} AS UNSIGNED)", pa.bool_() if field.length == 1 else pa.uint64()),
        _NULL: lambda: (f"CAST({name} AS CHAR)", pa.null()),
    }
    return simple[code]() if code in simple else None


def _moment(field: Any, name: str, as_text: bool) -> tuple[str, pa.DataType] | None:  # noqa: ANN401, FBT001
    import pyarrow as pa

    text = f"CAST({name} AS CHAR)"
    if field.type_code == _TIME:  # -838:59:59 to 838:59:59: a length of time as often as a time of day
        return text, pa.string()
    kinds = {_TIMESTAMP: pa.timestamp("us", "UTC"), _DATETIME: pa.timestamp("us"), **dict.fromkeys(_DATES, pa.date32())}
    if field.type_code not in kinds:
        return None
    return text, pa.string() if as_text else kinds[field.type_code]


def _sequence(field: Any, name: str, _: bool) -> tuple[str, pa.DataType] | None:  # noqa: ANN401, FBT001
    import pyarrow as pa

    if field.type_code == _GEOMETRY:
        return f"ST_AsBinary({name})", pa.binary()
    if field.type_code == _JSON:
        return f"CAST({name} AS CHAR)", pa.string()
    if field.type_code in _TEXTS:
        return name, pa.binary() if field.charsetnr == _NO_CHARACTERS else pa.string()
    return None
