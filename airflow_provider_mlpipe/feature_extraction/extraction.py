"""Extraction: from input artifacts to an artifact of features as of a moment."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.feature_extraction.computation import Computation, arrow_schema, stamped
from airflow_provider_mlpipe.feature_extraction.inputs import check_inputs
from airflow_provider_mlpipe.feature_extraction.job import Job
from airflow_provider_mlpipe.feature_extraction.normalization import write_normalized
from airflow_provider_mlpipe.feature_extraction.plan import plan
from airflow_provider_mlpipe.feature_extraction.state import StateStore
from airflow_provider_mlpipe.observability import Metrics, Stopwatch
from airflow_provider_mlpipe.run import duration, instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.run import Run

__all__ = ["Extraction", "extract"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What an extraction published.

    Attributes:
        artifact: the raw features, which is what goes to the feature store.
        normalized: the same after imputation and normalisation, if the set asks for it.
        metrics: values by the names of the metric registry, as in the artifact's manifest.
    """

    artifact: Artifact
    normalized: Artifact | None = None
    metrics: dict[str, Any] = field(default_factory=dict)


def extract(
    features: Configured[FeatureSet],
    inputs: Mapping[str, Artifact],
    *,
    root: Storage,
    run: Run,
    as_of: datetime,
    engine: DuckDBSettings | None = None,
) -> Extraction:
    """Compute a feature set from the events before `as_of`, and publish it.

    Args:
        features: the set, from `config.feature_set`.
        inputs: artifacts by role: ``users`` with one row per user, ``activity`` with one row per event.
        root: where the result goes: ``{root}/{set}/features/{partition}``.
        run: names the partition.
        as_of: nothing at or after this moment is seen; the features' ``event_timestamp``.
        engine: what the computation may take.

    Raises:
        ConfigError: the set declares or selects something that does not exist or is not allowed.
        FeatureError: an input or column is missing or of no use, or the fitted state belongs to other features.
    """
    watch, spec = Stopwatch(), plan(features)
    check_inputs(spec, features, {role: artifact.schema for role, artifact in inputs.items()})
    job = Job(features=features, plan=spec, root=root, run=run, as_of=instant(as_of), engine=engine)
    states = StateStore(root, features.name)
    wanted = features.model.normalize or "handle_missing" in features.model.model_fields_set
    # Before any work: a state that does not fit must not be found out after hours of computing.
    state = states.current(spec.spec_hash, where=features.where()) if wanted else None
    artifact = _write_raw(job, inputs, watch)
    normalized = write_normalized(job, artifact, states, state) if wanted else None
    return Extraction(artifact=artifact, normalized=normalized, metrics=artifact.manifest.metrics)


def _write_raw(job: Job, inputs: Mapping[str, Artifact], watch: Stopwatch) -> Artifact:
    spec, name = job.plan, job.features.name
    used = {role: inputs[role] for role in (spec.domain.spine, spec.domain.events)}
    key_type = used[spec.domain.spine].schema.field(spec.theirs(spec.domain.spine, spec.domain.entity)).type
    schema = arrow_schema(spec, key_type)
    inputs_used = tuple(artifact.as_input(role) for role, artifact in used.items())
    description = job.description(name, inputs_used, _details(job))
    metrics = Metrics(features=len(spec.features), events_read=used[spec.domain.events].manifest.rows, missing_values=0)
    with (
        ArtifactWriter(job.root, description, schema, volatile=("created_timestamp",)) as writer,
        DuckDBEngine.open(job.engine) as engine,
    ):
        for role, artifact in used.items():
            engine.view(role, artifact)
        computation = Computation(spec, engine, {role: item.schema for role, item in used.items()}, job.as_of)
        for batch in stamped(computation.batches(), schema, job.as_of):
            metrics["missing_values"] += sum(batch.column(feature.name).null_count for feature in spec.features)
            writer.write(batch)
        metrics.update(computation.counts)
        metrics["entities"] = writer.rows
        published = writer.publish({**metrics, **watch.readings()})
    _log.info(
        "%s: %d features of %d entities as of %s, from %d events",
        name,
        len(spec.features),
        writer.rows,
        job.as_of.isoformat(),
        metrics["events_read"],
    )
    return published


def _details(job: Job) -> dict[str, Any]:
    """Return what the manifest says beyond the rows: enough to explain each number and to define it in Feast."""
    spec, name, feast = job.plan, job.features.name, job.features.model.feast
    view = feast.name_for(name)
    start, end = spec.window(job.as_of)
    return {
        "feature_set": name,
        "entity": spec.domain.entity,
        "as_of": job.as_of.isoformat(),
        "events": {"from": start.isoformat(), "to": end.isoformat()},
        "spec_hash": spec.spec_hash,
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
        "feast": {
            "view": view,
            "service": feast.service or f"{view}_service",
            "ttl_seconds": int(duration(feast.ttl).total_seconds()),
            "tags": dict(feast.tags),
            "description": feast.description,
            "owner": feast.owner,
        },
    }
