"""Task decorators: a function says what to do, an operator of ours does it."""

from __future__ import annotations

__all__: list[str] = []
