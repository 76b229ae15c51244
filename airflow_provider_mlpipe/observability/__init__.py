"""What the package reports about its own work."""

from __future__ import annotations

from airflow_provider_mlpipe.observability.metrics import REGISTRY, Metric, Metrics, Stopwatch

__all__ = ["REGISTRY", "Metric", "Metrics", "Stopwatch"]
