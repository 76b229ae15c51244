"""Parquet files as one stream: the union of their columns by name, in types that hold every file's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts.writer import plain_batch, plain_schema
from airflow_provider_mlpipe.ingestion.casting import arrow_type, cast
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa
    import pyarrow.parquet as pq

    from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile

__all__ = ["BATCH_ROWS", "parquet_stream"]

BATCH_ROWS = 131_072
BATCH_BYTES = 32 * 1024 * 1024
"""Of a batch, about: fewer rows at a time where rows are wide."""

WHOLE_BYTES = 8 * 1024 * 1024
"""Of a file in a bucket that is fetched at once: one request costs less CPU than a few ranges of it, read ahead."""

FOOTERS = 1_000
"""Of so many files the footer is kept from the first look to the reading; of more, it is read again."""


def parquet_stream(
    files: Sequence[SourceFile],
    batch_size: int,
    *,
    select: Collection[str] = (),
    declared: Mapping[str, str] | None = None,
) -> Stream:
    """Return the rows of all `files`; a column that a file does not have is null there.

    Args:
        files: what to read.
        batch_size: rows at a time, at most.
        select: the columns to fetch; all if empty.
        declared: types of columns by word: what files disagree on is brought to these.

    Raises:
        Unreadable: files hold different things under one name, and no type is declared for it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {name: arrow_type(word) for name, word in (declared or {}).items()}
    footers: list[pq.FileMetaData | None] = []
    found: dict[str, _Column] = {}
    for file in files:
        with file.named(), file.seekable() as opened:
            footer = pq.read_metadata(opened)
            schema = plain_schema(footer.schema.to_arrow_schema())
        footers.append(footer if len(footers) < FOOTERS else None)
        for field in schema:
            if not select or field.name in select:
                found.setdefault(field.name, _Column(wanted.get(field.name))).see(field.type, file)
    united = pa.schema([pa.field(name, column.type(name)) for name, column in found.items()])
    return Stream(united, _chunks(files, footers, united, batch_size, some=bool(select)))


class _Column:
    """The types that one column has in the files."""

    def __init__(self, declared: pa.DataType | None) -> None:
        self._declared = declared
        self._first: dict[pa.DataType, SourceFile] = {}

    def see(self, kind: pa.DataType, file: SourceFile) -> None:
        self._first.setdefault(kind, file)

    def type(self, name: str) -> pa.DataType:
        """Return the type that holds all; the declared one if the files do not agree."""
        import pyarrow as pa

        if len(self._first) == 1:
            return next(iter(self._first))
        if self._declared is not None:
            return self._declared
        schemas = [pa.schema([pa.field(name, kind)]) for kind in self._first]
        try:
            return pa.unify_schemas(schemas, promote_options="permissive").field(name).type
        except pa.ArrowException:
            listed = ", ".join(f"{kind} in {file.name}" for kind, file in list(self._first.items())[:5])
            raise Unreadable(
                f"{name} has incompatible types: {listed}; declare one, e.g. types: {{{name}: string}}"
            ) from None


def _chunks(
    files: Sequence[SourceFile],
    footers: Sequence[pq.FileMetaData | None],
    schema: pa.Schema,
    batch_size: int,
    *,
    some: bool,
) -> Iterator[Chunk]:
    import pyarrow.parquet as pq

    for file, footer in zip(files, footers, strict=True):
        with (
            file.named(),
            file.seekable() as opened,
            pq.ParquetFile(_near(opened, file, some=some), metadata=footer, pre_buffer=True) as parquet,
        ):
            columns = [name for name in parquet.schema_arrow.names if name in schema.names] if some else None
            # One row group after the other: what is fetched ahead is one row group, not the file.
            for group in range(parquet.num_row_groups):
                rows = _rows_at_a_time(parquet.metadata.row_group(group), batch_size)
                for batch in parquet.iter_batches(rows, row_groups=[group], columns=columns):
                    yield _fitted(plain_batch(batch), schema, file)


def _near(opened: pa.NativeFile, file: SourceFile, *, some: bool) -> pa.NativeFile:
    """Return a small file of which all is wanted as it is in memory; any other as it was opened."""
    import pyarrow as pa
    import pyarrow.fs as pafs

    if some or isinstance(file.filesystem, pafs.LocalFileSystem) or opened.size() > WHOLE_BYTES:
        return opened
    return pa.BufferReader(opened.read_buffer())


def _rows_at_a_time(group: pq.RowGroupMetaData, batch_size: int) -> int:
    each = group.total_byte_size / max(group.num_rows, 1)
    return max(1, min(batch_size, int(BATCH_BYTES / max(each, 1))))


def _fitted(batch: pa.RecordBatch, schema: pa.Schema, file: SourceFile) -> Chunk:
    """Return `batch` with the columns of `schema`; a row with a value that does not fit there is rejected."""
    import pyarrow as pa

    columns = []
    bad: dict[int, str] = {}
    for field in schema:
        position = batch.schema.get_field_index(field.name)
        found = pa.nulls(batch.num_rows, field.type) if position < 0 else batch.column(position)
        if pa.types.is_nested(field.type) and found.type != field.type:
            found = found.cast(field.type)
        column, misfits = cast(found, field.type)
        for row, reason in misfits.items():
            bad.setdefault(row, f"{file.name}: {field.name}: {reason}")
        columns.append(column)
    fitted = pa.RecordBatch.from_arrays(columns, schema=schema)
    if not bad:
        return Chunk(fitted)
    rejected = tuple(
        Rejected(reason, batch.slice(row, 1).to_pylist()[0], position=file.name) for row, reason in sorted(bad.items())
    )
    return Chunk(fitted.filter(pa.array([row not in bad for row in range(batch.num_rows)])), rejected)
