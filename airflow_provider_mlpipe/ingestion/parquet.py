"""Parquet files as one stream: the union of their columns by name, in types that hold every file's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts.writer import plain_batch, plain_schema
from airflow_provider_mlpipe.ingestion.stream import Chunk, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.files import SourceFile

__all__ = ["parquet_stream"]


def parquet_stream(files: Sequence[SourceFile], batch_size: int) -> Stream:
    """Return the rows of all `files`; a column that a file does not have is null there.

    Raises:
        pyarrow.ArrowTypeError: two files hold different things under one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = []
    for file in files:
        with file.named(), file.seekable() as opened:
            schemas.append(plain_schema(pq.read_schema(opened)))
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    return Stream(schema, _chunks(files, schema, batch_size))


def _chunks(files: Sequence[SourceFile], schema: pa.Schema, batch_size: int) -> Iterator[Chunk]:
    import pyarrow.parquet as pq

    for file in files:
        with file.named(), file.seekable() as opened, pq.ParquetFile(opened) as parquet:
            for batch in parquet.iter_batches(batch_size=batch_size):
                yield Chunk(_fitted(plain_batch(batch), schema))


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return `batch` with the columns of `schema`; a checked cast fails rather than change a value."""
    import pyarrow as pa

    columns = []
    for field in schema:
        position = batch.schema.get_field_index(field.name)
        found = pa.nulls(batch.num_rows, field.type) if position < 0 else batch.column(position)
        columns.append(found if found.type == field.type else found.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
