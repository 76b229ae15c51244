"""HTML from Python without a way to forget escaping: whatever is not `Safe` already is escaped when it is put in."""

from __future__ import annotations

import html
import re

__all__ = ["Safe", "join", "prose", "tag", "visible"]

_VOID = frozenset({"meta", "rect", "path"})
_MARKED = re.compile(r"`([^`]+)`")
# Control characters but tab and line feed, zero-width ones but joiners, directional ones, halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


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
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Safe(f"<{name}{given}>" if name == "meta" else f"<{name}{given}/>")
    return Safe(f"<{name}{given}>{join(*content)}</{name}>")


def join(*content: str) -> Safe:
    """Return texts, escaped, and elements one after the other."""
    return Safe("".join(item if isinstance(item, Safe) else _escaped(item) for item in content))


def prose(text: str) -> Safe:
    """Return a sentence in which what stands in backticks is code.

    >>> prose("`age` < 3")
    '<code>age</code> &lt; 3'
    """
    return Safe(_MARKED.sub(r"<code>\1</code>", _escaped(text)))


def visible(text: str) -> str:
    r"""Return a text in which nothing hides: what has no picture, or turns the direction of others, is spelled out.

    >>> print(visible("paid\u202e\x00"))
    paid\u202e\u0000
    """
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escaped(text: str) -> str:
    return html.escape(visible(text))
