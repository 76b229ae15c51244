"""Assets: what the event of an outlet says of the artifact, and how the Dag that it triggers finds that artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.artifacts import Artifact, S3Options

__all__ = ["asset_extra", "report_outlets", "schema_hash"]

_COUNTS = (
    "total_checks", "passed", "failed", "errors", "warnings", "skipped", "rows_validated", "rows_quarantined"
)  # fmt: skip


def schema_hash(artifact: Artifact) -> str:
    """Return a digest of the columns' names, types and order: another value means that the schema has changed."""
    columns = [[column["name"], column["type"]] for column in artifact.manifest.schema]
    return "schema-" + hashlib.sha256(json.dumps(columns).encode()).hexdigest()[:16]


def asset_extra(artifact: Artifact) -> dict[str, Any]:
    """Return what an asset event says of an artifact: a few small facts, and where everything else is.

    ``artifact`` (its URI), ``dataset``, ``stage``, ``partition``, ``rows``, ``fingerprint`` and ``schema_hash``; once
    exactly this content was judged, ``verdict`` (``passed`` and the counts by rule) and ``report``.
    """
    manifest = artifact.manifest
    extra: dict[str, Any] = {
        "artifact": artifact.uri,
        "dataset": manifest.dataset,
        "stage": manifest.stage,
        "partition": manifest.partition,
        "rows": manifest.rows,
        "fingerprint": artifact.fingerprint,
        "schema_hash": schema_hash(artifact),
    }
    verdict = artifact.verdict()
    if verdict is not None:
        counts = verdict.get("counts", {})
        # `passed` is also the name of the count of rules that held; here it is the verdict.
        renamed = {"passed": "rules_passed", "failed": "rules_failed"}
        known = {renamed.get(name, name): counts[name] for name in _COUNTS if name in counts}
        extra |= {"verdict": {"passed": bool(verdict["passed"]), **known}, "report": verdict.get("report", "")}
    return extra


def report_outlets(context: Context, outlets: Sequence[Any], extra: Mapping[str, Any]) -> None:
    """Put `extra` into the event of every asset among `outlets`; Airflow sends events only of tasks that succeed.

    What is there already, from a ``pre_execute`` of the author's, goes before it. An alias has no event of its own.

    Args:
        context: of the task.
        outlets: of the task.
        extra: JSON values.
    """
    from airflow.providers.common.compat.sdk import AssetAlias

    events: Any = context.get("outlet_events")
    for outlet in outlets if events is not None else ():
        if isinstance(outlet, AssetAlias):
            continue
        try:
            event = events[outlet]
        except (KeyError, TypeError):  # something that Airflow keeps no events of
            continue
        event.extra = {**extra, **event.extra}


def extras_of(
    published: str | Mapping[str, str], options: S3Options, outlets: Sequence[Any]
) -> list[tuple[Sequence[Any], dict[str, Any]]]:
    """Return which outlets get which extra.

    Of several artifacts by name, an asset of that name gets its own; any other gets all of them, below ``artifacts``.
    """
    from airflow_provider_mlpipe.artifacts import Artifact

    if not isinstance(published, Mapping):
        return [(outlets, asset_extra(Artifact.open(str(published), options)))]
    extras = {name: asset_extra(Artifact.open(uri, options)) for name, uri in published.items()}
    given = [([outlet], extras[outlet.name]) for outlet in outlets if getattr(outlet, "name", None) in extras]
    others = [outlet for outlet in outlets if getattr(outlet, "name", None) not in extras]
    return [*given, (others, {"artifacts": extras})]
