"""Airflow for tests: importing the other conftest gives this process a throw-away AIRFLOW_HOME."""

from __future__ import annotations

from tests.operators.conftest import airflow

__all__ = ["airflow"]
