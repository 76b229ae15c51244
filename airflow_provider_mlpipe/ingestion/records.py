"""JSON records as frames: columns by key; what is no object is a rejected row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.detection import Frame
from airflow_provider_mlpipe.ingestion.nesting import flattened
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_mlpipe.config import ApiSource, DltSource, FileSource, FunctionSource, KafkaSource

__all__ = ["expected_columns", "frame_of", "parsed"]

# Every digit as a zero: looking for a run of them is then a search for a constant, ten times as fast as a pattern.
_ZEROS = bytes(48 if chr(byte).isdigit() else byte for byte in range(128)) + bytes(range(128, 256))
_LONG_NUMBER = b"0" * 19
_MOST_DIGITS = 4_000
"""Python refuses to read longer integers, as that takes quadratic time."""


def parsed(content: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON document with its integers exact, however long.

    orjson makes floats of integers beyond 64 bits, without a word; documents that may hold one are read again.

    >>> parsed(b"[123456789012345678901]")
    [123456789012345678901]

    Raises:
        ValueError: it is no JSON.
    """
    import orjson

    document = orjson.loads(content)
    if _LONG_NUMBER not in content.translate(_ZEROS):
        return document
    return json.loads(content, parse_int=lambda digits: int(digits) if len(digits) < _MOST_DIGITS else digits)


def frame_of(records: Sequence[Any], where: Callable[[int], str], *, flat: bool = False) -> Frame:
    """Return `records` as a frame; an absent key is null.

    Args:
        records: whatever stands where records should.
        where: names a record by its 1-based position, for the reason of a rejection.
        flat: whether objects inside become columns of their own.
    """
    good = [record for record in records if isinstance(record, dict)]
    good = [flattened(record) for record in good] if flat else good
    rejected = [
        Rejected(
            f"{where(position)} is a {type(record).__name__}, not an object",
            {"value": record},
            rule="record",
            position=where(position),
        )
        for position, record in enumerate(records, 1)
        if not isinstance(record, dict)
    ]
    names = dict.fromkeys(name for record in good for name in record)
    return Frame(len(good), {name: [record.get(name) for record in good] for name in names}, rejected)


def expected_columns(model: ApiSource | DltSource | FileSource | FunctionSource | KafkaSource) -> list[str]:
    """Return the source's names of the columns that the configuration speaks of: the schema if there are no rows."""
    keys = [] if model.deduplicate is None else [*model.deduplicate.keys, *model.deduplicate.order_by]
    theirs = [model.columns.get(name, name) for name in [*model.required_columns, *keys]]
    theirs += list(model.columns.values())
    if model.incremental is not None:
        theirs.append(model.incremental.cursor_column)
    return list(dict.fromkeys(name for name in theirs if name is not None))
