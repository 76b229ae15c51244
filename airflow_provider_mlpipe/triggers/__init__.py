"""Triggers, which wait in Airflow's triggerer without holding a worker."""

from __future__ import annotations

__all__: list[str] = []
