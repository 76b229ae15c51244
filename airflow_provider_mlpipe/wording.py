"""How messages are worded: what is hidden, what is suggested, how samples look. Exceptions and reports share it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_SAMPLES", "did_you_mean", "redact", "samples"]

MAX_SAMPLES = 5
"""At most this many sample values stand in a message."""

_URL_PASSWORD = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*://[^\s:/@]*):\S+@", re.IGNORECASE)
_SECRET_ASSIGNMENT = re.compile(
    r"(?P<name>[\w\-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|signature|credential)[\w\-]*)"
    r"(?P<sep>[\"']?\s*[=:]\s*[\"']?)(?!\$\{)[^\s\"'&;,}]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(?P<kind>\b(?:bearer|basic)\s+)[\w\-.~+/=]{4,}", re.IGNORECASE)


def redact(text: str) -> str:
    """Hide passwords in URLs, ``password=...``-like assignments and authorisation headers.

    >>> redact("postgresql://ann:s3cret@db:5432/shop?sslmode=require")
    'postgresql://ann:***@db:5432/shop?sslmode=require'
    >>> redact("GET https://api/x?api_key=abc&page=2 with Bearer eyJhbGciOi")
    'GET https://api/x?api_key=***&page=2 with Bearer ***'
    """
    text = _AUTHORIZATION.sub(r"\g<kind>***", text)
    text = _URL_PASSWORD.sub(r"\g<scheme>:***@", text)
    return _SECRET_ASSIGNMENT.sub(r"\g<name>\g<sep>***", text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest known name, or an empty string.

    >>> did_you_mean("requird_columns", ["required_columns", "table"])
    " Did you mean 'required_columns'?"
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def samples(values: Iterable[Any], limit: int = MAX_SAMPLES) -> str:
    """Format at most `limit` values for a message, each shortened to 80 characters."""
    shown: list[str] = []
    for value in values:
        if len(shown) == limit:
            shown.append("...")
            break
        text = repr(value)
        shown.append(text if len(text) <= 80 else text[:77] + "...")
    return ", ".join(shown)
