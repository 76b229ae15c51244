"""Finding things in a JSON document by dotted path or JSONPath, and saying what they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from airflow_provider_mlpipe.ingestion.failures import Unreadable

__all__ = ["MISSING", "at", "kind", "matches"]

MISSING = object()
"""What stands nowhere."""


def at(document: Any, path: str, missing: Any = None) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a dotted path; a key that itself holds dots comes first.

    >>> at({"meta": {"next": 7}}, "meta.next"), at({"a.b": 1}, "a.b"), at([], "a")
    (7, 1, None)
    """
    if isinstance(document, dict) and path in document:
        return document[path]
    for step in path.split("."):
        if not isinstance(document, dict) or step not in document:
            return missing
        document = document[step]
    return document


def matches(path: str, document: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    """Return what a JSONPath finds; the list itself if it finds exactly one list.

    Raises:
        Unreadable: it is no JSONPath, or finds nothing.
    """
    found = [match.value for match in _parsed(path).find(document)]
    if not found:
        raise Unreadable(f"data_key {path!r} matches nothing in the answer, which is {kind(document)}")
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


@lru_cache(maxsize=64)
def _parsed(path: str) -> Any:  # noqa: ANN401 - jsonpath_ng has no types
    from jsonpath_ng import parse
    from jsonpath_ng.exceptions import JSONPathError

    try:
        return parse(path)
    except JSONPathError as error:
        raise Unreadable(f"data_key {path!r} is no JSONPath: {error}") from None


def kind(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return what a JSON value is, in words.

    >>> kind([]), kind(2.5)
    ('a list', 'a number')
    """
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
