"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["render"]


def render(summary: Mapping[str, Any]) -> str:
    """Return the page."""
    return f"<!doctype html><pre>{html.escape(str(dict(summary)))}</pre>"
