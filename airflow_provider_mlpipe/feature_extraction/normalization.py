"""Normalisation and imputation with fitted state: fitted once, only loaded afterwards.

Both are model-dependent: they are parameterised by statistics of the data that a model was trained on. So they go into
a set of their own (``<set>__normalized``), and the raw features are what is stored and served.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter
from airflow_provider_mlpipe.engines import open_engine
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.computation import computing
from airflow_provider_mlpipe.feature_extraction.state import FittedState, Statistics, unusable
from airflow_provider_mlpipe.observability import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import FeatureSet
    from airflow_provider_mlpipe.engines import Engine
    from airflow_provider_mlpipe.feature_extraction.compile import Method, Missing
    from airflow_provider_mlpipe.feature_extraction.job import Job
    from airflow_provider_mlpipe.feature_extraction.state import StateStore

__all__ = ["SUFFIX", "fit", "fitted", "method_of", "transform", "wanted", "write_normalized"]

_log = logging.getLogger(__name__)

SUFFIX = "__normalized"
_VIEW = "features"

_AT_ONCE = 8
"""Columns whose quartiles are computed together: an engine holds all their values for that, and cannot spill them."""


def wanted(model: FeatureSet) -> bool:
    """Return whether a set asks for a normalised or imputed set beside the raw one."""
    return bool(model.normalize) or "handle_missing" in model.model_fields_set


def method_of(model: FeatureSet) -> Method | None:
    """Return how a set is to be scaled, or None."""
    if isinstance(model.normalize, str):
        return model.normalize
    return "zscore" if model.normalize else None


def fit(engine: Engine, view: str, schema: pa.Schema, names: Sequence[str]) -> dict[str, Statistics]:
    """Return the statistics of columns of a view; nulls do not count."""
    found: dict[str, Statistics] = {}
    for start in range(0, len(names), _AT_ONCE):
        found |= _fit_some(engine, compiler.table_of(view, schema), names[start : start + _AT_ONCE])
    return found


def _fit_some(engine: Engine, table: Any, names: Sequence[str]) -> dict[str, Statistics]:  # noqa: ANN401
    first = _row(engine, compiler.centers(table, names))
    means = {name: first[f"mean_{n}"] for n, name in enumerate(names)}
    second = _row(engine, compiler.spread(table, means))
    found = {}
    for n, name in enumerate(names):
        low, high = first[f"min_{n}"], first[f"max_{n}"]
        found[name] = Statistics(
            count=first[f"count_{n}"],
            nulls=first[f"nulls_{n}"],
            mean=first[f"mean_{n}"],
            # The mean of equal numbers can be off by a last bit, which must not pass for a deviation.
            std=0.0 if low is not None and low == high else second[f"std_{n}"],
            min=low,
            max=high,
            median=first[f"median_{n}"],
            q1=first[f"q1_{n}"],
            q3=first[f"q3_{n}"],
            mode=None if low is None else _row(engine, compiler.most_frequent(table, name))["value"],
        )
    return found


def transform(
    engine: Engine,
    view: str,
    schema: pa.Schema,
    statistics: Mapping[str, Statistics],
    *,
    order: Sequence[str],
    method: Method | None,
    missing: Missing,
) -> pa.RecordBatchReader:
    """Return the rows of a view, imputed and then normalised by given statistics, ordered by some columns."""
    table = compiler.scaled(compiler.table_of(view, schema), statistics, method=method, missing=missing)
    return engine.batches(engine.ibis().compile(table.order_by(list(order))))


def fitted(job: Job, raw: Artifact) -> FittedState:
    """Return the statistics of the raw features of a job, as a state that is not saved yet."""
    names = [feature.name for feature in job.plan.features]
    with open_engine(job.engine) as engine, computing(job.features.name, job.plan.where):
        engine.view(_VIEW, raw)
        statistics = fit(engine, _VIEW, raw.schema, names)
    start, end = job.plan.window(job.moments.first)[0], job.plan.window(job.as_of)[1]
    return FittedState(
        feature_set=job.features.name,
        spec_hash=job.plan.spec_hash,
        fitted_on={
            **(job.moments.as_dict() if job.moments.many else {}),
            "as_of": job.as_of.isoformat(),
            "events_from": start.isoformat(),
            "events_to": end.isoformat(),
            "rows": raw.manifest.rows,
            "fingerprint": raw.fingerprint,
        },
        statistics=statistics,
    )


def write_normalized(job: Job, raw: Artifact, states: StateStore, state: FittedState | None) -> Artifact:
    """Publish the normalised set beside the raw one.

    Args:
        job: the extraction that this belongs to.
        raw: its raw features.
        states: where states are kept.
        state: the state in force; None means that there never was one, so that this run fits and promotes it.

    Raises:
        FeatureError: the state lacks what the set's method needs.
    """
    model, name = job.features.model, job.features.name
    if state is None:
        state = _first_fit(job, raw, states)
    method, missing = method_of(model), model.handle_missing
    _refuse_incomplete(job, state, method, missing)
    empty = [feature for feature, known in state.statistics.items() if not known.count]
    if empty:
        _log.warning("%s: the fit %s saw no value of %s; they stay null", name, state.fit_id, ", ".join(empty))
    with open_engine(job.engine) as engine, computing(name + SUFFIX, job.plan.where):
        engine.view(_VIEW, raw)
        statistics = state.statistics
        beyond = list(_row(engine, compiler.outside(compiler.table_of(_VIEW, raw.schema), statistics)).values())
        batches = transform(engine, _VIEW, raw.schema, statistics, order=job.order, method=method, missing=missing)
        return _write(job, raw, state, batches, dict(zip(statistics, beyond, strict=True)))


def _first_fit(job: Job, raw: Artifact, states: StateStore) -> FittedState:
    own = fitted(job, raw)
    state = states.promote_first(own, job.run.as_dict(), where=job.features.where())
    if state.fit_id == own.fit_id:
        _log.warning(
            "%s: there was no fitted state, so normalisation was fitted on this run's %d entities as of %s and "
            "promoted as %s; later runs use it unchanged. To fit on a stated range: mlpipe features fit %s",
            job.features.name,
            raw.manifest.rows,
            job.as_of.isoformat(),
            state.fit_id,
            job.features.name,
        )
    else:
        _log.warning(
            "%s: there was no fitted state, but another run fitted one meanwhile (%s): it is used, and this run's "
            "own (%s) is kept beside it",
            job.features.name,
            state.fit_id,
            own.fit_id,
        )
    return state


def _refuse_incomplete(job: Job, state: FittedState, method: Method | None, missing: Missing) -> None:
    """A state of an earlier release has no quartiles and no modes."""
    lacking = [
        name
        for name, known in state.statistics.items()
        if known.count and ((method == "robust" and known.q1 is None) or (missing == "mode" and known.mode is None))
    ]
    if lacking:
        raise unusable(
            job.features.name,
            job.features.where("normalize"),
            f"the fitted state {state.fit_id} comes from an earlier release and lacks quartiles and modes, which "
            f"normalize: {method or 'false'} and handle_missing: {missing} need",
        )


def _write(
    job: Job, raw: Artifact, state: FittedState, batches: pa.RecordBatchReader, beyond: Mapping[str, int]
) -> Artifact:
    name, model = job.features.name + SUFFIX, job.features.model
    method, details = method_of(model), raw.manifest.details
    kept: dict[str, Any] = {
        key: details[key] for key in ("entity", "entity_type", "as_of", "spec_hash", "features") if key in details
    }
    description = job.description(
        name,
        (raw.as_input("features"),),
        {
            "feature_set": name,
            **kept,
            "fit_id": state.fit_id,
            "fitted_on": state.fitted_on,
            "normalization": {
                feature: _range(known, method, model.handle_missing, beyond[feature])
                for feature, known in state.statistics.items()
            },
        },
    )
    missing = 0
    schema = _schema(batches.schema, raw.schema)
    with ArtifactWriter(job.root, description, schema, volatile=("created_timestamp",)) as writer:
        for batch in batches:
            missing += sum(batch.column(feature).null_count for feature in state.statistics)
            writer.write(batch.cast(schema) if batch.schema != schema else batch)
        fills = model.handle_missing in compiler.FILLS
        before = raw.manifest.metrics.get("missing_values", 0)
        metrics = Metrics(
            entities=writer.rows,
            features=len(state.statistics),
            missing_values=missing,
            values_imputed=max(before - missing, 0) if fills else 0,
            rows_dropped=raw.manifest.rows - writer.rows,
            values_out_of_range=sum(beyond.values()),
        )
        return writer.publish(metrics)


def _range(known: Statistics, method: Method | None, missing: Missing, beyond: int) -> dict[str, Any]:
    """Return how one feature was changed, enough to change a value by hand or back."""
    center, scale = compiler.METHODS[method](known) if method else (None, None)
    fill = compiler.FILLS[missing](known) if missing in compiler.FILLS else None
    return {
        "method": method,
        "center": center,
        "scale": scale,
        "fill": fill,
        "fitted_min": known.min,
        "fitted_max": known.max,
        "out_of_range": beyond,
    }


def _schema(found: pa.Schema, raw: pa.Schema) -> pa.Schema:
    """Return the raw set's schema with the features' new types."""
    import pyarrow as pa

    kept = {
        item.name: item.type for item in raw if not (pa.types.is_integer(item.type) or pa.types.is_floating(item.type))
    }
    first = raw.names[0]
    kept[first] = raw.field(first).type
    return pa.schema([(item.name, kept.get(item.name, item.type)) for item in found])


def _row(engine: Engine, expression: Any) -> dict[str, Any]:  # noqa: ANN401 - ibis has no types
    """Return the only row of an expression by column."""
    return dict(zip(expression.columns, engine.row(str(engine.ibis().compile(expression))), strict=True))
