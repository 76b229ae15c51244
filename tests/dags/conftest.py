"""The example Dags run in an Airflow of their own."""

from __future__ import annotations

from tests.operators.home import airflow

__all__ = ["airflow"]
