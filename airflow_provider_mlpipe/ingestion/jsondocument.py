"""The records of a JSON document one by one, without holding the document.

The document is a list of records, or one record. Only as much text is held as the longest record needs.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

__all__ = ["NotJsonError", "TooLongError", "elements"]

BLOCK_BYTES = 1024 * 1024
_MOST_DIGITS = 4_000
"""Python refuses to read longer integers, as that takes quadratic time; they stay text."""
_LONGEST_WORD = 16
"""More characters than any literal or escape has that may be cut off."""
_AFTER = frozenset(" \t\n\r,]")
_SPACE = re.compile(r"[ \t\n\r]*")


class NotJsonError(ValueError):
    """The text is no JSON, or ends too early."""


class TooLongError(ValueError):
    """A record is longer than allowed."""


def elements(stream: Any, *, longest: int) -> Iterator[tuple[Any, int]]:  # noqa: ANN401 - anything with read()
    """Yield the records of the JSON in `stream`, each with the number of its characters; integers are exact.

    >>> import io
    >>> list(elements(io.BytesIO(b'[{"a": 1}, {"a": 2}]'), longest=100))
    [({'a': 1}, 8), ({'a': 2}, 8)]

    Args:
        stream: bytes in UTF-8, with or without a byte order mark.
        longest: characters of a record at most.

    Raises:
        NotJsonError: that is no JSON.
        TooLongError: a record is longer than `longest`.
    """
    text = _Text(stream, longest)
    if text.peek() != "[":
        yield text.value()
        text.end()
        return
    text.skip()
    if text.peek() == "]":
        text.skip()
        text.end()
        return
    while True:
        yield text.value()
        mark = text.peek()
        text.skip()
        if mark == "]":
            text.end()
            return
        if mark != ",":
            raise NotJsonError(f"expected , or ] instead of {mark!r}" if mark else "it ends inside a list")


class _Text:
    """The part of the text that is held, and the position in it."""

    def __init__(self, stream: Any, longest: int) -> None:  # noqa: ANN401
        self._stream, self._longest = stream, longest
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._held, self._at = "", 0
        self._begun = self._over = False
        self._scan = json.JSONDecoder(parse_constant=_refuse).raw_decode
        self._scan_long = json.JSONDecoder(parse_constant=_refuse, parse_int=_long).raw_decode

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            match = _SPACE.match(self._held, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Go beyond the character that was peeked."""
        self._at += 1

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            raise NotJsonError("there is more after its end")

    def value(self) -> tuple[Any, int]:
        """Return the next value and its length."""
        if self.peek() == "":
            raise NotJsonError("it ends where a value should be" if self._begun else "it is empty")
        wanted = 0
        while True:
            found = self._parsed() if len(self._held) - self._at >= wanted or self._over else None
            if found is not None:
                if found[1] > self._longest:
                    raise TooLongError
                self._at += found[1]
                return found
            if len(self._held) - self._at > self._longest:
                raise TooLongError
            # Twice as much before the next try, so that a long record is not parsed again for every block.
            wanted = 2 * (len(self._held) - self._at)
            self._more()

    def _parsed(self) -> tuple[Any, int] | None:
        """Return the value that begins here, None if more text is needed to tell."""
        try:
            found, end = self._scanned()
        except json.JSONDecodeError as error:
            # A text that is cut off is wrong at its end, or where a string began.
            cut = error.msg.startswith("Unterminated") or error.pos > len(self._held) - _LONGEST_WORD
            if self._over or not cut:
                raise NotJsonError(f"{error.msg} at character {error.pos - self._at} of the record") from None
            return None
        # 12 may be the begin of 123 or 12.5e3, so a value is complete when something else follows it.
        after = self._held[end : end + _LONGEST_WORD]
        complete = self._over or len(after) == _LONGEST_WORD or after[:1] in _AFTER
        return (found, end - self._at) if complete else None

    def _scanned(self) -> tuple[Any, int]:
        try:
            return self._scan(self._held, self._at)
        except json.JSONDecodeError:
            raise
        except RecursionError:
            raise NotJsonError("it is nested too deeply") from None
        except NotJsonError:
            raise
        except ValueError:  # an integer beyond what Python reads
            return self._scan_long(self._held, self._at)

    def _more(self) -> bool:
        """Read on; return whether there was something."""
        block = self._stream.read(BLOCK_BYTES)
        try:
            text = self._decode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise NotJsonError(f"not UTF-8: {error.reason}") from None
        self._held, self._at = self._held[self._at :] + text, 0
        self._begun, self._over = self._begun or bool(text), not block
        return bool(block)


def _long(digits: str) -> Any:  # noqa: ANN401 - an integer, or its text
    return int(digits) if len(digits) < _MOST_DIGITS else digits


def _refuse(constant: str) -> NoReturn:
    raise NotJsonError(f"{constant} is no JSON value")
