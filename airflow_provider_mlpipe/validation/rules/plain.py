"""Values as JSON and as SQL have them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.duckdb import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["plain", "spelled"]


def plain(values: Iterable[Any]) -> list[Any]:
    """Return values as JSON has them: Python has dates, JSON has texts."""
    return [value.isoformat() if isinstance(value, (date, datetime)) else value for value in values]


def spelled(value: Any) -> str:  # noqa: ANN401 - any value of the YAML
    """Return a value as SQL spells it.

    >>> spelled("it's"), spelled(0.5), spelled(True), spelled(None)
    ("'it''s'", '0.5', 'true', 'null')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ {literal(value.isoformat())}"
    return literal(str(value))
