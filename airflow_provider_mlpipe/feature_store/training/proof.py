"""The proof: what was joined with what, and that no label saw anything later than itself.

Counted on the join's own result before anything is published; a training set that fails it does not come to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.feature_store.training.history import Snapshot
    from airflow_provider_mlpipe.feature_store.training.join import Match, Spine
    from airflow_provider_mlpipe.feature_store.training.labels import Labels
    from airflow_provider_mlpipe.feature_store.training.selection import Chosen

__all__ = ["PROOF", "TIE_BREAK", "check", "of_labels", "of_view"]

PROOF = "_pit_proof.json"
"""The file beside the training set."""

TIE_BREAK = "newest event time; then newest creation time, none last; then the greater feature values, nulls last"
"""Which of several rows of one key counts."""


def of_labels(labels: Labels, spine: Spine, *, time: str, as_of: datetime | None) -> dict[str, Any]:
    """Return what there is to say of the labels."""
    return {
        "uri": labels.uri,
        "fingerprint": labels.input.fingerprint,
        "validation": labels.validation,
        "rows": spine.rows,
        "event_timestamp": time,
        "first": _text(spine.first),
        "last": _text(spine.last),
        "rows_without_time": spine.without_time,
        "rows_after_as_of": spine.after_as_of,
        "as_of": _text(as_of),
    }


def of_view(chosen: Chosen, match: Match, snapshot: Snapshot, spine: Spine) -> dict[str, Any]:
    """Return what there is to say of one view."""
    lead = match.lead_microseconds
    return {
        "view": chosen.view,
        "keys": list(chosen.keys),
        "features": [feature.name for feature in chosen.features],
        "ttl_seconds": None if chosen.ttl is None else chosen.ttl.total_seconds(),
        "rows_with_match": match.matched,
        "rows_without_match": spine.rows - match.matched,
        "rows_with_null_key": match.without_key,
        "max_feature_minus_label_seconds": None if lead is None else lead / 1e6,
        "violations": match.violations,
        "oldest_feature": _text(match.oldest),
        "newest_feature": _text(match.newest),
        "files": {item.uri: item.fingerprint for item in snapshot.inputs},
    }


def check(dataset: str, rows_out: int, labels: dict[str, Any], views: list[dict[str, Any]], found: list[int]) -> None:
    """Refuse a training set that is not what it should be.

    Args:
        dataset: its name.
        rows_out: its rows.
        labels: from `of_labels`.
        views: from `of_view`, each.
        found: how many rows of each view were put beside labels.

    Raises:
        FeatureError: rows were lost or made, or a label saw the future. That would be an error of this package.
    """
    problems = [
        f"{view['violations']} of {view['rows_with_match']} matches of {view['view']!r} are from after the label, "
        f"or older than the TTL"
        for view in views
        if view["violations"] or (view["max_feature_minus_label_seconds"] or 0) > 0
    ]
    problems += [
        f"{count} rows of {view['view']!r} came out of {view['rows_with_match']} matches"
        for view, count in zip(views, found, strict=True)
        if count != view["rows_with_match"]
    ]
    if rows_out != labels["rows"]:
        problems.append(f"{rows_out} rows came out of {labels['rows']} labels")
    if problems:
        raise FeatureError.because(
            where=dataset,
            feature="point-in-time join",
            problem="; ".join(problems),
            hint="Nothing was published. Please report this with the proof of an earlier run.",
        )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
