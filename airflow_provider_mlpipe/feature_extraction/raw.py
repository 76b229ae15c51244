"""The raw features: computed, proven, and published with all that is to be known of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description
from airflow_provider_mlpipe.engines import open_engine
from airflow_provider_mlpipe.feature_extraction import proof, reuse
from airflow_provider_mlpipe.feature_extraction.computation import Computation, arrow_schema, stamped
from airflow_provider_mlpipe.feature_extraction.days import Days
from airflow_provider_mlpipe.feature_extraction.lineage import lineage
from airflow_provider_mlpipe.observability import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.feature_extraction.job import Job
    from airflow_provider_mlpipe.observability import Stopwatch

__all__ = ["VOLATILE", "Raw", "details_of", "write_raw"]

_log = logging.getLogger(__name__)

VOLATILE = ("created_timestamp",)
"""Columns that do not count for a fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An artifact of raw features, and what this run measured."""

    artifact: Artifact
    metrics: dict[str, Any]


def write_raw(job: Job, inputs: Mapping[str, Artifact], watch: Stopwatch, *, cache: bool) -> Raw:
    """Publish the raw features of a job, computed or reused.

    Raises:
        FeatureError: the engine cannot compute them, an entity is ambiguous, or the proof fails.
    """
    spec = job.plan
    used = {role: inputs[role] for role in spec.roles}
    key_type = used[spec.domain.spine].schema.field(spec.theirs(spec.domain.spine, spec.domain.entity)).type
    schema = arrow_schema(spec, key_type)
    inputs_used = tuple(artifact.as_input(role) for role, artifact in used.items())
    description = job.description(job.features.name, inputs_used, details_of(job))
    key = reuse.content_key(description, schema, engine=description.details["engine"])
    if cache:
        own = {"cache_hits": 1, **watch.readings()}
        found = reuse.reused(job.root, description, key, own)
        if found is not None:
            return Raw(artifact=found, metrics={**found.manifest.metrics, **own})
    description.details[reuse.CACHE_KEY] = key
    artifact = _computed(job, used, schema, description, watch)
    if cache:
        reuse.remember(job.root, artifact, description, key)
    return Raw(artifact=artifact, metrics=artifact.manifest.metrics)


def _computed(
    job: Job,
    used: Mapping[str, Artifact],
    schema: pa.Schema,
    description: Description,
    watch: Stopwatch,
) -> Artifact:
    spec = job.plan
    events = {role: item.manifest.rows for role, item in used.items() if role != spec.domain.spine}
    missing = {feature.name: 0 for feature in spec.features}
    days = Days(schema, VOLATILE) if job.moments.many else None
    with (
        ArtifactWriter(job.root, description, schema, volatile=VOLATILE) as writer,
        open_engine(job.engine) as engine,
    ):
        for role, artifact in used.items():
            engine.view(role, artifact)
        schemas = {role: item.schema for role, item in used.items()}
        computation = Computation(spec, engine, schemas, job.moments, chunk=job.chunk)
        for batch in stamped(computation.batches(), schema, job.moments):
            for name in missing:
                missing[name] += batch.column(name).null_count
            if days is not None:
                days.add(batch)
            writer.write(batch)
        counts = computation.counts
        found = proof.document(job, computation.sights, counts, "")
        proof.check(job, found)
        rows = writer.rows
        total = sum(missing.values())
        metrics = Metrics(
            entities=rows,
            features=len(spec.features),
            moments=job.moments.count,
            events_read=sum(events.values()),
            missing_values=total,
            missing_rate=total / (rows * len(missing)) if rows and missing else 0.0,
            time_violations=found["violations"],
            cache_hits=0,
            **counts,
        )
        details: dict[str, Any] = {"missing": missing, "proof": proof.summary(found)}
        if days is not None:
            details["days"] = days.as_list()
        published = writer.publish({**metrics, **watch.readings()}, details)
    published.write_beside(proof.PROOF, proof.encoded({**found, "fingerprint": published.fingerprint}))
    _log.info(
        "%s: %d features of %d entities as of %s, from %d events; no event at or after as_of was seen (latest %s)",
        job.features.name,
        len(spec.features),
        rows,
        job.as_of.isoformat(),
        metrics["events_read"],
        details["proof"]["latest_input"],
    )
    return published


def details_of(job: Job) -> dict[str, Any]:
    """Return what the manifest says beyond the rows: enough to explain each number and to define it in Feast."""
    spec, name = job.plan, job.features.name
    start, end = spec.window(job.moments.first)[0], spec.window(job.as_of)[1]
    details: dict[str, Any] = {
        "feature_set": name,
        "entity": spec.domain.entity,
        "entity_type": spec.domain.entity.removesuffix("_id"),
        "as_of": job.as_of.isoformat(),
        "events": {"from": start.isoformat(), "to": end.isoformat()},
        "spec_hash": spec.spec_hash,
        "engine": job.engine.name if job.engine else "duckdb",
        "features": [
            {
                "name": feature.name,
                "description": feature.meaning.description,
                "unit": feature.meaning.unit,
                "range": feature.meaning.range,
                "formula": feature.meaning.formula,
            }
            for feature in spec.features
        ],
        "lineage": [edge.as_dict() for edge in lineage(spec)],
        "feast": job.features.model.feast.details(name),
    }
    if job.moments.many:
        details["moments"] = job.moments.as_dict()
    if job.chunk is not None:
        details["chunk"] = job.chunk.as_dict()
    return details
