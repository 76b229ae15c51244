"""CSV files as one stream, read twice: once to tell types that hold every value unchanged, once for the rows.

A reader that guesses from the first rows fails on the last ones, or turns the postal code 01234 into a number. Here a
column is a number only if all of its values are written as numbers are; else it stays text.
"""

from __future__ import annotations

import codecs
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.conversion import ISO_DATE, ISO_TIME
from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.stream import Chunk, Rejected, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.config.delimited import CsvOptions
    from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile

__all__ = ["csv_stream"]

BLOCK_BYTES = 4 * 1024 * 1024
"""Read at a time. A row that is longer makes its file be read in blocks of the longest row allowed."""

OTHER_DELIMITERS = "\t;|"
"""What divides files that are called csv, too. It is never guessed: a lone column called ``a;b`` is asked about."""

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


def csv_stream(
    files: Sequence[SourceFile], options: CsvOptions, *, select: Collection[str] = (), longest: int = 64_000_000
) -> Stream:
    """Return the rows of all `files`; a column that a file does not have is null there.

    An empty field is null, a quoted empty one is an empty text. Lines with too many or too few fields are rejected.

    Args:
        files: what to read.
        options: how they are written.
        select: the columns to read; all if empty.
        longest: bytes of a row at most.
    """
    import pyarrow as pa

    guesses: dict[str, _Guess] = {}
    readers = [_CsvFile(file, options, frozenset(select), longest) for file in files]
    for reader in readers:
        for batch in reader.examined():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                guesses.setdefault(name, _Guess(options.decimal)).see(column)
    schema = pa.schema([pa.field(name, guess.kind()) for name, guess in guesses.items()])
    return Stream(schema, _chunks(readers, schema, options.decimal), detected=list(schema.names))


