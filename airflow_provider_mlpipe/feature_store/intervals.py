"""Feast's list of a view's materialised intervals, kept from growing for ever.

Feast appends one for every run, also for the same interval again, and never takes one away. The list is part of the
view, which is read for every question and, in a registry in SQL, is one column, whose length may be limited.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_mlpipe.feature_store.definitions import DIGEST_TAG

__all__ = ["KEPT_INTERVALS", "forget_superseded"]

KEPT_INTERVALS = 1_000
"""Of a view: nearly three years of days. How fresh it was before, the offline data say."""


def forget_superseded(opened: Any, name: str) -> None:  # noqa: ANN401 - feast has no types
    """Keep each interval once, and not more than `KEPT_INTERVALS`, the latest; the caller holds the view's lock.

    Args:
        opened: a `feast.FeatureStore`.
        name: the view; one of a repository, which we did not define, is left as it is.
    """
    view = opened.registry.get_feature_view(name, opened.project)
    found = view.materialization_intervals
    kept = sorted(set(found), key=lambda interval: (interval[1], interval[0]))[-KEPT_INTERVALS:]
    if DIGEST_TAG not in view.tags or len(kept) == len(found):
        return
    view.materialization_intervals = kept
    if hasattr(opened.registry, "cached_registry_proto") and hasattr(opened.registry, "_registry_store"):
        _rewrite(opened.registry, opened.project, view)
    else:
        opened.registry.apply_feature_view(view, opened.project, commit=True)
    opened.refresh_registry()


def _rewrite(registry: Any, project: str, view: Any) -> None:  # noqa: ANN401
    """Replace the list in a registry file; Feast's own call would keep the old one there."""
    registry._prepare_registry_for_changes(project)  # noqa: SLF001 - there is no other way to it
    for known in registry.cached_registry_proto.feature_views:
        if (known.spec.name, known.spec.project) == (view.name, project):
            del known.meta.materialization_intervals[:]
            known.meta.materialization_intervals.extend(view.to_proto().meta.materialization_intervals)
    registry.commit()
