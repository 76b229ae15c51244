"""What earlier validations of the same data set said: the verdicts that lie in the partitions beside this one.

A verdict counts if its as_of is before that of the run that asks, so that a replay of an old day sees the history that
the day itself saw. Reading is bounded, however many partitions there are: one listing, then the newest few verdicts.
"""

from __future__ import annotations

import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import VERDICT, Storage
from airflow_provider_mlpipe.artifacts.siblings import siblings
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError, redact
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["PastRun", "recent"]

logger = logging.getLogger(__name__)

LIMIT = 30
READS_PER_RUN = 3
"""So many verdicts are looked for, per one that is wanted, before the search is given up."""

READERS = 8
"""Verdicts read at the same time: in a bucket, waiting is what takes long."""


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """One earlier verdict.

    Attributes:
        as_of: the instant that it was made for.
        rows: how many rows were judged.
        passed: whether the data was let through.
        counts: total_checks, failed and the other counts.
        statuses: passed, failed, error or skipped, by rule id.
        shares: the share of the checked values that broke the rule, by rule id.
        observed: what an aggregate rule saw where that is a number (a drift value, a sum), by rule id.
        partition: the folder that it stands in.
    """

    as_of: datetime
    rows: int
    passed: bool
    counts: dict[str, Any] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    observed: dict[str, float] = field(default_factory=dict)
    partition: str = ""


def recent(artifact: Artifact, *, before: datetime, limit: int = LIMIT) -> tuple[PastRun, ...]:
    """Return up to `limit` verdicts on the same data set and stage, the oldest first.

    A verdict that cannot be read, or a place that cannot be listed, is left out: history is never a reason to fail.

    Args:
        artifact: the data that is being judged; its own partition is not part of its history.
        before: only verdicts with an earlier as_of.
        limit: how many at most.
    """
    manifest = artifact.manifest
    folder = f"/{manifest.dataset}/{manifest.stage}"
    if limit < 1 or not artifact.uri.endswith(f"{folder}/{manifest.partition}"):
        return ()
    place = Storage(artifact.uri.removesuffix(f"/{manifest.partition}"), artifact.place.options)
    before = instant(before)
    names = _candidates(place, manifest.partition, before, limit * READS_PER_RUN)
    found: list[PastRun] = []
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(names), limit):
            read = pool.map(lambda name: _read(place, name), names[start : start + limit])
            found += [run for run in read if run is not None and run.as_of < before]
            if len(found) >= limit:
                break
    found.sort(key=lambda run: (run.as_of, run.partition))
    return tuple(found[-limit:])


def _candidates(place: Storage, own: str, before: datetime, most: int) -> list[str]:
    """Return the partitions that are worth a look, the most promising first.

    as_of is the end of a partition's interval unless somebody chose otherwise; one that only begins later is no
    history. The partitions of runs without an interval say nothing, so they come last.
    """
    try:
        found = siblings(place, own)
    except ArtifactError as error:
        logger.warning("no history: %s", error.message)
        return []
    return [one.name for one in found if one.start is None or one.start < before][:most]


def _read(place: Storage, partition: str) -> PastRun | None:
    """Return what the verdict of a partition says; None if there is none that can be read."""
    try:
        content = place.below(partition).read(VERDICT)
        return None if content is None else _past(json.loads(content)["meta"]["mlpipe"], partition)
    except (ArtifactError, ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.debug("left out of the history: %s in %s: %s", VERDICT, redact(place.uri), redact(str(error)))
        return None


def _past(summary: dict[str, Any], partition: str) -> PastRun:
    counts, rules = dict(summary["counts"]), summary.get("rules", [])
    return PastRun(
        as_of=instant(str(summary["as_of"])),
        rows=int(counts["rows_validated"]),
        passed=bool(summary["passed"]),
        counts=counts,
        statuses={rule["rule_id"]: str(rule["status"]) for rule in rules},
        shares=_numbers(rules, "share"),
        observed=_numbers(rules, "observed"),
        partition=partition,
    )


def _numbers(rules: Iterable[dict[str, Any]], key: str) -> dict[str, float]:
    found = ((rule["rule_id"], rule.get(key)) for rule in rules)
    return {name: value for name, value in found if isinstance(value, (int, float)) and math.isfinite(value)}
