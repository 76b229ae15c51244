"""Which entities belong to a chunk: the same on every engine, as it follows from the MD5 of the key's text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk

__all__ = ["chunked"]

_DIGITS = "0123456789abcdef"
_READ = 5
"""Hexadecimal digits of the hash that count: a million values, so that 256 chunks are even."""


def chunked(table: Any, column: str, chunk: Chunk | None) -> Any:  # noqa: ANN401 - ibis has no types
    """Return the rows whose key is in the chunk; rows without a key are in the first, so that each is in one."""
    import ibis

    if chunk is None:
        return table
    digest = table[column].cast("string").hexdigest("md5")
    # Engines disagree on how text becomes a number in base 16, and agree on where a letter stands in a text.
    number = ibis.literal(0, "int64")
    for position in range(_READ):
        number = number * 16 + ibis.literal(_DIGITS).find(digest.substr(position, 1)).cast("int64")
    return table.filter((number % chunk.of).fill_null(0) == chunk.index)
