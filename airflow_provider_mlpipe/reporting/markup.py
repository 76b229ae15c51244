"""HTML from Python without a way to forget escaping: whatever is not `Safe` already is escaped when it is put in."""

from __future__ import annotations

import html
import re

__all__ = ["Safe", "join", "prose", "tag"]

_VOID = frozenset({"meta", "rect"})
_MARKED = re.compile(r"`([^`]+)`")


class Safe(str):
    """Text that is HTML. Only `tag`, `prose` and `join` make it from data."""

    __slots__ = ()


def tag(name: str, /, *content: str, **attributes: str | float | None) -> Safe:
    """Return an element.

    Args:
        name: of the element.
        content: texts, escaped, and elements.
        attributes: escaped; a trailing ``_`` is dropped, other ``_`` become ``-``; None leaves the attribute out.

    >>> tag("p", "a < b", tag("b", "!"), class_="x")
    '<p class="x">a &lt; b<b>!</b></p>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Safe(f"<{name}{given}>" if name == "meta" else f"<{name}{given}/>")
    return Safe(f"<{name}{given}>{join(*content)}</{name}>")


def join(*content: str) -> Safe:
    """Return texts, escaped, and elements one after the other."""
    return Safe("".join(item if isinstance(item, Safe) else html.escape(item) for item in content))


def prose(text: str) -> Safe:
    """Return a sentence in which what stands in backticks is code.

    >>> prose("`age` < 3")
    '<code>age</code> &lt; 3'
    """
    return Safe(_MARKED.sub(r"<code>\1</code>", html.escape(text)))
