"""Reports for people: one self-contained HTML page per verdict."""

from __future__ import annotations

from airflow_provider_mlpipe.reporting.page import content, render

__all__ = ["content", "render"]
