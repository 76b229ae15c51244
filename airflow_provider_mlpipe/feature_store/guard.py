"""The guard: what is online is not replaced by older rows, and rows that the store cannot hold exactly are refused."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine, quote
from airflow_provider_mlpipe.errors import StoreRejectedError, samples
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.feature_store.definitions import Definition
    from airflow_provider_mlpipe.feature_store.settings import Settings

__all__ = ["COLUMN_ROWS", "LOOKUP_ROWS", "Due", "Survey", "due", "entity_keys", "survey", "utc"]

_log = logging.getLogger(__name__)

LOOKUP_ROWS = 1_000
"""Entities asked for at once: below SQLite's limit of parameters."""

COLUMN_ROWS = 10_000
"""The same, where a store is asked for a column of keys."""

EXACT_INTEGERS = 2**53


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What an artifact holds, before anything is written.

    Attributes:
        entities: different keys; of several rows of one key the newest goes online.
        start, end: the first and last event_timestamp; None without rows.
    """

    rows: int
    entities: int
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is to be written.

    Attributes:
        artifact: the rows: those of the artifact, or the part of them that is not older than what is online.
        skipped: entities left alone, because what is online is newer.
        again: whether some of the rows' times are online already, so that they must be overwritten.
    """

    artifact: Artifact
    skipped: int
    again: bool


def survey(artifact: Artifact, definition: Definition) -> Survey:
    """Count rows and keys and find the span of time, and refuse what cannot go online as it is.

    Raises:
        StoreRejectedError: null keys, null times, or whole numbers that Feast would round.
    """
    key, time = quote(definition.entity), quote(TIMESTAMP)
    risky = [name for name, kind in definition.columns.items() if kind == "INT64" and name != definition.entity]
    checks = "".join(
        f", count({quote(name)}) < count(*) AND coalesce(max(abs({quote(name)}::HUGEINT)), 0) > {EXACT_INTEGERS}"
        for name in risky
    )
    with DuckDBEngine.open() as engine:
        engine.view("features", artifact)
        found = engine.row(
            f"SELECT count(*), count({key}), count({time}), count(DISTINCT {key}), min({time}), max({time}){checks}"  # noqa: S608
            " FROM features"
        )
    rows, keys, times, entities, start, end, *rounded = found
    for count, column in ((keys, definition.entity), (times, TIMESTAMP)):
        if count < rows:
            raise StoreRejectedError(
                f"{artifact.uri}: {rows - count} of {rows} rows have no {column}, so they cannot go online",
                hint=f"Make {column} a required column of the inputs.",
                uri=artifact.uri,
            )
    lossy = [name for name, flag in zip(risky, rounded, strict=True) if flag]
    if lossy:
        # Feast's engine carries whole numbers with nulls among them as floating-point numbers.
        raise StoreRejectedError(
            f"{artifact.uri}: {', '.join(lossy)}: whole numbers beyond 2^53 beside nulls, which Feast would round",
            hint="Fill the nulls, or make it text.",
            uri=artifact.uri,
        )
    return Survey(rows=rows, entities=entities, start=utc(start), end=utc(end))


