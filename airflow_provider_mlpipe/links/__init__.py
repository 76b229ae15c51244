"""Links on the pages of task instances."""

from __future__ import annotations

__all__: list[str] = []
