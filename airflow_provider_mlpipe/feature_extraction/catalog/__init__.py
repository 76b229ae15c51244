"""The features that come with the package, by the entity that they describe.

A new kind of entity is a module beside `user` and one line in `DOMAINS`.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.catalog.user import USER

__all__ = ["DOMAINS", "USER"]

DOMAINS = {domain.entity: domain for domain in (USER,)}
"""Domains by entity key."""
