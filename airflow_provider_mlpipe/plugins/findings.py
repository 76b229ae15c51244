"""What the XComs of a task of ours mean: its stage, its verdicts, its rows, its artifacts. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.observability.metrics import REGISTRY

if TYPE_CHECKING:
    from airflow_provider_mlpipe.plugins.facts import Past, TaskRecord

__all__ = ["Judged", "addresses", "artifact_name", "judged", "mood", "ours", "rows", "stage_of", "verdict_of"]

STAGES = {
    "SourceIngestOperator": "ingest",
    "ValidateOperator": "validate",
    "ExtractFeaturesOperator": "extract",
    "MergeFeaturesOperator": "extract",
    "FeastMaterializeOperator": "materialize",
    "FeastPushOperator": "materialize",
    "FeastApplyOperator": "materialize",
    "FeastTrainingSetOperator": "train",
}
_ROWS = ("rows_validated", "records_written", "entities", "labels", "rows_materialized")
_COUNTS = ("errors", "warnings", "skipped", "total_checks", "rows_validated", "rows_quarantined")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a task said of one artifact.

    Attributes:
        name: the artifact's; empty if the task judged one only.
        passed: whether it may go on; None if the task did not say so.
        counts: of rules and rows.
        report: the report's address as it was pushed, whatever that is.
        quarantine: the address of the rows that were taken out, if any.
    """

    name: str
    passed: bool | None
    counts: dict[str, int]
    report: object = None
    quarantine: object = None


def ours(task: TaskRecord) -> bool:
    """Whether a task is of this provider: by its class, or by what it pushed, for whoever subclasses or decorates."""
    return bool(stage_of(task))


def stage_of(task: TaskRecord) -> str:
    """Return ingest, validate, extract, materialize or train; nothing if the task is not ours.

    >>> from types import SimpleNamespace as task
    >>> stage_of(task(operator="Mine", xcoms={"metrics": {"records_read": 3, "cpu_seconds": 1}}))
    'ingest'
    """
    if task.operator in STAGES:
        return STAGES[task.operator]
    metrics = task.xcoms.get("metrics")
    if not isinstance(metrics, Mapping) or not metrics or not REGISTRY.keys() >= metrics.keys():
        return ""
    return next((str(REGISTRY[name].stage) for name in metrics if REGISTRY[name].stage != "any"), "")


def judged(xcoms: Mapping[str, Any]) -> list[Judged]:
    """Return what a validating task said, one for each artifact, in its order."""
    said, report, quarantine = (xcoms.get(key) for key in ("validation", "report", "quarantine"))
    if _single(said) or (said is None and isinstance(report, str)):
        return [_judged("", said, report, quarantine)]
    names = [name for each in (said, report) if isinstance(each, Mapping) for name in each]
    return [_judged(name, _of(said, name), _of(report, name), _of(quarantine, name)) for name in dict.fromkeys(names)]


def verdict_of(past: Past) -> Judged | None:
    """Return what a task said in an earlier run of all its artifacts together; None if that cannot be told."""
    each = judged({"validation": past.validation})
    if not each or any(one.passed is None for one in each):
        return None
    counts = {name: sum(one.counts.get(name, 0) for one in each) for name in _COUNTS}
    return Judged(name="", passed=all(one.passed for one in each), counts=counts)


def mood(one: Judged) -> str:
    """Return the colour of a verdict."""
    if one.passed is None:
        return "skip"
    if not one.passed:
        return "bad"
    return "warn" if one.counts.get("warnings") or one.counts.get("rows_quarantined") else "good"


def rows(task: TaskRecord) -> int | None:
    """Return how many rows a task was about, as far as it said so."""
    metrics = task.xcoms.get("metrics")
    if not isinstance(metrics, Mapping):
        return None
    return next((metrics[name] for name in _ROWS if isinstance(metrics.get(name), int)), None)


def addresses(value: object) -> dict[str, str]:
    """Return the addresses that a task returned, by name; one alone has none.

    >>> addresses("/data/users/raw/p"), addresses({"users": "/a", "n": 3}), addresses(7)
    ({'': '/data/users/raw/p'}, {'users': '/a'}, {})
    """
    if isinstance(value, str):
        return {"": value}
    if isinstance(value, Mapping):
        return {str(name): uri for name, uri in value.items() if isinstance(uri, str)}
    return {}


def artifact_name(uri: str) -> tuple[str, str]:
    """Return the dataset and the stage that an address names.

    >>> artifact_name("s3://lake/user_data/raw/20260113T020000Z-20260114T020000Z")
    ('user_data', 'raw')
    """
    parts = uri.rstrip("/").split("/")
    return (parts[-3], parts[-2]) if len(parts) > 3 else ("", "")


def _single(said: object) -> bool:
    return isinstance(said, Mapping) and isinstance(said.get("passed"), bool)


def _of(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _judged(name: object, said: object, report: object, quarantine: object) -> Judged:
    facts = said if isinstance(said, Mapping) else {}
    passed = facts.get("passed")
    return Judged(
        name=str(name),
        passed=passed if isinstance(passed, bool) else None,
        counts={key: facts[key] for key in _COUNTS if isinstance(facts.get(key), int)},
        report=report,
        quarantine=quarantine,
    )
