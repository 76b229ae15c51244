"""A readable message about a run, for Slack, e-mail and whatever else notifies."""

from __future__ import annotations

__all__: list[str] = []
