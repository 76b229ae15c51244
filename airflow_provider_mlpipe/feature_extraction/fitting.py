"""Fitting on a stated range, and promoting what was fitted: two steps, so that nothing changes by accident."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction import normalization
from airflow_provider_mlpipe.feature_extraction.extraction import job_of
from airflow_provider_mlpipe.feature_extraction.inputs import check_inputs
from airflow_provider_mlpipe.feature_extraction.plan import plan
from airflow_provider_mlpipe.feature_extraction.raw import write_raw
from airflow_provider_mlpipe.feature_extraction.state import FittedState, StateStore
from airflow_provider_mlpipe.observability import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.engines import EngineSettings
    from airflow_provider_mlpipe.feature_extraction.moments import Moments
    from airflow_provider_mlpipe.run import Run

__all__ = ["Fit", "fit_state", "promote"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted state and what it was fitted on.

    Attributes:
        state: saved, not in force.
        history: the features of the range, an artifact like any other history.
        metrics: those of the history's computation.
    """

    state: FittedState
    history: Artifact
    metrics: dict[str, Any]


def fit_state(
    features: Configured[FeatureSet],
    inputs: Mapping[str, Artifact],
    *,
    root: Storage,
    run: Run,
    moments: Moments,
    engine: EngineSettings | None = None,
) -> Fit:
    """Compute the features of a range of moments and save their statistics as a state; `promote` puts it in force.

    Raises:
        ConfigError: `moments` is a single one.
        FeatureError: as for `extract`.
    """
    if not moments.many:
        raise ConfigError.invalid(
            where="fit", key="range", problem="a fit needs a range of moments", hint="Give --from TIME --to TIME."
        )
    watch, job = Stopwatch(), job_of(features, root=root, run=run, as_of=moments, engine=engine)
    check_inputs(job.plan, features, {role: artifact.schema for role, artifact in inputs.items()})
    raw = write_raw(job, inputs, watch, cache=features.model.cache)
    state = replace(
        normalization.fitted(job, raw.artifact),
        fitted_by=_fitted_by(raw.artifact.manifest.details["engine"]),
    )
    StateStore(root, features.name).save(state)
    _log.info("%s: fitted %s on %d rows of %d moments", features.name, state.fit_id, raw.artifact.manifest.rows,
              moments.count)  # fmt: skip
    return Fit(state=state, history=raw.artifact, metrics=raw.metrics)


def _fitted_by(engine: str) -> dict[str, str]:
    names = ("airflow-provider-mlpipe", {"spark": "pyspark"}.get(engine, engine))
    return {"engine": engine, **{name: version(name) for name in names}}


def promote(
    features: Configured[FeatureSet], fit_id: str, *, root: Storage, promoted_by: Mapping[str, Any]
) -> FittedState:
    """Put a saved state in force for all later runs of a set.

    Raises:
        FeatureError: there is no such state of the set's present definition.
    """
    return StateStore(root, features.name).promote(
        fit_id, plan(features).spec_hash, promoted_by, where=features.where()
    )  # fmt: skip
