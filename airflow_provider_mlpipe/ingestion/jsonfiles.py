"""JSON and JSON lines as frames: read piece by piece, whatever the size of the file."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.ingestion.failures import Unreadable
from airflow_provider_mlpipe.ingestion.jsondocument import NotJsonError, TooLongError, elements
from airflow_provider_mlpipe.ingestion.records import frame_of, parsed
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from airflow_provider_mlpipe.ingestion.detection import Frame
    from airflow_provider_mlpipe.ingestion.sourcefile import SourceFile

__all__ = ["JsonReading", "json_frames"]

FRAME_BYTES = 16 * 1024 * 1024
"""Text per frame at most, unless a single record is longer."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class JsonReading:
    """How to read.

    Attributes:
        batch_size: records per frame at most.
        lines: whether each line is a record; else each file is a list of records, or one record.
        flat: whether objects inside become columns of their own.
        select: the columns to keep; all if empty.
        longest: bytes of a line or record at most.
        seen: the columns that were there, selected or not, once all was read.
    """

    batch_size: int
    lines: bool
    flat: bool = False
    select: frozenset[str] = frozenset()
    longest: int = 64_000_000
    seen: set[str] = field(default_factory=set)


def json_frames(files: Sequence[SourceFile], reading: JsonReading) -> Iterator[Frame]:
    """Yield the records of all `files`.

    Raises:
        Unreadable: a file is no JSON (with `lines`, a line that is none is only rejected), or a record is too long.
    """
    for file in files:
        with file.named():
            yield from _lines(file, reading) if reading.lines else _document(file, reading)


def _lines(file: SourceFile, reading: JsonReading) -> Iterator[Frame]:
    with file.unpacked() as stream, io.BufferedReader(stream, 1024 * 1024) as reader:
        for some in _portions(_numbered(file, reader, reading.longest), reading.batch_size):
            yield _frame_of_lines(file, some, reading)


def _numbered(file: SourceFile, reader: io.BufferedReader, longest: int) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := reader.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise Unreadable(f"{file.name}:{number} is longer than max_record_bytes = {longest:,}")
        line = line.removeprefix(_BOM) if number == 1 else line
        if line.strip():
            yield number, line


def _portions(lines: Iterable[tuple[int, bytes]], batch_size: int) -> Iterator[list[tuple[int, bytes]]]:
    """Cut the lines into lists that are bounded in number and bytes."""
    some: list[tuple[int, bytes]] = []
    size = 0
    for number, line in lines:
        some.append((number, line))
        size += len(line)
        if len(some) >= batch_size or size >= FRAME_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _frame_of_lines(file: SourceFile, lines: list[tuple[int, bytes]], reading: JsonReading) -> Frame:
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
    frame = _frame(records, lambda position: f"{file.name}:{numbers[position - 1]}", reading)
    frame.rejected.extend(broken)
    return frame


def _document(file: SourceFile, reading: JsonReading) -> Iterator[Frame]:
    records: list[Any] = []
    count = size = 0

    def frame() -> Frame:
        start = count - len(records)
        return _frame(records, lambda position: f"record {start + position} of {file.name}", reading)

    with file.unpacked() as stream:
        try:
            for record, length in elements(stream, longest=reading.longest):
                records.append(record)
                count, size = count + 1, size + length
                if len(records) >= reading.batch_size or size >= FRAME_BYTES:
                    yield frame()
                    records, size = [], 0
        except NotJsonError as error:
            at = f" after {count} records" if count else ""
            raise Unreadable(
                f"{file.name} is no JSON{at} ({error}); is it JSON lines? then set format: jsonl"
            ) from None
        except TooLongError:
            problem = f"record {count + 1} of {file.name} is longer than max_record_bytes = {reading.longest:,}"
            raise Unreadable(problem) from None
        if records:
            yield frame()


def _frame(records: Sequence[Any], where: Callable[[int], str], reading: JsonReading) -> Frame:
    frame = frame_of(records, where, flat=reading.flat)
    if reading.select:
        reading.seen.update(frame.values)
        frame.values = {name: values for name, values in frame.values.items() if name in reading.select}
    return frame
