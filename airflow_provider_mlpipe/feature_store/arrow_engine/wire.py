"""Arrays of bytes, one element per row: the pieces that protobuf messages and Feast's keys are put together from.

Protobuf's encoding is public (https://protobuf.dev/programming-guides/encoding): varints carry seven bits a byte,
lowest first; text, bytes, messages and packed lists are preceded by their length. No element here is ever null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["by_distinct", "delimited", "fixed", "grouped", "joined", "select", "varints"]

EMPTY = pa.scalar(b"", pa.binary())

_SEVEN_BITS = np.uint64(0x7F)


def fixed(matrix: npt.NDArray[np.uint8]) -> pa.Array:
    r"""Return the matrix's rows as bytes, all of one length.

    >>> fixed(np.array([[1, 2], [3, 4]], np.uint8)).to_pylist()
    [b'\x01\x02', b'\x03\x04']
    """
    rows, width = matrix.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return _binary(offsets, np.ascontiguousarray(matrix))


def varints(values: npt.NDArray[np.uint64], before: bytes = b"") -> pa.Array:
    r"""Return each number as a varint, with the bytes `before` in front.

    >>> varints(np.array([1, 300], np.uint64), before=b"\x18").to_pylist()
    [b'\x18\x01', b'\x18\xac\x02']
    """
    lengths = np.ones(len(values), np.int64)
    for size in range(1, 10):
        lengths += values >= np.uint64(1 << (7 * size))
    start = len(before)
    longest = int(lengths.max(initial=1))
    matrix = np.empty((len(values), start + longest), np.uint8)
    matrix[:, :start] = np.frombuffer(before, np.uint8)
    for position in range(longest):
        septet = (values >> np.uint64(7 * position)) & _SEVEN_BITS
        matrix[:, start + position] = septet.astype(np.uint8) | np.where(lengths > position + 1, 0x80, 0).astype(
            np.uint8
        )
    lengths += start
    if len(values) and int(lengths.min()) == start + longest:
        return fixed(matrix)
    kept = np.arange(start + longest)[None, :] < lengths[:, None]
    return _binary(_offsets(lengths), matrix[kept])


def delimited(array: pa.Array, before: bytes) -> pa.Array:
    """Return each element behind `before` and its length: a protobuf field of text, bytes or a message."""
    return joined(varints(pc.binary_length(array).to_numpy().astype(np.uint64), before), array)


def grouped(elements: pa.Array, counts: npt.NDArray[np.int64]) -> pa.Array:
    """Return the elements run together, `counts` of them per row.

    >>> grouped(pa.array([b"a", b"bc", b"d"]), np.array([2, 0, 1])).to_pylist()
    [b'abc', b'', b'd']
    """
    _, offsets, data = elements.buffers()
    within = np.frombuffer(offsets, np.int32)[elements.offset : elements.offset + len(elements) + 1]
    return _binary(within[_offsets(counts)], data)


def joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    """Return the parts run together, row by row."""
    return pc.binary_join_element_wise(*parts, EMPTY)


def select(condition: pa.Array | npt.NDArray[np.bool_], array: pa.Array) -> pa.Array:
    """Return the elements where the condition holds, and nothing (no bytes) elsewhere."""
    return pc.if_else(pa.array(condition), array, EMPTY)


def by_distinct(array: pa.Array, function: Callable[[Any], Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return the function of each element, called once per distinct one; for columns of few distinct values.

    >>> by_distinct(pa.array([7, 7, 8]), str, pa.string()).to_pylist()
    ['7', '7', '8']
    """
    encoded = array.dictionary_encode()
    found = pa.array([function(value) for value in encoded.dictionary.to_pylist()], kind or pa.binary())
    return found.take(encoded.indices)


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _binary(offsets: npt.NDArray[np.int32], data: Any) -> pa.Array:  # noqa: ANN401 - any buffer
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data) if data is not None else None]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
