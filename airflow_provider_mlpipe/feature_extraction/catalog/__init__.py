"""The features that come with the package, by the entity that they describe.

A new kind of entity is a module beside `user` and one line in `DOMAINS`. No formula reads a column that knows only the
present, such as a status: what was the case at a moment is told by times, and a time that has not come yet is null.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.catalog.project import PROJECT
from airflow_provider_mlpipe.feature_extraction.catalog.task import TASK
from airflow_provider_mlpipe.feature_extraction.catalog.team import TEAM
from airflow_provider_mlpipe.feature_extraction.catalog.user import USER

__all__ = ["DOMAINS", "PROJECT", "TASK", "TEAM", "USER"]

DOMAINS = {domain.entity: domain for domain in (USER, TASK, PROJECT, TEAM)}
"""Domains by entity key."""
