"""Chunks of a run put together: the artifact that one run would have made, row for row and in its order."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter
from airflow_provider_mlpipe.engines import open_engine
from airflow_provider_mlpipe.errors import FeatureError
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction import proof, reuse
from airflow_provider_mlpipe.feature_extraction.computation import computing
from airflow_provider_mlpipe.feature_extraction.days import Days
from airflow_provider_mlpipe.feature_extraction.extraction import Extraction, finished, job_of, state_for
from airflow_provider_mlpipe.feature_extraction.moments import Moments
from airflow_provider_mlpipe.feature_extraction.raw import VOLATILE, details_of
from airflow_provider_mlpipe.observability import Metrics, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.engines import Engine, EngineSettings
    from airflow_provider_mlpipe.feature_extraction.job import Job
    from airflow_provider_mlpipe.run import Run

__all__ = ["merge_chunks"]

_log = logging.getLogger(__name__)

_ADDED = ("missing_values", "events_used", "events_null_key", "events_unknown_entity", "entities_null_key")
"""Metrics of chunks that add up to those of the whole: each row is in one chunk."""


def merge_chunks(
    features: Configured[FeatureSet],
    chunks: Sequence[Artifact],
    *,
    root: Storage,
    run: Run,
    engine: EngineSettings | None = None,
) -> Extraction:
    """Publish the whole that chunks are parts of, and normalise it if the set asks for it.

    Args:
        features: the set that the chunks were computed for.
        chunks: what `extract` returned for every chunk, in any order.
        root: where the result goes.
        run: names the partition, as for `extract`.
        engine: what the merge may take.

    Raises:
        FeatureError: a chunk is missing, comes twice, or belongs to another run or definition.
    """
    watch = Stopwatch()
    as_of = _alike(features, chunks)
    job = job_of(features, root=root, run=replace(run, map_index=-1), as_of=as_of, engine=engine)
    found, expected = chunks[0].manifest.details["spec_hash"], job.plan.spec_hash
    if found != expected:
        raise _refused(features, f"they were computed by another definition (spec {found}, now {expected})")
    state = state_for(job)
    raw = _merged(job, chunks, watch)
    return finished(job, raw, state, raw.manifest.metrics)


def _alike(features: Configured[FeatureSet], chunks: Sequence[Artifact]) -> Moments:
    """Return the moments of chunks that make a whole."""
    if not chunks:
        raise _refused(features, "there is none")
    kinds = {json.dumps(_identity(chunk), sort_keys=True) for chunk in chunks}
    if len(kinds) > 1:
        raise _refused(features, "they belong to different sets, moments, definitions or inputs")
    details = chunks[0].manifest.details
    positions = sorted((item.manifest.details.get("chunk") or {}).get("index", -1) for item in chunks)
    of = (details.get("chunk") or {}).get("of", 0)
    if details["feature_set"] != features.name or positions != list(range(of)):
        raise _refused(features, f"given are chunks {positions} of {of} of {details['feature_set']!r}")
    moments = details.get("moments")
    if moments is None:
        return Moments.at(details["as_of"])
    return Moments.between(moments["start"], moments["end"], timedelta(seconds=moments["every_seconds"]))


def _identity(chunk: Artifact) -> dict[str, Any]:
    details = chunk.manifest.details
    kept = {name: details.get(name) for name in ("feature_set", "as_of", "moments", "spec_hash")}
    return {
        **kept,
        "of": (details.get("chunk") or {}).get("of"),
        "inputs": [[item.name, item.fingerprint] for item in chunk.manifest.inputs],
        "schema": list(chunk.manifest.schema),
    }


def _merged(job: Job, chunks: Sequence[Artifact], watch: Stopwatch) -> Artifact:
    schema = chunks[0].schema
    description = job.description(job.features.name, chunks[0].manifest.inputs, details_of(job))
    # The whole is what one run would have made, so a later run may find it as such.
    key = reuse.content_key(description, schema, engine=chunks[0].manifest.details.get("engine", "duckdb"))
    description.details[reuse.CACHE_KEY] = key
    days = Days(schema, VOLATILE) if job.moments.many else None
    with (
        ArtifactWriter(job.root, description, schema, volatile=VOLATILE) as writer,
        open_engine(job.engine) as engine,
        computing(job.features.name, job.plan.where),
    ):
        for batch in _in_order(job, chunks, engine):
            whole = batch.cast(schema) if batch.schema != schema else batch
            if days is not None:
                days.add(whole)
            writer.write(whole)
        found = proof.joined([json.loads(chunk.read_beside(proof.PROOF) or b"{}") for chunk in chunks])
        missing = _sums([chunk.manifest.details.get("missing", {}) for chunk in chunks])
        metrics = _metrics(job, chunks, writer.rows)
        found["counts"] = {name: metrics[name] for name in found["counts"]}
        details: dict[str, Any] = {"missing": missing, "proof": proof.summary(found), "merged_from": len(chunks)}
        if days is not None:
            details["days"] = days.as_list()
        made = writer.publish({**metrics, **watch.readings()}, details)
    made.write_beside(proof.PROOF, proof.encoded({**found, "fingerprint": made.fingerprint}))
    _log.info("%s: %d chunks merged into %d rows", job.features.name, len(chunks), made.manifest.rows)
    return made


def _in_order(job: Job, chunks: Sequence[Artifact], engine: Engine) -> Any:  # noqa: ANN401 - batches
    """Yield the rows of all chunks in the order of one run."""
    backend, tables = engine.ibis(), []
    for number, chunk in enumerate(chunks):
        engine.view(f"chunk{number}", chunk)
        tables.append(compiler.table_of(f"chunk{number}", chunk.schema))
    table = tables[0]
    for other in tables[1:]:
        table = table.union(other)
    return engine.batches(str(backend.compile(table.order_by(list(job.order)))))


def _metrics(job: Job, chunks: Sequence[Artifact], rows: int) -> Metrics:
    parts = [chunk.manifest.metrics for chunk in chunks]
    totals = {name: sum(part.get(name, 0) for part in parts) for name in _ADDED}
    same = {name: parts[0][name] for name in ("events_read", "events_later", "events_without_time") if name in parts[0]}
    cells = rows * len(job.plan.features)
    return Metrics(
        entities=rows,
        features=len(job.plan.features),
        moments=job.moments.count,
        missing_rate=totals["missing_values"] / cells if cells else 0.0,
        time_violations=sum(part.get("time_violations", 0) for part in parts),
        cache_hits=0,
        **same,
        **totals,
    )


def _sums(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(part.get(name, 0) for part in parts) for name in parts[0]}


def _refused(features: Configured[FeatureSet], problem: str) -> FeatureError:
    return FeatureError.because(
        where=features.where(),
        feature=features.name,
        problem=f"its chunks cannot be merged: {problem}",
        hint="Give every chunk {index: 0, of: N} ... {index: N-1, of: N} of one run, each once.",
    )
