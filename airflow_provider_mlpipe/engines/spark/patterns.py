r"""Patterns of texts as Java reads them, so that they match what they match on DuckDB.

RE2 and Java agree on most. Java's ``$`` also matches before a last line break, its ``.`` stops at five kinds of line
break, its ``(?i)`` folds ASCII only, and within brackets it reads ``&&`` and ``[`` as operators.
"""

from __future__ import annotations

import re

from airflow_provider_mlpipe.engines.refusals import NotOnSparkError

__all__ = ["java_regex", "like_regex"]

_SIGNS = re.compile(r"\\[pP]\{\^?\w+\}|\\[QC]|\\.|\[:\^?\w+:\]|\(\?P<|\(\?[a-zA-Z-]+[:)]|&&|.", re.DOTALL)
_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
    "space": r"\t\n\x0B\f\r ", "word": r"\w", "blank": r"\t ",
}  # fmt: skip
_EDGE = r"(?<![0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])"
_OUTSIDE = {
    "$": r"\z", "(?P<": "(?<", r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]",
    r"\b": f"(?:{_EDGE})", r"\B": f"(?!{_EDGE})",
}  # fmt: skip
"""What Java says otherwise, unless it stands in brackets."""


def java_regex(pattern: str) -> str:
    r"""Return a pattern of RE2 as one of Java that matches the same texts.

    >>> java_regex("^[[:alpha:]]+$")
    '(?d)^[a-zA-Z]+\\z'

    Raises:
        NotOnSparkError: it has something that Java reads otherwise.
    """
    made, inside = ["(?d)"], False
    for sign in _SIGNS.findall(pattern):
        made.append(_in_brackets(sign, pattern, first=made[-1] in {"[", "[^"}) if inside else _outside(sign, pattern))
        if inside and sign == "]" and made[-2] not in {"[", "[^"}:
            inside = False
        elif not inside and sign == "[":
            inside = True
        elif inside and sign == "^" and made[-2] == "[":
            made[-2:] = ["[^"]
    return "".join(made)


def like_regex(pattern: str, escape: str = "", *, any_case: bool = False) -> str:
    r"""Return a pattern of LIKE, which matches whole texts, as one of Java.

    >>> like_regex("a_%.")
    '(?s)\\A\\Qa\\E..*\\Q.\\E\\z'
    """
    made, escaped = [], False
    for sign in pattern:
        if sign == escape and not escaped:
            escaped = True
            continue
        wild = {"%": ".*", "_": "."}.get(sign)
        made.append(wild if wild and not escaped else (f"\\Q{sign}\\E" if sign != "\\" else "\\\\"))
        escaped = False
    return f"(?{'siu' if any_case else 's'})\\A{''.join(made)}\\z"


def _outside(sign: str, pattern: str) -> str:
    if sign in _OUTSIDE:
        return _OUTSIDE[sign]
    if not sign.startswith("(?"):
        return _common(sign, pattern)
    flags = sign[2:-1]
    if set(flags) - set("is-"):
        raise _refused(pattern, sign)
    return f"(?{flags.replace('i', 'iu')}{sign[-1]}"


def _in_brackets(sign: str, pattern: str, *, first: bool) -> str:
    if sign.startswith("[:"):
        name = sign.strip("[:]")
        if name not in _POSIX:
            raise _refused(pattern, sign)
        return _POSIX[name]
    if sign == "[" or (sign == "]" and first):
        return f"\\{sign}"
    if sign == "&&":
        return r"\&\&"
    if sign == r"\s":
        return r"\t\n\f\r "
    return _common(sign, pattern)


def _common(sign: str, pattern: str) -> str:
    if sign in {r"\Q", r"\C", r"\S"} or sign.startswith((r"\p", r"\P")):
        raise _refused(pattern, sign)
    return sign


def _refused(pattern: str, sign: str) -> NotOnSparkError:
    return NotOnSparkError(f"in the pattern {pattern!r}, {sign!r} means something else on Spark")
