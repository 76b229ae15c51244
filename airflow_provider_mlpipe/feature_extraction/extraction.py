"""Extraction: from input artifacts to an artifact of features as of a moment, or of many."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import settings_named
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction import normalization
from airflow_provider_mlpipe.feature_extraction.inputs import check_inputs
from airflow_provider_mlpipe.feature_extraction.job import Job
from airflow_provider_mlpipe.feature_extraction.moments import Moments
from airflow_provider_mlpipe.feature_extraction.plan import plan
from airflow_provider_mlpipe.feature_extraction.raw import write_raw
from airflow_provider_mlpipe.feature_extraction.state import StateStore
from airflow_provider_mlpipe.observability import Stopwatch
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.engines import EngineSettings
    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
    from airflow_provider_mlpipe.feature_extraction.state import FittedState
    from airflow_provider_mlpipe.run import Run

__all__ = ["Extraction", "extract", "finished", "job_of", "state_for"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What an extraction published.

    Attributes:
        artifact: the raw features, which is what goes to the feature store.
        normalized: the same after imputation and normalisation, if the set asks for it.
        metrics: values by the names of the metric registry; those of the artifact's manifest, and of this run.
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
    as_of: datetime | Moments | None = None,
    engine: EngineSettings | None = None,
    chunk: Chunk | None = None,
    cache: bool | None = None,
) -> Extraction:
    """Compute a feature set from the events before `as_of`, and publish it.

    Args:
        features: the set, from `config.feature_set`.
        inputs: artifacts by role: ``users`` with one row per user, ``activity`` with one row per event.
        root: where the result goes: ``{root}/{set}/features/{partition}``; of many moments
            ``{root}/{set}/history/{partition of the range}``.
        run: names the partition.
        as_of: nothing at or after this moment is seen; the features' ``event_timestamp``. Many moments are computed in
            one pass over the events, and give one artifact with the rows of each. None: those that the set declares.
        engine: what computes, and what it may take; the engine that the set names (``engine``) if None.
        chunk: only the entities of this part; it goes to ``{root}/{set}/features-chunks``, to be merged by
            `merge_chunks`, and is not normalised.
        cache: whether an earlier result of the same content may be reused; as the set says (``cache``) if None.

    Raises:
        ConfigError: the set declares or selects something that does not exist or is not allowed.
        FeatureError: an input or column is missing or of no use, or the fitted state belongs to other features.
    """
    watch, job = Stopwatch(), job_of(features, root=root, run=run, as_of=as_of, engine=engine, chunk=chunk)
    check_inputs(job.plan, features, {role: artifact.schema for role, artifact in inputs.items()})
    # Before any work: a state that does not fit must not be found out after hours of computing.
    state = None if chunk else state_for(job)
    raw = write_raw(job, inputs, watch, cache=features.model.cache if cache is None else cache)
    return finished(job, raw.artifact, state, raw.metrics)


def job_of(
    features: Configured[FeatureSet],
    *,
    root: Storage,
    run: Run,
    as_of: datetime | Moments | None,
    engine: EngineSettings | None = None,
    chunk: Chunk | None = None,
) -> Job:
    """Return the job of an extraction, whose run is named after what it is about."""
    moments = _moments(features, as_of)
    if moments.many:
        run = replace(run, interval=moments.interval)
    if chunk is not None and run.map_index < 0:
        run = replace(run, map_index=chunk.index)
    engine = engine or settings_named(features.model.engine)
    return Job(
        features=features, plan=plan(features), root=root, run=run, moments=moments, engine=engine, chunk=chunk
    )  # fmt: skip


def _moments(features: Configured[FeatureSet], as_of: datetime | Moments | None) -> Moments:
    """Return what is asked for: a range given, else the range that the set declares, else a moment given."""
    given, declared = None if as_of is None else Moments.of(as_of), features.model.as_of
    if declared is not None and (given is None or not given.many):
        return Moments.between(instant(declared.start), instant(declared.end), declared.every)
    if given is None:
        raise ConfigError.invalid(
            where=features.where("as_of"), key="as_of", problem="no moment was given, and the set declares no range",
            hint="Give as_of, or declare as_of: {start: ..., end: ..., every: 1d}.",
        )  # fmt: skip
    return given


def state_for(job: Job) -> FittedState | None:
    """Return the state in force, or None if there is none or none is needed.

    Raises:
        FeatureError: it does not fit the definition.
    """
    if not normalization.wanted(job.features.model):
        return None
    return StateStore(job.root, job.features.name).current(job.plan.spec_hash, where=job.features.where())


def finished(job: Job, raw: Artifact, state: FittedState | None, metrics: dict[str, Any]) -> Extraction:
    """Return what was extracted, with the normalised set if it is wanted of a whole."""
    normalized = None
    if job.chunk is None and normalization.wanted(job.features.model):
        normalized = normalization.write_normalized(job, raw, StateStore(job.root, job.features.name), state)
    return Extraction(artifact=raw, normalized=normalized, metrics=metrics)
