"""What the tests of topics share: a topic of one's own, messages, and the way from them to an artifact."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Artifact
    from tests.broker import KafkaBroker

__all__ = ["ids", "run", "source", "spans", "topic", "values"]


@pytest.fixture
def topic() -> str:
    """The name of a topic that no other test uses."""
    return f"t-{uuid.uuid4().hex[:8]}"


def values(*records: Any, **more: Any) -> list[dict[str, Any]]:
    """Return messages with these JSON values."""
    return [{"value": json.dumps(record).encode(), **more} for record in records]


def source(kafka: KafkaBroker, topic: str, **more: Any) -> dict[str, Any]:
    return {"type": "kafka", "topic": topic, "bootstrap_servers": kafka.address, "timeout_seconds": 10, **more}


def run(name: str) -> Run:
    """A run without an interval, as events make them."""
    return Run(dag_id="tests", run_id=name)


def ids(artifact: Artifact) -> list[int]:
    return sorted(artifact.table(["id"])["id"].to_pylist())


def spans(artifact: Artifact) -> dict[int, tuple[int, int]]:
    """Return what the plan has of each partition, without what is empty."""
    found = artifact.manifest.details["kafka"]["plan"]["spans"]
    return {span["partition"]: (span["from"], span["to"]) for span in found if span["to"] > span["from"]}
