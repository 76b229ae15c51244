"""Push: rows for a feature view that is there already, between two materialisations.

Online, a row goes in as a materialisation would put it in: unless a newer one of its entity is there. Feast's registry
keeps its list of materialised intervals as it is.

Offline, the rows become a file of their own, ``push-<fingerprint>.parquet``: the same rows pushed again replace
themselves, and no interval's file is touched. Files of later intervals do not replace it. Whoever reads the past gets,
for a moment, the newest row of an entity by event_timestamp, and of two rows of the same time the one that was computed
later, by created_timestamp: so a push corrects an interval that was there before, and an interval that is computed
again afterwards goes before the push. Many small pushes make many small files; collect rows for some minutes.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine, quote
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError
from airflow_provider_mlpipe.feature_store import guard, read_back
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP, Definition
from airflow_provider_mlpipe.feature_store.materialization import alone, passage
from airflow_provider_mlpipe.feature_store.offline import OfflineData
from airflow_provider_mlpipe.feature_store.online import find_view, open_store
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import translated
from airflow_provider_mlpipe.observability.metrics import Metrics, Stopwatch
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["DESTINATIONS", "Push", "push"]

_log = logging.getLogger(__name__)

Destination = Literal["online", "offline", "online_and_offline"]
DESTINATIONS = ("online", "offline", "online_and_offline")


@dataclass(frozen=True, kw_only=True)
class Push:
    """What was done.

    Attributes:
        view: the feature view.
        rows: entities written online.
        rows_skipped: entities left alone, because newer rows of theirs are online.
        rows_offline: rows added to the offline data.
        rows_read_back: entities read back from the online store and compared.
        file: the offline data's file, empty if none was written.
        metrics: all numbers, by the names of the metric registry.
    """

    view: str
    rows: int
    rows_skipped: int
    rows_offline: int
    rows_read_back: int
    file: str
    metrics: Metrics


def push(
    view: str,
    rows: pa.Table | Iterable[pa.RecordBatch] | Artifact,
    store: FeatureStore,
    *,
    root: Storage,
    to: Destination = "online_and_offline",
) -> Push:
    """Put rows into a feature view.

    Args:
        view: the view's name; it must be registered (`materialize` and `register` do that).
        rows: the view's key and all its features, event_timestamp, and created_timestamp if known (else it is now).
            Values are cast to the view's types where nothing is lost.
        store: where Feast is, and how strict to be: an `Artifact` must have passed the gate, like one to materialise.
            Rows from elsewhere have no verdict; whoever pushes them answers for them.
        root: the artifact root.
        to: where to put them.

    Raises:
        ConfigError: no such view, or a column is missing or unknown.
        GateClosedError: an input of the artifact has no passed verdict.
        StoreRejectedError: values that do not fit the view's types, rows without key or time.
        StoreUnavailableError: the registry or the online store does not answer, or is locked for too long.
        ReadBackError: the online store does not answer with what was written.
    """
    watch = Stopwatch()
    if to not in DESTINATIONS:
        raise ConfigError.unknown_name(where="push", kind="destination", name=to, known=DESTINATIONS)
    passed = passage(rows, store) if isinstance(rows, Artifact) else "passed"
    settings = Settings.of(store, root)
    opened = open_store(store, root)
    with translated(settings.secrets, doing=f"look up {view!r}"):
        target = find_view(opened, view)
    with tempfile.TemporaryDirectory(prefix="mlpipe-push-") as folder:
        artifact = _collected(target, rows, folder)
        definition = Definition.of(artifact)
        facts = guard.survey(artifact, definition)
        file, online = "", _Online()
        if facts.rows:
            with alone(settings, view):
                if to != "online":
                    name = f"push-{artifact.fingerprint.rpartition(':')[2][:16]}"
                    file = OfflineData(root, view).publish(artifact, partition=name)
                if to != "offline":
                    with translated(settings.secrets, doing=f"push to {view!r}"):
                        online = _online(artifact, definition, facts, opened=opened, settings=settings, store=store)
    offline = facts.rows if file else 0
    metrics = Metrics(
        rows_materialized=online.written,
        rows_skipped=online.skipped,
        rows_read_back=online.compared,
        mismatches=0,
        gate_overridden=int(passed != "passed"),
        **watch.readings(),
    )
    _log.info("Pushed to %s: %d entities online, %d rows offline", view, online.written, offline)
    return Push(
        view=view,
        rows=online.written,
        rows_skipped=online.skipped,
        rows_offline=offline,
        rows_read_back=online.compared,
        file=file,
        metrics=metrics,
    )


@dataclass(frozen=True)
class _Online:
    written: int = 0
    skipped: int = 0
    compared: int = 0


def _online(
    artifact: Artifact,
    definition: Definition,
    facts: guard.Survey,
    *,
    opened: Any,  # noqa: ANN401 - feast has no types
    settings: Settings,
    store: FeatureStore,
) -> _Online:
    if not guard.has_table(settings, opened.project, definition.view):
        raise StoreRejectedError(
            f"feature view {definition.view!r}: the online store has no table for it",
            hint="It was lost, or never made: mlpipe feast apply ARTIFACT, or materialize one.",
            view=definition.view,
        )
    with guard.due(artifact, definition, facts, store=opened, settings=settings) as due:
        written = facts.entities - due.skipped
        if written:
            _write(due, definition, opened)
        compared = read_back.compare(due.artifact, definition, opened, count=store.read_back) if written else 0
    return _Online(written, due.skipped, compared)


def _write(due: guard.Due, definition: Definition, opened: Any) -> None:  # noqa: ANN401 - feast has no types
    """Hand the newest row of every entity to Feast's online store, without a word to the registry."""
    from feast.utils import _convert_arrow_to_proto

    config = opened.config
    if config.online_store.type == "redis":
        # Its store skips rows whose time is online already, so that corrected values would not arrive.
        config.online_store.skip_dedup = due.again
    view = opened.registry.get_feature_view(definition.view, opened.project)
    keys = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
    order = f"{quote(TIMESTAMP)} DESC" + (f", {quote(CREATED)} DESC" if definition.created else "")
    query = (
        "SELECT * FROM pushed QUALIFY row_number() "  # noqa: S608
        f"OVER (PARTITION BY {quote(definition.entity)} ORDER BY {order}) = 1"
    )
    with DuckDBEngine.open() as engine:
        engine.view("pushed", due.artifact)
        for batch in engine.batches(query, config.materialization_config.online_write_batch_size or 1_000):
            rows = _convert_arrow_to_proto(batch, view, keys)
            opened.provider.online_write_batch(config, view, rows, None)