class _Guess:
    """The types that one column can still have."""

    def __init__(self, decimal: str) -> None:
        self._open = dict(_kinds())
        self._seen = False
        self._decimal = decimal

    def see(self, column: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        values = column.drop_null()
        if len(values) == 0:
            return
        self._seen = True
        for name, kind in list(self._open.items()):
            form = _FORMS[name].replace(r"(?:\.", "(?:,") if name == "float" and self._decimal == "," else _FORMS[name]
            if not pc.all(pc.match_substring_regex(values, form)).as_py():
                del self._open[name]
                continue
            try:
                _typed(values, kind, self._decimal)
            except pa.ArrowInvalid:  # 2026-02-30 looks like a date and is none
                del self._open[name]

    def kind(self) -> pa.DataType:
        import pyarrow as pa

        if not self._seen:
            return pa.null()
        return next(iter(self._open.values()), pa.string())


def _typed(texts: pa.Array, kind: pa.DataType, decimal: str) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if decimal != "." and pa.types.is_floating(kind):
        texts = pc.replace_substring(texts, decimal, ".")
    return texts.cast(kind)


def _chunks(readers: Sequence[_CsvFile], schema: pa.Schema, decimal: str) -> Iterator[Chunk]:
    import pyarrow as pa

    for reader in readers:
        rejected: list[Rejected] = []
        for batch in reader.texts(rejected):
            columns = []
            for field in schema:
                position = batch.schema.get_field_index(field.name)
                absent = position < 0 or pa.types.is_null(field.type)
                columns.append(
                    pa.nulls(batch.num_rows, field.type)
                    if absent
                    else _typed(batch.column(position), field.type, decimal)
                )
            yield Chunk(pa.RecordBatch.from_arrays(columns, schema=schema), _drained(rejected))
        if rejected:
            yield Chunk(pa.RecordBatch.from_pylist([], schema=schema), _drained(rejected))


def _drained(rejected: list[Rejected]) -> tuple[Rejected, ...]:
    some = tuple(rejected)
    rejected.clear()
    return some


class _CsvFile:
    """One file; what was learned in the first reading is kept for the second."""

    def __init__(self, file: SourceFile, options: CsvOptions, select: frozenset[str], longest: int) -> None:
        self._file, self._options, self._select, self._longest = file, options, select, longest
        self._names: list[str] | None = None
        self._block = min(BLOCK_BYTES, longest)

    def examined(self) -> Iterator[pa.RecordBatch]:
        """Yield the fields as text for a first look, and make sure that the last row is one.

        Raises:
            Unreadable: a quote is not closed, so that all the lines after it are one field.
        """
        last: pa.RecordBatch | None = None
        for batch in self.texts(None):
            last = batch.slice(batch.num_rows - 1) if batch.num_rows else last
            yield batch
        values = [] if last is None else [column[0].as_py() or "" for column in last.columns]
        quote = self._options.quote
        if quote is None or self._options.escape is not None or not any("\n" in value for value in values):
            return
        if sum(text.count(quote) for text in _decoded(self._file, self._options.encoding)) % 2:
            rows = max(value.count("\n") for value in values)
            raise Unreadable(
                f"{self._file.name}: a quote is not closed, the CSV's last field goes over {rows} line breaks to the "
                "end; repair it, or set csv.quote"
            )

    def texts(self, rejected: list[Rejected] | None) -> Iterator[pa.RecordBatch]:
        """Yield the fields as text; lines that are no rows go to `rejected`.

        With None for `rejected` this may start over when it meets a row longer than a block: the first reading.
        """
        import pyarrow as pa

        try:
            if self._names is None:
                self._names = self._header()
            yield from self._texts(self._names, rejected)
        except pa.ArrowInvalid as error:
            if self._block >= self._longest or rejected is not None:
                raise Unreadable(
                    f"{self._file.name}: a row is longer than max_record_bytes = {self._longest:,}; "
                    "is a quote not closed?"
                ) from error
            self._block = self._longest
            yield from self.texts(rejected)

    def _texts(self, names: list[str], rejected: list[Rejected] | None) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyarrow import csv

        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[name for name in names if name in self._select] if self._select else None,
            null_values=self._options.null_values,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        reading, parsing = self._reading(names), self._parsing(rejected)
        with (
            self._explained(),
            self._file.unpacked() as stream,
            csv.open_csv(stream, reading, parsing, converting) as reader,
        ):
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            yield from reader

    def _header(self) -> list[str]:
        """Return the names of the columns."""
        from pyarrow import csv

        reading, parsing = self._reading(self._options.names), self._parsing(None)
        with (
            self._explained(),
            self._file.unpacked() as stream,
            csv.open_csv(stream, reading, parsing) as reader,
        ):
            names = list(reader.schema.names)
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise Unreadable(
                f"{self._file.name}: the header names {', '.join(map(repr, twice))} more than once; give csv.names"
            )
        other = next((mark for mark in OTHER_DELIMITERS if mark in names[0]), "") if len(names) == 1 else ""
        if other and not {"delimiter", "names"} & self._options.model_fields_set:
            raise Unreadable(
                f"{self._file.name}: the header is one column, {names[0]!r}; set csv.delimiter, to {other!r} if that "
                "divides it"
            )
        return names

    def _reading(self, names: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow.csv.ReadOptions
        from pyarrow import csv

        options, known = self._options, bool(self._options.names)
        return csv.ReadOptions(
            block_size=self._block,
            use_threads=False,
            encoding="utf8" if options.encoding == "utf-8" else options.encoding,
            column_names=list(names) if known else None,
            autogenerate_column_names=not options.header and not known,
            skip_rows=options.skip_lines + (1 if known and options.header else 0),
        )

    def _parsing(self, rejected: list[Rejected] | None) -> Any:  # noqa: ANN401 - pyarrow.csv.ParseOptions
        from pyarrow import csv

        def refuse(row: Any) -> str:  # noqa: ANN401 - pyarrow.csv.InvalidRow
            if rejected is not None:
                name = self._file.name
                reason = f"{name}: a line with {row.actual_columns} fields instead of {row.expected_columns}"
                at = name if row.number is None else f"{name}:{row.number}"
                rejected.append(Rejected(reason, {"line": row.text}, rule="line", position=at))
            return "skip"

        options = self._options
        return csv.ParseOptions(
            delimiter=options.delimiter,
            quote_char=options.quote or False,
            double_quote=options.quote is not None,
            escape_char=options.escape or False,
            newlines_in_values=options.quote is not None or options.escape is not None,
            invalid_row_handler=refuse,
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Name the file, and the line if it is that which is no text."""
        import pyarrow as pa

        try:
            with self._file.named():
                yield
        except Unreadable as error:
            cause = error.__cause__
            if isinstance(cause, pa.ArrowInvalid) and self._exceeds_block(str(cause)):
                raise cause from None
            if "UTF8" not in str(cause) and not isinstance(cause, UnicodeDecodeError):
                raise
            line = _undecodable_line(self._file, self._options.encoding)
            raise Unreadable(
                f"{self._file.name}:{line}: CSV that is not {self._options.encoding}; set csv.encoding"
            ) from cause

    def _exceeds_block(self, problem: str) -> bool:
        """Whether it is a row longer than a block that pyarrow could not read."""
        if "Empty CSV file or block" in problem:
            # In one of some hundred times it is this that it says of the row (pyarrow 26.0).
            with self._file.unpacked() as stream:
                return bool(stream.read(self._block).strip(b"\r\n\0\xff\xfe\xef\xbb\xbf"))
        return "straddling" in problem


def _decoded(file: SourceFile, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.unpacked() as stream:
        while block := stream.read(1024 * 1024):
            yield decoder.decode(block)


def _undecodable_line(file: SourceFile, encoding: str) -> int:
    """Return the 1-based number of the first line that is not in `encoding`."""
    line = 1
    try:
        for text in _decoded(file, encoding):
            line += text.count("\n")
    except UnicodeDecodeError as error:
        return line + str(error.object[: error.start], encoding, "replace").count("\n")
    return line
