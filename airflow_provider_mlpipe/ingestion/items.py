"""What Python gives one by one, as a stream: tables as they are, records with types told from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.detection import Frame, detected
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.natives import natives
from airflow_provider_mlpipe.ingestion.records import expected_columns, frame_of
from airflow_provider_mlpipe.ingestion.stream import Chunk, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.config import DltSource, FunctionSource

    Model = DltSource | FunctionSource

__all__ = ["is_table", "stream_of", "tables_of"]


@contextmanager
def stream_of(items: Iterator[Any], model: Model) -> Iterator[Stream]:
    """Give what `items` yields as a stream.

    Args:
        items: tables (of Arrow, pandas, or whatever gives Arrow's C stream) or records: mappings, objects with
            ``model_dump``, lists of these. One of the two, all along.
        model: how large a batch may be, and what becomes of objects inside records.

    Raises:
        Unreadable: tables and records are mixed, or a later table has other columns or types.
    """
    first = next(items, None)
    everything = items if first is None else chain([first], items)
    if first is not None and is_table(first):
        yield _tables(everything, model)
        return
    frames = _frames(everything, model)
    with detected(frames, expected=expected_columns(model), structs=model.nested == "struct") as stream:
        yield stream


def is_table(item: Any) -> bool:  # noqa: ANN401 - whatever somebody yields
    """Return whether it is a table rather than records."""
    return type(item).__module__.partition(".")[0] in {"pyarrow", "pandas"} or hasattr(item, "__arrow_c_stream__")


def tables_of(item: Any) -> Iterator[pa.Table]:  # noqa: ANN401
    """Yield a table in Arrow's form; one that comes in batches batch by batch.

    An index of pandas that has a name is a column; one without is no data.
    """
    import pyarrow as pa

    if isinstance(item, pa.Table):
        yield item
    elif isinstance(item, pa.RecordBatch):
        yield pa.Table.from_batches([item])
    elif type(item).__module__.partition(".")[0] == "pandas":
        named = any(name is not None for name in item.index.names)
        yield pa.Table.from_pandas(item, preserve_index=named).replace_schema_metadata(None)
    else:
        reader = item if isinstance(item, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(item)
        yield pa.Table.from_batches([], schema=reader.schema)  # the columns, even if no batch comes
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _tables(items: Iterable[Any], model: Model) -> Stream:
    import pyarrow as pa

    tables = _each_table(items)
    first = next(tables)
    schema = first.schema

    def chunks() -> Iterator[Chunk]:
        for table in chain([first], tables):
            if set(table.schema.names) != set(schema.names):
                raise Unreadable(f"a later table has other columns: {table.schema.names}, not {schema.names}")
            try:
                fitted = table.select(schema.names).cast(schema)
            except pa.ArrowException as error:
                raise Unreadable(f"a later table has other types: {error}") from error
            yield from map(Chunk, fitted.to_batches(max_chunksize=model.batch_size))

    return Stream(schema, chunks())


def _each_table(items: Iterable[Any]) -> Iterator[pa.Table]:
    for item in items:
        if not is_table(item):
            raise Unreadable("it yields tables and records; it must yield one of the two")
        yield from tables_of(item)


def _frames(items: Iterable[Any], model: Model) -> Iterator[Frame]:
    before, held = 0, list[Any]()
    for item in items:
        held += _records(item)
        if len(held) >= model.batch_size:
            yield _frame(held, before, model)
            before, held = before + len(held), []
    if held:
        yield _frame(held, before, model)


def _frame(records: list[Any], before: int, model: Model) -> Frame:
    frame = frame_of(records, lambda position: f"record {before + position}", flat=model.nested == "flatten")
    for name in frame.values:
        if not isinstance(name, str):
            raise Unreadable(
                f"a record has the key {name!r}, of type {type(name).__name__}; the names of columns are texts"
            )
    frame.values = {name: natives(values) for name, values in frame.values.items()}
    return frame


def _records(item: Any) -> list[Any]:  # noqa: ANN401
    if is_table(item):
        return [record for table in tables_of(item) for record in table.to_pylist()]
    return [_record(each) for each in item] if isinstance(item, (list, tuple)) else [_record(item)]


def _record(item: Any) -> Any:  # noqa: ANN401
    if hasattr(item, "model_dump"):
        return item.model_dump()
    return dict(item) if isinstance(item, Mapping) and not isinstance(item, dict) else item
