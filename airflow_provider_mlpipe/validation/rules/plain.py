"""Values as JSON has them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["plain"]


def plain(values: Iterable[Any]) -> list[Any]:
    """Return values as JSON has them: Python has dates, JSON has texts."""
    return [value.isoformat() if isinstance(value, (date, datetime)) else value for value in values]
