"""REST endpoints as a source: who asks (`authentication`), how much (`limits`), which page next (`pagination`)."""

from __future__ import annotations

__all__: list[str] = []
