"""OpenLineage: what a run read and wrote, column by column."""

from __future__ import annotations

__all__: list[str] = []
