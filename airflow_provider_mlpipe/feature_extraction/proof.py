"""The proof: for each feature the latest event that it saw, found while it was computed, beside the moment.

The filter alone proves nothing: it is the filter that could be wrong. So the aggregation carries the time of the latest
event along, for each set of events that it counts, and that time is held against the moment afterwards; of a function
of the user, it is the latest time in each table that it was given. A result with an event from at or after its moment
is not published.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow_provider_mlpipe.feature_extraction.job import Job

__all__ = ["PROOF", "Sight", "check", "document", "encoded", "joined", "summary"]

PROOF = "_proof.json"
"""The file beside a feature artifact."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What one set of events has shown: those of a window for which a condition holds, or an input of a function.

    Attributes:
        source: the source of the events; of a function the input.
        window: the window's length.
        latest: the latest event counted, of all moments; None if there was none.
        lead: by how much the latest event came before the end of its window, the least of all moments.
        violations: entities (per moment) that counted an event from outside of the window.
        features: those computed from these events.
    """

    source: str
    window: timedelta
    latest: datetime | None
    lead: timedelta | None
    violations: int
    features: tuple[str, ...]


def document(job: Job, sights: Iterable[Sight], counts: Mapping[str, int], fingerprint: str) -> dict[str, Any]:
    """Return the content of the file: what was seen per feature, and what was not.

    Args:
        job: the extraction.
        sights: what the aggregation has seen.
        counts: events that were used and left out, by the names of the metric registry.
        fingerprint: of the features that this is about.
    """
    features: dict[str, dict[str, Any]] = {feature.name: _nothing() for feature in job.plan.features}
    total = 0
    for sight in sights:
        total += sight.violations
        for name in sight.features:
            _add(features[name], sight)
    return {
        "feature_set": job.features.name,
        "fingerprint": fingerprint,
        "as_of": job.as_of.isoformat(),
        "moments": job.moments.as_dict() if job.moments.many else None,
        "delay_seconds": job.plan.delay.total_seconds(),
        "violations": total,
        "features": features,
        "counts": dict(counts),
    }


def summary(proof: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of a proof."""
    seen = [feature["latest_input"] for feature in proof["features"].values() if feature["latest_input"]]
    return {"latest_input": max(seen, default=None), "violations": proof["violations"]}


def check(job: Job, proof: Mapping[str, Any]) -> None:
    """Refuse a result that saw what it must not see.

    Raises:
        FeatureError: it did. That would be an error of this package.
    """
    guilty = {name: found for name, found in proof["features"].items() if found["violations"]}
    if not guilty:
        return
    name, found = next(iter(guilty.items()))
    raise FeatureError.because(
        where=job.features.where(),
        feature=name,
        problem=f"{found['violations']} entities counted an event from outside of the window, the latest from "
        f"{found['latest_input']}, as of {job.as_of.isoformat()}; {len(guilty)} of {len(proof['features'])} features "
        "are affected",
        hint="Nothing was published. Please report this with the proof of an earlier run.",
    )


def joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the proof of a whole from those of its chunks."""
    whole = dict(parts[0])
    whole["violations"] = sum(part["violations"] for part in parts)
    whole["features"] = {}
    for name in parts[0]["features"]:
        found = [part["features"][name] for part in parts]
        leads = [one["seconds_before_end"] for one in found if one["seconds_before_end"] is not None]
        whole["features"][name] = {
            **found[0],
            "sources": {source: _latest([one["sources"][source] for one in found]) for source in found[0]["sources"]},
            "latest_input": _latest([one["latest_input"] for one in found]),
            "seconds_before_end": min(leads, default=None),
            "violations": sum(one["violations"] for one in found),
        }
    return whole


def encoded(proof: Mapping[str, Any]) -> bytes:
    """Return the file's bytes."""
    return json.dumps(proof, indent=2).encode()


def _latest(times: Iterable[str | None]) -> str | None:
    return max(filter(None, times), default=None)


def _nothing() -> dict[str, Any]:
    return {"latest_input": None, "seconds_before_end": None, "windows_days": [], "violations": 0, "sources": {}}


def _add(found: dict[str, Any], sight: Sight) -> None:
    days = sight.window.total_seconds() / 86400
    found["windows_days"] = sorted({*found["windows_days"], days})
    latest = sight.latest.isoformat() if sight.latest is not None else None
    sources = {**found["sources"], sight.source: _latest([found["sources"].get(sight.source), latest])}
    found["sources"] = dict(sorted(sources.items()))
    found["violations"] += sight.violations
    if sight.lead is not None:
        found["latest_input"] = _latest([found["latest_input"], latest])
        leads = [found["seconds_before_end"], sight.lead.total_seconds()]
        found["seconds_before_end"] = min(lead for lead in leads if lead is not None)
