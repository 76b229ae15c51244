"""Features that a function of a user computed by itself: a table, published as if it had been extracted.

What cannot be known is not claimed: there is no ``_proof.json``, because what the function read is its own affair. The
inputs that it was given stand in the manifest all the same, so that the feature store asks for their verdicts.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
from airflow_provider_mlpipe.errors import ConfigError, FeatureError, did_you_mean, samples
from airflow_provider_mlpipe.feature_extraction.computation import stamped
from airflow_provider_mlpipe.feature_extraction.extraction import Extraction
from airflow_provider_mlpipe.feature_extraction.job import STAGE
from airflow_provider_mlpipe.feature_extraction.moments import Moments
from airflow_provider_mlpipe.feature_extraction.raw import VOLATILE
from airflow_provider_mlpipe.observability import Metrics, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.run import Run

__all__ = ["is_table", "publish_table"]

_log = logging.getLogger(__name__)

_SAID = frozenset({"entity", "feast"})
"""What a set has to say whose features come as a table; all else is about computing them."""

_OURS = ("event_timestamp", "created_timestamp")


def is_table(thing: Any) -> bool:  # noqa: ANN401 - whatever a function returned
    """Return whether it is a table: Arrow's, a DataFrame, or what gives Arrow's C stream."""
    return type(thing).__module__.partition(".")[0] in {"pyarrow", "pandas"} or hasattr(thing, "__arrow_c_stream__")


def publish_table(
    features: Configured[FeatureSet],
    table: Any,  # noqa: ANN401 - a table in any of many forms
    inputs: Mapping[str, Artifact],
    *,
    root: Storage,
    run: Run,
    as_of: datetime,
    by: str = "",
) -> Extraction:
    """Publish a table of features as what they are as of a moment.

    Args:
        features: the set's name, `entity` and `feast`.
        table: one row per entity: its key, and a column per feature. A named index of a DataFrame is a column.
        inputs: what the table was computed from, by role.
        root: where the result goes: ``{root}/{set}/features/{partition}``.
        run: names the partition.
        as_of: the features' ``event_timestamp``. That nothing later went into them is the function's promise.
        by: who computed them, for people.

    Raises:
        ConfigError: the set says more than a table has a use for.
        FeatureError: no key, a key that is null or comes twice, no feature, or a column with a name that is ours.
    """
    watch = Stopwatch()
    _refuse_what_computes(features)
    entity = features.model.entity or f"{features.name.removesuffix('_features')}_id"
    rows = _arrow(table)
    names = _checked(features, rows, entity)
    schema = _schema(rows, entity, names)
    described = Description(
        dataset=features.name,
        stage=STAGE,
        run=run,
        config_hash=features.document.text_hash,
        inputs=tuple(artifact.as_input(role) for role, artifact in inputs.items()),
        details=_details(features, entity, names, as_of, by),
    )
    with ArtifactWriter(root, described, schema, volatile=VOLATILE) as writer:
        writer.write_all(stamped(iter(rows.to_batches(max_chunksize=131_072)), schema, Moments.at(as_of)))
        missing = {name: rows.column(name).null_count for name in names}
        total = sum(missing.values())
        metrics = Metrics(
            entities=writer.rows,
            features=len(names),
            moments=1,
            missing_values=total,
            missing_rate=total / (writer.rows * len(names)) if writer.rows else 0.0,
        )
        artifact = writer.publish({**metrics, **watch.readings()}, {"missing": missing})
    _log.info("%s: %d features of %d entities as of %s, computed by %s", features.name, len(names),
              artifact.manifest.rows, as_of.isoformat(), by or "a function")  # fmt: skip
    return Extraction(artifact=artifact, metrics=artifact.manifest.metrics)


def _arrow(table: Any) -> pa.Table:  # noqa: ANN401
    import pyarrow as pa

    if isinstance(table, pa.RecordBatch):
        return pa.Table.from_batches([table])
    if type(table).__module__.partition(".")[0] == "pandas":
        named = any(name is not None for name in table.index.names)
        table = pa.Table.from_pandas(table, preserve_index=named)
    found: pa.Table = table if isinstance(table, pa.Table) else pa.table(table)
    return found.replace_schema_metadata(None)


def _refuse_what_computes(features: Configured[FeatureSet]) -> None:
    said = sorted(features.model.model_fields_set - _SAID)
    if said:
        raise ConfigError.invalid(
            where=features.where(said[0]), key=said[0],
            problem="says how to compute features, and they came as a table",
            hint=f"Leave it out (a table takes {' and '.join(sorted(_SAID))}), or return a declaration instead.",
        )  # fmt: skip


def _checked(features: Configured[FeatureSet], rows: pa.Table, entity: str) -> list[str]:
    """Return the names of the features."""
    import pyarrow.compute as pc

    if entity not in rows.column_names:
        raise _wrong(
            features,
            f"the table has no column {entity!r}, the key; it has {', '.join(rows.column_names) or 'none'}."
            f"{did_you_mean(entity, rows.column_names)}",
            "Name the key column with entity, or bring it into the table.",
        )
    ours = [name for name in _OURS if name in rows.column_names]
    if ours:
        raise _wrong(features, f"{ours[0]} is set by the run: it is the run's as_of", "Leave the column out.")
    names = [name for name in rows.column_names if name != entity]
    if not names:
        raise _wrong(features, "the table has no column beside the key", "Return a column per feature.")
    keys = rows.column(entity)
    if keys.null_count:
        raise _wrong(features, f"{keys.null_count:,} of {rows.num_rows:,} rows have no {entity}", "Leave them out.")
    counted = pc.value_counts(keys)
    twice = counted.filter(pc.greater(counted.field("counts"), 1)).field("values").to_pylist()
    if twice:
        raise _wrong(
            features,
            f"{len(twice):,} of {len(counted):,} keys come more than once, such as {samples(twice)}",
            f"Return one row per {entity}.",
        )
    return names


def _wrong(features: Configured[FeatureSet], problem: str, hint: str) -> FeatureError:
    return FeatureError.because(where=features.where(), feature=features.name, problem=problem, hint=hint)


def _schema(rows: pa.Table, entity: str, names: list[str]) -> pa.Schema:
    import pyarrow as pa

    stamp = pa.timestamp("us", tz="UTC")
    times = [pa.field(name, stamp) for name in _OURS]
    return pa.schema([rows.schema.field(entity), *times, *(rows.schema.field(name) for name in names)])


def _details(
    features: Configured[FeatureSet], entity: str, names: list[str], as_of: datetime, by: str
) -> dict[str, Any]:
    return {
        "feature_set": features.name,
        "entity": entity,
        "entity_type": entity.removesuffix("_id"),
        "as_of": as_of.isoformat(),
        "computed_by": by,
        "features": [{"name": name, "description": "", "unit": ""} for name in names],
        "feast": features.model.feast.details(features.name),
    }
