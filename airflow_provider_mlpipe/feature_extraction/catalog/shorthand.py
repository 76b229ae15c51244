"""Short ways to write down what the catalog declares over and over."""

from __future__ import annotations

from typing import Any

from airflow_provider_mlpipe.config import Aggregation
from airflow_provider_mlpipe.feature_extraction.declaration import DeclaredAggregation, DeclaredExpression, Meaning

__all__ = ["BLOCK", "BUG", "COMPLETED", "OPEN_NAME", "SKILLS", "block", "feature"]

SKILLS = ("backend", "frontend", "database", "devops")
"""The skills that have features of their own."""

COMPLETED = "event_type = 'task_completed'"
BUG = "event_type = 'bug_reported'"

OPEN_NAME = "The seed names the feature and leaves the formula open"


BLOCK = "A block of other features."
"""What a building block says instead of where its formula comes from."""


def block(description: str, unit: str, agg: str, **settings: Any) -> DeclaredAggregation:  # noqa: ANN401 - of every kind
    """Return a building block: it can be selected, but is not among the features of a set that selects nothing."""
    return DeclaredAggregation(
        aggregation=Aggregation(agg=agg, **settings),
        meaning=Meaning(description=description, unit=unit, range="[0, inf)", source=BLOCK),
        offered=False,
    )


def feature(expression: str, *, offered: bool = True, **meaning: str) -> DeclaredExpression:
    """Return a feature with its meaning: description, unit, range, formula, source."""
    return DeclaredExpression(expression=expression, meaning=Meaning(**meaning), offered=offered)