@contextmanager
def due(
    artifact: Artifact,
    definition: Definition,
    facts: Survey,
    *,
    store: Any,  # noqa: ANN401 - feast has no types
    settings: Settings,
) -> Iterator[Due]:
    """Find out what is to be written; temporary files go when the block is left.

    An entity whose online row is newer than the artifact's is left alone, on any kind of store: Feast's SQLite store
    would overwrite it, so that a backfill of an old day would take serving back to that day.
    """
    if not _may_be_online(settings, store, definition, facts):
        yield Due(artifact=artifact, skipped=0, again=False)
        return
    newer, again = _compare(artifact, definition, store)
    if not newer:
        yield Due(artifact=artifact, skipped=0, again=again)
        return
    _log.warning(
        "%s: %d of %d entities have newer values online, which stay (event_timestamp of this artifact: %s to %s). "
        "Keys: %s",
        definition.view, len(newer), facts.entities, facts.start, facts.end, samples(sorted(newer)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="mlpipe-due-") as folder:
        yield Due(artifact=_without(artifact, definition.entity, newer, folder), skipped=len(newer), again=again)


def has_table(settings: Settings, project: str, view: str) -> bool:
    """Whether the online store is ready for the view; only SQLite's can be lost while the registry stays."""
    if settings.sqlite_path is None:
        return True
    if not settings.sqlite_path.exists():
        return False
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as connection:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return connection.execute(query, (f"{project}_{view}",)).fetchone() is not None


def _may_be_online(settings: Settings, store: Any, definition: Definition, facts: Survey) -> bool:  # noqa: ANN401
    """Whether a row as new as the artifact's oldest may be online: a cheap look that saves the dear one."""
    if settings.sqlite_path is None or facts.start is None:
        return facts.start is not None
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as connection:
        table = quote(f"{store.project}_{definition.view}")
        (latest,) = connection.execute(f"SELECT max(event_ts) FROM {table}").fetchone()  # noqa: S608
    # Feast writes the UTC time as if it were local; compare in its own terms. SQLite overwrites rows of equal time.
    return latest is not None and int(latest) > int(facts.start.replace(tzinfo=None).timestamp())


def _compare(artifact: Artifact, definition: Definition, store: Any) -> tuple[set[Any], bool]:  # noqa: ANN401
    """Return the keys whose online row is newer than the artifact's newest, and whether one is of the same time."""
    from airflow_provider_mlpipe.feature_store.arrow_engine.lookup import lookup

    times_of = lookup(store, definition.view, artifact.schema.field(definition.entity).type)
    if times_of is not None:
        return _compare_columns(artifact, definition, times_of)
    newer: set[Any] = set()
    again = False
    for keys, times in _newest(artifact, definition):
        for key, mine, online in zip(keys, times, _online_times(store, definition, keys), strict=True):
            if online is None:
                continue
            # SQLite keeps whole seconds.
            if online > mine and online.replace(microsecond=0) > mine.replace(microsecond=0):
                newer.add(key)
            else:
                again = True
    return newer, again


def _compare_columns(
    artifact: Artifact, definition: Definition, times_of: Callable[[pa.Array], pa.Array]
) -> tuple[set[Any], bool]:
    """Do the same a column at a time, where the store can be asked so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    newer: set[Any] = set()
    again = False
    with DuckDBEngine.open() as engine:
        engine.view("features", artifact)
        for batch in engine.batches(_newest_query(definition), COLUMN_ROWS):
            keys, mine = batch.columns
            online = times_of(keys)
            later = pc.greater(
                pc.floor_temporal(online.cast(pa.timestamp("us")), unit="second"),
                pc.floor_temporal(mine.cast(pa.timestamp("us")), unit="second"),
            )
            newer.update(keys.filter(later).to_pylist())
            again = again or bool(pc.any(pc.invert(later)).as_py())
    return newer, again


def _newest(artifact: Artifact, definition: Definition) -> Iterator[tuple[list[Any], list[datetime]]]:
    """Yield keys and their newest time, some at a time."""
    with DuckDBEngine.open() as engine:
        engine.view("features", artifact)
        found = engine.connection.execute(_newest_query(definition))
        while rows := found.fetchmany(LOOKUP_ROWS):
            yield [key for key, _ in rows], [time.astimezone(UTC) for _, time in rows]


def _newest_query(definition: Definition) -> str:
    return f"SELECT {quote(definition.entity)}, max({quote(TIMESTAMP)}) FROM features GROUP BY ALL"  # noqa: S608


def entity_keys(definition: Definition, keys: list[Any]) -> list[Any]:
    """Return keys as Feast's online stores want them."""
    from feast import ValueType
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.type_map import python_values_to_proto_values

    values = python_values_to_proto_values(keys, ValueType[definition.columns[definition.entity]])
    return [EntityKey(join_keys=[definition.entity], entity_values=[value]) for value in values]


def _online_times(store: Any, definition: Definition, keys: list[Any]) -> list[datetime | None]:  # noqa: ANN401
    """Return the event times of the rows that are online, None where there is none."""
    asked = entity_keys(definition, keys)
    view = store.registry.get_feature_view(definition.view, store.project)
    # One feature is enough, and the list is Feast's to change.
    rows = store.provider.online_read(store.config, view, asked, [definition.features[0]])
    return [utc(time) for time, _ in rows]


def _without(artifact: Artifact, entity: str, keys: set[Any], folder: str) -> Artifact:
    """Return the artifact's rows without those of some keys, as an artifact of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = artifact.schema.field(entity)
    left_alone = pa.array(sorted(keys), type=column.type)
    description = Description(dataset="due", stage="features", run=Run(), details=artifact.manifest.details)
    with ArtifactWriter(Storage(folder), description, artifact.schema, volatile=(CREATED,)) as writer:
        for batch in artifact.batches():
            mask = pc.invert(pc.is_in(batch.column(entity), value_set=left_alone))
            writer.write(batch.filter(mask))
        return writer.publish()


def utc(time: datetime | None) -> datetime | None:
    """Return a time in UTC; one without a zone is in UTC already."""
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
