"""A throw-away AIRFLOW_HOME, set before anything imports Airflow."""

from __future__ import annotations

from tests.operators import conftest

__all__ = ["conftest"]
