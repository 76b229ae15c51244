"""JSON records as frames: columns by key; what is no object is a rejected row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.detection import Frame
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_mlpipe.config import ApiSource, FileSource

__all__ = ["expected_columns", "frame_of"]


def frame_of(records: Sequence[Any], where: Callable[[int], str]) -> Frame:
    """Return `records` as a frame; an absent key is null.

    Args:
        records: whatever stands where records should.
        where: names a record by its 1-based position, for the reason of a rejection.
    """
    good = [record for record in records if isinstance(record, dict)]
    rejected = [
        Rejected(f"{where(position)} is a {type(record).__name__}, not an object", {"value": record})
        for position, record in enumerate(records, 1)
        if not isinstance(record, dict)
    ]
    names = dict.fromkeys(name for record in good for name in record)
    return Frame(len(good), {name: [record.get(name) for record in good] for name in names}, rejected)


def expected_columns(model: ApiSource | FileSource) -> list[str]:
    """Return the source's names of the columns that the configuration speaks of: the schema if there are no rows."""
    keys = [] if model.deduplicate is None else [*model.deduplicate.keys, *model.deduplicate.order_by]
    theirs = [model.columns.get(name, name) for name in [*model.required_columns, *keys]]
    theirs += list(model.columns.values())
    if model.incremental is not None:
        theirs.append(model.incremental.cursor_column)
    return list(dict.fromkeys(name for name in theirs if name is not None))
