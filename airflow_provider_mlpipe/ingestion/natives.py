"""Values of other libraries' types as Python's own: types are told by class, and a NumPy 5 is an integer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["native", "natives"]

_OWN = frozenset(
    {type(None), bool, int, float, str, bytes, date, datetime, time, timedelta, Decimal, UUID, dict, list}
)  # fmt: skip
_NOTHING = frozenset({"NaTType", "NAType"})
"""What pandas puts where there is no value."""


def natives(values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column, those of foreign types as Python's own; of types that nobody knows as they are."""
    return values if _OWN.issuperset(map(type, values)) else [native(value) for value in values]


def native(value: Any) -> Any:  # noqa: ANN401 - anything
    """Return one value, what is inside of it untouched.

    >>> from collections import OrderedDict
    >>> from enum import StrEnum
    >>> native(StrEnum("Level", ["HIGH"]).HIGH), native((1, 2)), native(OrderedDict(a=1)), native(bytearray(b"a"))
    ('high', [1, 2], {'a': 1}, b'a')
    """
    kind = type(value)
    if kind in _OWN:
        return value
    if kind.__module__.partition(".")[0] == "numpy":
        return _of_numpy(value)
    if kind.__name__ in _NOTHING and kind.__module__.startswith("pandas."):
        return None
    return next((made(value) for base, made in _BASES if isinstance(value, base)), value)


def _of_numpy(value: Any) -> Any:  # noqa: ANN401
    import numpy as np

    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()  # of nanoseconds NumPy makes an integer
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value


def _moment(value: Any) -> Any:  # noqa: ANN401
    """Return a time of a library of its own, such as pendulum's."""
    if isinstance(value, datetime):
        return datetime.combine(_moment(value.date()), _moment(value.timetz()))
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    return time(value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold)


_BASES: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: native(value.value)),
    ((date, time), _moment),
    (str, str.__str__),
    (int, int),
    (float, float),
    ((bytes, bytearray, memoryview), bytes),
    (timedelta, lambda value: timedelta(value.days, value.seconds, value.microseconds)),
    (Mapping, dict),
    (tuple, list),
)
