"""Normalisation and imputation with fitted state: fitted on the first run's features, only loaded afterwards.

Both are model-dependent: they are parameterised by statistics of the data that a model was trained on. So they go into
a set of their own (``<set>__normalized``), and the raw features are what is stored and served.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.computation import computing, stream
from airflow_provider_mlpipe.feature_extraction.state import FittedState, Statistics
from airflow_provider_mlpipe.observability import Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.feature_extraction.compile import Missing
    from airflow_provider_mlpipe.feature_extraction.job import Job
    from airflow_provider_mlpipe.feature_extraction.state import StateStore

__all__ = ["SUFFIX", "fit", "transform", "write_normalized"]

_log = logging.getLogger(__name__)

SUFFIX = "__normalized"
_VIEW = "features"


def fit(engine: DuckDBEngine, view: str, schema: pa.Schema, names: Sequence[str]) -> dict[str, Statistics]:
    """Return the statistics of columns of a view; nulls do not count."""
    if not names:
        return {}
    backend = engine.ibis()
    table = compiler.table_of(view, schema)
    first = _row(engine, backend.compile(compiler.centers(table, names)))
    means = {name: first[f"mean_{n}"] for n, name in enumerate(names)}
    second = _row(engine, backend.compile(compiler.spread(table, means)))
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
        )
    return found


def transform(
    engine: DuckDBEngine,
    view: str,
    schema: pa.Schema,
    statistics: Mapping[str, Statistics],
    *,
    order: str,
    normalize: bool,
    missing: Missing,
) -> pa.RecordBatchReader:
    """Return the rows of a view, imputed and then normalised by given statistics, ordered by a column."""
    table = compiler.scaled(compiler.table_of(view, schema), statistics, normalize=normalize, missing=missing)
    return stream(engine, engine.ibis().compile(table.order_by(order)))


def write_normalized(job: Job, raw: Artifact, states: StateStore, state: FittedState | None) -> Artifact:
    """Publish the normalised set beside the raw one.

    Args:
        job: the extraction that this belongs to.
        raw: its raw features.
        states: where states are kept.
        state: the state in force; None means that there never was one, so that this run fits and promotes it.
    """
    model, name = job.features.model, job.features.name
    with DuckDBEngine.open(job.engine) as engine, computing(name + SUFFIX, job.plan.where):
        engine.view(_VIEW, raw)
        if state is None:
            state = _fitted(job, raw, engine)
            states.promote(state, job.run.as_dict())
            # Two first runs at once: what the pointer says now is what all later runs will use.
            state = states.current(job.plan.spec_hash, where=job.features.where()) or state
        empty = [feature for feature, known in state.statistics.items() if not known.count]
        if empty:
            _log.warning("%s: the fit %s saw no value of %s; they stay null", name, state.fit_id, ", ".join(empty))
        batches = transform(
            engine,
            _VIEW,
            raw.schema,
            state.statistics,
            order=job.plan.domain.entity,
            normalize=model.normalize,
            missing=model.handle_missing,
        )
        return _write(job, raw, state, batches)


def _fitted(job: Job, raw: Artifact, engine: DuckDBEngine) -> FittedState:
    start, end = job.plan.window(job.as_of)
    state = FittedState(
        feature_set=job.features.name,
        spec_hash=job.plan.spec_hash,
        fitted_on={
            "as_of": job.as_of.isoformat(),
            "events_from": start.isoformat(),
            "events_to": end.isoformat(),
            "rows": raw.manifest.rows,
            "fingerprint": raw.fingerprint,
        },
        statistics=fit(engine, _VIEW, raw.schema, [feature.name for feature in job.plan.features]),
    )
    _log.warning(
        "%s: there was no fitted state, so normalisation was fitted on this run's %d entities as of %s and promoted "
        "as %s; later runs use it unchanged",
        job.features.name,
        raw.manifest.rows,
        job.as_of.isoformat(),
        state.fit_id,
    )
    return state


def _write(job: Job, raw: Artifact, state: FittedState, batches: pa.RecordBatchReader) -> Artifact:
    name = job.features.name + SUFFIX
    details = {key: raw.manifest.details[key] for key in ("entity", "as_of", "spec_hash", "features")}
    description = job.description(
        name,
        (raw.as_input("features"),),
        {"feature_set": name, **details, "fit_id": state.fit_id, "fitted_on": state.fitted_on},
    )
    missing = 0
    schema = _schema(batches.schema, raw.schema)
    with ArtifactWriter(job.root, description, schema, volatile=("created_timestamp",)) as writer:
        for batch in batches:
            missing += sum(batch.column(feature).null_count for feature in state.statistics)
            writer.write(batch.cast(schema) if batch.schema != schema else batch)
        metrics = Metrics(entities=writer.rows, features=len(state.statistics), missing_values=missing)
        return writer.publish(metrics)


def _schema(found: pa.Schema, raw: pa.Schema) -> pa.Schema:
    """Return the raw set's schema with the features' new types."""
    import pyarrow as pa

    kept = {
        item.name: item.type for item in raw if not (pa.types.is_integer(item.type) or pa.types.is_floating(item.type))
    }
    first = raw.names[0]
    kept[first] = raw.field(first).type
    return pa.schema([(item.name, kept.get(item.name, item.type)) for item in found])


def _row(engine: DuckDBEngine, sql: Any) -> dict[str, Any]:  # noqa: ANN401 - ibis has no types
    """Return the only row of a query by column."""
    cursor = engine.connection.execute(str(sql))
    return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
