"""Kafka topics as a source: a plan of offsets, reading it, and what the messages hold."""

from __future__ import annotations

__all__: list[str] = []
