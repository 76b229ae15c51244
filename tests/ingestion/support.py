"""What the ingestion tests share: a run, and the way from a source's mapping to its artifact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.run import Interval, Run

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage

DAY = Run(dag_id="tests", interval=Interval(start="2026-01-13T02:00:00Z", end="2026-01-14T02:00:00Z"))


def read(source: dict[str, Any], root: Storage, run: Run = DAY, **options: Any) -> Artifact:
    """Ingest a source given as a mapping."""
    return ingest(config.source(source, "things"), root=root, run=run, **options)


def rows(artifact: Artifact) -> list[dict[str, Any]]:
    """Return the rows, in an order of their own."""
    return sorted(artifact.table().to_pylist(), key=repr)


def quarantined(artifact: Artifact) -> list[tuple[str, Any]]:
    """Return reason and row of what was not published."""
    place = artifact.manifest.details["quarantine"]
    if place is None:
        return []
    found = Artifact.open(place, artifact.place.options).table().to_pylist()
    return [(item["reason"], json.loads(item["row"])) for item in found]


def counts(artifact: Artifact) -> tuple[int, int, int, int]:
    """Return the rows read, written, failed, and dropped as duplicates."""
    names = ("records_read", "records_written", "records_failed", "duplicates_dropped")
    read_, written, failed, dropped = (artifact.manifest.metrics[name] for name in names)
    return read_, written, failed, dropped
