"""Airflow's simple login, but one user is kept out of everything that the Dags have."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

__all__ = ["Fence"]


class Fence(SimpleAuthManager):
    """The user `stranger` logs in and may see no Dag."""

    def is_authorized_dag(self, *, user: Any, **asked: Any) -> bool:
        return user.username != "stranger" and super().is_authorized_dag(user=user, **asked)
