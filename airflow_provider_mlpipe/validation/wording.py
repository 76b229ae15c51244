"""How numbers, names and times are put into words, in one way everywhere: log, error, report, GX notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

__all__ = ["column", "columns", "number", "plural", "quoted", "share", "things", "value", "when"]

MAX_LISTED = 12
MAX_VALUE = 80


def number(amount: float) -> str:
    """Return a number for people.

    >>> number(1234567), number(0.25), number(24.0)
    ('1,234,567', '0.25', '24')
    """
    if isinstance(amount, int):
        return f"{amount:,}"
    return f"{amount:,.0f}" if amount.is_integer() and abs(amount) < 1e15 else f"{amount:,.6g}"


def plural(count: int, word: str) -> str:
    """Return a count and its noun.

    >>> plural(1, "rule"), plural(1200, "row")
    ('1 rule', '1,200 rows')
    """
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def share(part: float) -> str:
    """Return a share of one as per cent, never rounded to 0 or 100 when it is not.

    >>> share(0.5), share(0.00001), share(0.99999), share(1.0)
    ('50 %', '< 0.01 %', '> 99.99 %', '100 %')
    """
    if 0 < part < 0.0001:
        return "< 0.01 %"
    if 0.9999 < part < 1:
        return "> 99.99 %"
    return f"{part * 100:.2f}".rstrip("0").rstrip(".") + " %"


def column(name: str) -> str:
    """Return a column name marked as such."""
    return f"`{name}`"


def columns(names: Sequence[str]) -> str:
    """Return column names as a list in words.

    >>> columns(["a", "b", "c"])
    '`a`, `b` and `c`'
    """
    shown = [column(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def value(thing: Any) -> str:  # noqa: ANN401 - any value of a table
    """Return one value, shortened to 80 characters."""
    text = "null" if thing is None else str(thing)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def quoted(thing: Any) -> str:  # noqa: ANN401
    """Return one value as a log shows it: texts in quotes, so that blanks are seen and lines stay lines.

    >>> quoted("Active "), quoted(200), quoted(None)
    ("'Active '", '200', 'null')
    """
    return value(repr(thing)) if isinstance(thing, str) else value(thing)


def things(values: Iterable[Any]) -> str:
    """Return at most 12 values, and how many more there are."""
    listed = list(values)
    more = f" … ({len(listed):,} in all)" if len(listed) > MAX_LISTED else ""
    return ", ".join(value(item) for item in listed[:MAX_LISTED]) + more


def when(moment: datetime) -> str:
    """Return an instant for people.

    >>> from datetime import UTC, datetime
    >>> when(datetime(2026, 1, 14, 2, tzinfo=UTC))
    '2026-01-14 02:00 UTC'
    """
    precise = "%Y-%m-%d %H:%M:%S UTC" if moment.second or moment.microsecond else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(precise)
