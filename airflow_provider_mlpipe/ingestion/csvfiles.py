"""CSV files as one stream, read twice: once to tell types that hold every value unchanged, once for the rows.

A reader that guesses from the first rows fails on the last ones, or turns the postal code 01234 into a number. Here a
column is a number only if all of its values are written as numbers are; else it stays text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import ISO_DATE, ISO_TIME
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.ingestion.files import SourceFile

__all__ = ["csv_stream"]

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at a time; no single row may be longer."""

_INTEGER = r"-?(?:0|[1-9]\d{0,17})"
_FORMS = {
    "int": rf"^{_INTEGER}$",
    "float": r"^-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)$|^-?(?:0|[1-9]\d{0,14})$",
    "bool": r"^(?:true|false|True|False|TRUE|FALSE)$",
    "date": rf"^{ISO_DATE}$",
    "naive": rf"^{ISO_TIME}$",
    "aware": rf"^{ISO_TIME}(?:Z|[+-]\d{{2}}:?\d{{2}})$",
}


def _kinds() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "naive": pa.timestamp("us"),
        "aware": pa.timestamp("us", "UTC"),
    }


def csv_stream(files: Sequence[SourceFile]) -> Stream:
    """Return the rows of all `files`, whose first line names the columns; an absent column is null.

    An empty field is null, a quoted empty one is an empty text. Lines with too many or too few fields are rejected.
    """
    import pyarrow as pa

    guesses: dict[str, _Guess] = {}
    for file in files:
        for batch in _texts(file, None):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                guesses.setdefault(name, _Guess()).see(column)
    schema = pa.schema([pa.field(name, guess.kind()) for name, guess in guesses.items()])
    return Stream(schema, _chunks(files, schema), detected=list(schema.names))


class _Guess:
    """The types that one column can still have."""

    def __init__(self) -> None:
        self._open = dict(_kinds())
        self._seen = False

    def see(self, column: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = column.drop_null()
        if len(values) == 0:
            return
        self._seen = True
        for name, kind in list(self._open.items()):
            if not pc.all(pc.match_substring_regex(values, _FORMS[name])).as_py():
                del self._open[name]
                continue
            try:
                values.cast(kind)
            except pa.ArrowInvalid:  # 2026-02-30 looks like a date and is none
                del self._open[name]

    def kind(self) -> pa.DataType:
        import pyarrow as pa

        if not self._seen:
            return pa.null()
        return next(iter(self._open.values()), pa.string())


def _chunks(files: Sequence[SourceFile], schema: pa.Schema) -> Iterator[Chunk]:
    import pyarrow as pa

    for file in files:
        rejected: list[Rejected] = []
        for batch in _texts(file, rejected):
            columns = []
            for field in schema:
                position = batch.schema.get_field_index(field.name)
                absent = position < 0 or pa.types.is_null(field.type)
                columns.append(
                    pa.nulls(batch.num_rows, field.type) if absent else batch.column(position).cast(field.type)
                )
            yield Chunk(pa.RecordBatch.from_arrays(columns, schema=schema), _drained(rejected))
        if rejected:
            yield Chunk(pa.RecordBatch.from_pylist([], schema=schema), _drained(rejected))


def _drained(rejected: list[Rejected]) -> tuple[Rejected, ...]:
    some = tuple(rejected)
    rejected.clear()
    return some


def _texts(file: SourceFile, rejected: list[Rejected] | None) -> Iterator[pa.RecordBatch]:
    """Yield the file's fields as text; lines that are no rows go to `rejected`."""
    import pyarrow as pa
    from pyarrow import csv

    def refuse(row: Any) -> str:  # noqa: ANN401 - pyarrow.csv.InvalidRow
        if rejected is not None:
            reason = f"{file.name}: a line with {row.actual_columns} fields instead of {row.expected_columns}"
            rejected.append(Rejected(reason, {"line": row.text}, rule="line", position=file.name))
        return "skip"

    names = _header(file)
    reading = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)
    converting = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    with file.named(), file.unpacked() as stream, csv.open_csv(stream, reading, parsing, converting) as reader:
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield from reader


def _header(file: SourceFile) -> list[str]:
    """Return the names in the first line."""
    from pyarrow import csv

    reading = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    with file.named(), file.unpacked() as stream, csv.open_csv(stream, reading, parsing) as reader:
        return list(reader.schema.names)
