"""An Airflow of their own for tests of this folder."""

from __future__ import annotations

from tests.operators.home import airflow

__all__ = ["airflow"]
