"""Python values of one type to an Arrow array, without pandas.

``pyarrow.array`` looks whether a list might be something of pandas, and imports pandas to do so: a second of CPU and
60 MB in every task. The four types that JSON is made of need none of that.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

__all__ = ["array_of", "vector"]

_NULL = type(None)


def array_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values that fit as an array of type `kind`.

    Raises:
        pyarrow.ArrowException, ValueError, TypeError, OverflowError: they do not fit.
    """
    import pyarrow as pa

    found = vector(values)
    if found is not None and found.type == kind:
        return found
    return (
        pa.nulls(len(values), kind) if found is not None and found.null_count == len(values) else pa.array(values, kind)
    )


def vector(values: Sequence[Any]) -> pa.Array | None:
    """Return the array of `values` if all, nulls apart, are bool, int, float or str alike; else None.

    Nothing but nulls is an array of nulls.

    >>> vector([1, None, 3]).to_pylist(), vector(["a", None]).to_pylist(), vector([1, "a"])
    ([1, None, 3], ['a', None], None)

    Raises:
        OverflowError: an integer of more than 64 bits.
        ValueError: text that is not Unicode.
    """
    import pyarrow as pa

    types = set(map(type, values))
    nulls = _NULL in types
    types.discard(_NULL)
    if not types:
        return pa.nulls(len(values))
    make = _MAKERS.get(types.pop()) if len(types) == 1 else None
    return None if make is None else make(values, nulls)


def _integers(values: Sequence[Any], nulls: bool) -> pa.Array:  # noqa: FBT001 - called by table
    import pyarrow as pa

    numbers = array("q", [0 if value is None else value for value in values] if nulls else values)
    return _with(pa.int64(), numbers, values, nulls)


def _floats(values: Sequence[Any], nulls: bool) -> pa.Array:  # noqa: FBT001
    import pyarrow as pa

    numbers = array("d", [0.0 if value is None else value for value in values] if nulls else values)
    return _with(pa.float64(), numbers, values, nulls)


def _booleans(values: Sequence[Any], nulls: bool) -> pa.Array:  # noqa: FBT001
    import pyarrow as pa

    bits = _bits(values)
    valid = _valid(values) if nulls else None
    return pa.Array.from_buffers(pa.bool_(), len(values), [valid, bits])


def _texts(values: Sequence[Any], _: bool) -> pa.Array:  # noqa: FBT001
    import pyarrow as pa

    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _with(kind: pa.DataType, numbers: array[Any], values: Sequence[Any], nulls: bool) -> pa.Array:  # noqa: FBT001
    import pyarrow as pa

    valid = _valid(values) if nulls else None
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])


def _valid(values: Sequence[Any]) -> pa.Buffer:
    return _bits([value is not None for value in values])


def _bits(values: Sequence[Any]) -> pa.Buffer:
    """Return a bitmap of what is true; null is not."""
    import pyarrow as pa

    flags = bytes(map(bool, values))
    return pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(flags)]).cast(pa.bool_()).buffers()[1]


_MAKERS: dict[type, Callable[[Sequence[Any], bool], pa.Array]] = {
    bool: _booleans,
    int: _integers,
    float: _floats,
    str: _texts,
}
