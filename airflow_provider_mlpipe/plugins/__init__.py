"""What Airflow's pages show of ours: the report tabs."""

from __future__ import annotations

__all__: list[str] = []
