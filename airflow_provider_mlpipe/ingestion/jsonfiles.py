"""JSON and JSON lines as frames. Lines are read one by one; a JSON document has to fit into memory as a whole."""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.records import frame_of, parsed
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_mlpipe.ingestion.detection import Frame
    from airflow_provider_mlpipe.ingestion.files import SourceFile

__all__ = ["json_frames"]


def json_frames(files: Sequence[SourceFile], batch_size: int, *, lines: bool, flat: bool = False) -> Iterator[Frame]:
    """Yield the records of all `files`, at most `batch_size` at a time.

    Args:
        files: what to read.
        batch_size: records per frame.
        lines: whether each line is a record; else each file is a list of records, or one record.
        flat: whether objects inside become columns of their own.
    """
    for file in files:
        yield from _lines(file, batch_size, flat=flat) if lines else _document(file, batch_size, flat=flat)


def _lines(file: SourceFile, batch_size: int, *, flat: bool) -> Iterator[Frame]:
    with file.unpacked() as stream, io.BufferedReader(stream, 1024 * 1024) as reader:
        numbered = enumerate(reader, 1)
        while some := list(islice(numbered, batch_size)):
            yield _frame_of_lines(file, [(number, line) for number, line in some if line.strip()], flat=flat)


def _frame_of_lines(file: SourceFile, lines: list[tuple[int, bytes]], *, flat: bool) -> Frame:
    records: list[Any] = []
    numbers: list[int] = []
    broken: list[Rejected] = []
    for number, line in lines:
        try:
            records.append(parsed(line))
            numbers.append(number)
        except ValueError as error:
            text = line.decode(errors="replace").rstrip("\r\n")
            at = f"{file.name}:{number}"
            broken.append(Rejected(f"{at} is no JSON ({error})", {"line": text}, rule="line", position=at))
    frame = frame_of(records, lambda position: f"{file.name}:{numbers[position - 1]}", flat=flat)
    frame.rejected.extend(broken)
    return frame


def _document(file: SourceFile, batch_size: int, *, flat: bool) -> Iterator[Frame]:
    with file.unpacked() as stream:
        content = stream.read()
    try:
        document = parsed(content)
    except ValueError as error:
        raise Unreadable(f"{file.name} is no JSON ({error}); is it JSON lines? then set format: jsonl") from None
    records = document if isinstance(document, list) else [document]
    for start in range(0, len(records), batch_size):

        def where(position: int, start: int = start) -> str:
            return f"record {start + position} of {file.name}"

        yield frame_of(records[start : start + batch_size], where, flat=flat)
