"""What a command says: one JSON document for machines, tables and a progress bar for people."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console

__all__ = ["Results", "as_text", "results", "table"]

WIDTH_WITHOUT_TERMINAL = 160


@dataclass(frozen=True)
class Results:
    """Where a command's result goes.

    Attributes:
        stream: the real stdout, while libraries that print see stderr.
        as_json: whether a machine reads it.
    """

    stream: TextIO
    as_json: bool

    def emit(self, document: dict[str, Any], people: Callable[[Console], None]) -> None:
        """Write `document` for machines, or let `people` write to a console."""
        try:
            if self.as_json:
                self.stream.write(as_text(document) + "\n")
            else:
                from rich.console import Console

                width = None if self.stream.isatty() else WIDTH_WITHOUT_TERMINAL
                people(Console(file=self.stream, width=width, highlight=False, soft_wrap=True))
            self.stream.flush()
        except BrokenPipeError:
            # Whoever read this (head, less) has seen enough. What is still to be flushed at the end goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[[int], None]]:
        """Show on stderr that something goes on, and how many rows so far; only to people at a terminal."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _rows: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[rows]}"))
        with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=None, rows="")
            yield lambda rows: bar.update(task, rows=f"{rows:,} rows")


@contextmanager
def results(*, as_json: bool) -> Iterator[Results]:
    """Keep stdout for the result: whatever a library prints meanwhile goes to stderr."""
    stream = sys.stdout
    with redirect_stdout(sys.stderr):
        yield Results(stream, as_json)


def as_text(document: Any) -> str:  # noqa: ANN401 - any JSON-ready value
    """Return a JSON document; times in ISO 8601, other foreign values as text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=_plain)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:  # noqa: ANN401 - rich is late
    """Return a rich table; numbers to the right, None as a dash."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    drawn = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for position, name in enumerate(columns):
        numeric = any(isinstance(row[position], (int, float)) for row in listed)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        drawn.add_row(*(Text(_cell(value)) for value in row))
    return drawn


def _cell(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