# ------------------------------------------------------------------ from any rows to an artifact of the view's types


def _collected(target: Any, rows: pa.Table | Iterable[pa.RecordBatch] | Artifact, folder: str) -> Artifact:  # noqa: ANN401 - feast has no types
    """Write the rows to disk as an artifact with exactly the view's columns."""
    import pyarrow as pa

    keys = [column.name for column in target.entity_columns]
    if len(keys) != 1:
        raise ConfigError.invalid(
            where=f"feature view {target.name!r}", key="entities", problem=f"{len(keys)} keys; push takes views of one"
        )
    schema = _schema(target)
    details = {"feature_set": target.name, "entity": keys[0], "feast": {"view": target.name}}
    description = Description(dataset="pushed", stage="features", run=Run(), details=details)
    batches = rows.batches() if isinstance(rows, Artifact) else rows
    if isinstance(batches, pa.Table):
        batches = batches.to_batches()
    with ArtifactWriter(Storage(folder), description, schema, volatile=(CREATED,)) as writer:
        for batch in _fitting(target.name, batches, schema):
            writer.write(batch)
        return writer.publish()


def _schema(target: Any) -> pa.Schema:  # noqa: ANN401 - feast has no types
    import pyarrow as pa

    stamp = pa.timestamp("us", "UTC")
    kinds = {
        "BOOL": pa.bool_(),
        "INT32": pa.int32(),
        "INT64": pa.int64(),
        "FLOAT": pa.float32(),
        "DOUBLE": pa.float64(),
        "STRING": pa.string(),
        "BYTES": pa.binary(),
        "UNIX_TIMESTAMP": stamp,
    }
    fields = []
    for column in (*target.entity_columns, *target.features):
        name = column.dtype.to_value_type().name
        kind = kinds.get(name.removesuffix("_LIST"))
        if kind is None:
            raise ConfigError.invalid(
                where=f"feature view {target.name!r}", key=column.name, problem=f"push does not know the type {name}"
            )
        fields.append(pa.field(column.name, pa.list_(kind) if name.endswith("_LIST") else kind))
    fields.append(pa.field(TIMESTAMP, stamp))
    if target.batch_source.created_timestamp_column:
        fields.append(pa.field(CREATED, stamp))
    return pa.schema(fields)


def _fitting(view: str, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches with the view's columns, in their order and of their types."""
    import pyarrow as pa

    now = datetime.now(UTC)  # when rows are computed that do not say so; it decides only between rows of equal time
    for number, batch in enumerate(batches):
        names = batch.schema.names
        if number == 0:
            _check_columns(view, names, schema)
        columns = []
        for field in schema:
            if field.name == CREATED and CREATED not in names:
                columns.append(pa.array([now] * batch.num_rows, field.type))
                continue
            try:
                columns.append(batch.column(field.name).cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                found = batch.schema.field(field.name).type
                raise StoreRejectedError(
                    f"feature view {view!r}: column {field.name!r} is {found}, which does not fit {field.type}: "
                    f"{error}",
                    hint="Cast it before the push, or change the view.",
                    view=view,
                    column=field.name,
                ) from error
        yield pa.record_batch(columns, schema=schema)


def _check_columns(view: str, names: list[str], schema: pa.Schema) -> None:
    for name in names:
        if name not in {*schema.names, CREATED}:
            raise ConfigError.unknown_name(
                where=f"feature view {view!r}",
                kind="column",
                name=name,
                known=[n for n in schema.names if n != CREATED],
            )
    missing = [name for name in schema.names if name not in names and name != CREATED]
    if missing:
        raise ConfigError.invalid(
            where=f"feature view {view!r}",
            key=missing[0],
            problem=f"the rows lack {len(missing)} of {len(schema.names)} columns: {', '.join(missing[:5])}",
            hint="Push whole rows: Feast would keep the old values of the others under the new time.",
        )
