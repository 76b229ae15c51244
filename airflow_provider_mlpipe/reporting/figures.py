"""Numbers, times and bars as a page shows them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.markup import Safe, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["amount", "bar", "cut", "hours", "moment", "percent", "segments", "shorten", "word"]

MAX_TEXT = 90


def amount(number: float) -> str:
    """Return a number with thousands separated."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"


def word(count: int, noun: str) -> str:
    """Return a count and its noun.

    >>> word(1, "error"), word(2, "error")
    ('1 error', '2 errors')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(share: float) -> str:
    """Return a share as per cent, never rounded to 0 when it is not.

    >>> percent(0.25), percent(0.00002)
    ('25 %', '< 0.01 %')
    """
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"


def hours(length: float) -> str:
    """Return a length of time, in days from three days on.

    >>> hours(24.0), hours(7.25), hours(5259.0)
    ('24 h', '7.2 h', '219.1 days')
    """
    if length >= 72:
        return f"{length / 24:,.1f}".removesuffix(".0") + " days"
    return f"{length:,.1f}".removesuffix(".0") + " h"


def moment(iso: str) -> str:
    """Return an ISO 8601 instant for people; what is none stays as it is."""
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return iso


def shorten(value: Any) -> str:  # noqa: ANN401 - a value of the data
    """Return a value of the data as text of bounded length."""
    text = "null" if value is None else amount(value) if isinstance(value, float) else str(value)
    if not text or text != text.strip():
        text = repr(text)  # blanks at an end are often what is wrong
    return cut(text, MAX_TEXT)


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bar(share: float, *, kind: str, label: str, class_: str | None = None) -> Safe:
    """Return a bar filled to `share`; a share above 0 is always visible."""
    width = 0.0 if share <= 0 else max(share * 100, 0.8)
    return segments([(kind, width), ("track", 100 - width)], class_=class_, label=label)


def segments(parts: Sequence[tuple[str, float]], *, class_: str | None = None, label: str | None = None) -> Safe:
    """Return a bar of coloured parts, each as wide as its number."""
    total = sum(size for _, size in parts) or 1
    drawn: list[Safe] = []
    start = 0.0
    for kind, size in parts:
        width = 100 * size / total
        place = {"x": f"{start:.3f}%", "width": f"{width:.3f}%"}
        drawn.append(tag("rect", height="100%", class_=f"fill-{kind}", **place))
        start += width
    hidden = None if label else "true"
    role = "img" if label else None
    return tag("svg", join(*drawn), class_=class_, role=role, aria_label=label, aria_hidden=hidden)
