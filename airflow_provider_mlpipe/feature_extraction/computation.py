"""Running a plan on an engine whose inputs are there as views: the artifact path and the DataFrame path meet here."""

from __future__ import annotations

import itertools
import logging
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import refusal
from airflow_provider_mlpipe.errors import EngineUnavailableError, FeatureError, samples
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.calls import called
from airflow_provider_mlpipe.feature_extraction.lineage import cells_of
from airflow_provider_mlpipe.feature_extraction.proof import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.engines import Engine
    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
    from airflow_provider_mlpipe.feature_extraction.moments import Moments
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["Computation", "arrow_schema", "computing", "stamped"]

_log = logging.getLogger(__name__)

_PER_KEY, _EVENTS = "mlpipe_per_key", "mlpipe_events"

_GROUPS_AT_ONCE = 100_000
"""Entities times moments that are aggregated at once. Beyond what caches hold, an aggregation of many moments takes
longer than one after the other, and beyond the memory limit it spills."""


class Computation:
    """One plan at one moment or many, on one engine with a view per input role.

    The events of each source are aggregated once into a table of one row per key, which serves counts and result.

    Attributes:
        counts: `events_null_key` and `events_unknown_entity` of each source's longest window, added up, and
            `entities_null_key`; `events_used`, `events_later` and `events_without_time`; filled by the time `batches`
            has given its first batch.
        sights: what was seen of the events, for the proof; filled at the same time.
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        schemas: Mapping[str, pa.Schema],
        as_of: datetime | Moments,
        chunk: Chunk | None = None,
    ) -> None:
        self._plan = plan
        self._schemas = schemas
        self._engine = engine
        self._extent = compiler.Extent(plan, as_of, chunk)
        self.counts: dict[str, int] = {}
        self.sights: list[Sight] = []
        self._left_out: dict[str, tuple[int, int]] = {}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield key and features of every entity, in the order of the keys; of many moments one after the other.

        Raises:
            FeatureError: the engine cannot compute it, or an entity has several values of a column in use.
        """
        plan, engine = self._plan, self._engine
        with computing(plan.name, plan.where):
            backend = engine.ibis()
            tables = compiler.inputs(plan, self._schemas)
            self._refuse_conflicts(backend, tables)
            for extent in self._steps(backend, tables):
                yield from self._step(backend, tables, extent)
            self._warn()

    def _steps(self, backend: Any, tables: dict[str, Any]) -> Iterator[compiler.Extent]:  # noqa: ANN401 - ibis
        """Yield the extents to compute one by one: of many moments as many at once as an engine can keep apart.

        The inputs are read once: what the steps need of the events is kept by the engine, which may spill it.
        """
        plan, engine, whole = self._plan, self._engine, self._extent
        spine = tables[plan.domain.spine]
        (entities,) = engine.row(str(backend.compile(spine.count().name("n").as_table()))) if whole.many else (0,)
        size = max(_GROUPS_AT_ONCE // max(int(entities), 1), 1)
        if whole.moments.count <= size or not whole.many:
            yield whole
            return
        for n, source in enumerate(plan.sources):
            events = compiler.in_window(plan, source, tables, whole)
            name = f"{_EVENTS}_{n}"
            engine.keep(name, backend.compile(events))
            tables[compiler.kept_events(source)] = compiler.kept(events, name)
        for moments in whole.moments.split(size):
            yield compiler.Extent(plan, moments, whole.chunk)

    def _step(self, backend: Any, tables: Mapping[str, Any], extent: compiler.Extent) -> Iterator[pa.RecordBatch]:  # noqa: ANN401
        plan, engine, per_source = self._plan, self._engine, {}
        for n, source in enumerate(plan.sources):
            names = (f"{_PER_KEY}_{n}_{part}" for part in itertools.count())

            def keep(part: Any, names: Iterator[str] = names) -> Any:  # noqa: ANN401
                name = next(names)
                engine.keep(name, backend.compile(part))
                return compiler.kept(part, name)

            per_source[source] = keep(compiler.events_per_key(plan, source, tables, extent, keep))
        self._count(backend, tables, per_source, extent)
        for source, per_key in per_source.items():
            self._look(backend, source, per_key, extent)
        own = []
        for results, sights in called(plan, engine, self._schemas, extent):
            own.append(results)
            self.sights += sights
        yield from engine.batches(backend.compile(compiler.feature_rows(plan, tables, per_source, extent, own)))

    def _refuse_conflicts(self, backend: Any, tables: Mapping[str, Any]) -> None:  # noqa: ANN401 - ibis has no types
        """A key that stands in an input twice is one thing; with two values of a column in use it is a riddle."""
        for conflict in compiler.conflicts(self._plan, tables, self._extent):
            sql = backend.compile(conflict.keys)
            (count,) = self._engine.row(f"SELECT count(*) FROM ({sql}) AS t")  # noqa: S608
            if not count:
                continue
            found = [key for (key,) in self._engine.rows(f"SELECT * FROM ({sql}) AS t ORDER BY 1 LIMIT 6")]  # noqa: S608
            asking = [need for need in self._plan.needs if need.role == conflict.role]
            raise FeatureError.because(
                where=asking[0].where if asking else self._plan.where,
                feature=asking[0].feature if asking else self._plan.name,
                problem=f"{count} {conflict.key} stand in {conflict.role!r} more than once, with different "
                f"values of {' or '.join(conflict.columns)}: {samples(found)}",
                hint="Deduplicate them at ingestion (deduplicate: {key: [...], order_by: ...}), or let validation "
                "refuse them with unique_columns.",
            )

    def _count(
        self,
        backend: Any,  # noqa: ANN401
        tables: Mapping[str, Any],
        per_source: Mapping[str, Any],
        extent: compiler.Extent,
    ) -> None:
        """Count what is left out: once what does not depend on the moment, and per step the events."""
        plan = self._plan
        if not self.counts:
            (entities,) = self._engine.row(str(backend.compile(compiler.keyless(plan, tables, extent))))
            self.counts = {"events_null_key": 0, "events_unknown_entity": 0, "entities_null_key": int(entities)}
            for source in per_source:
                later, timeless = compiler.unseen(plan, source, tables, self._extent)
                self._add("events_later", self._engine.row(str(backend.compile(later)))[0])
                self._add("events_without_time", self._engine.row(str(backend.compile(timeless)))[0])
        for source, per_key in per_source.items():
            if [column for _, column in plan.sources[source].keys] != [plan.domain.entity]:
                continue  # the key says what an entity is like, not which one it is
            counted = compiler.left_out(plan, source, tables, per_key, extent)
            found = self._engine.row(str(backend.compile(counted)))
            null_key, unknown = self._left_out.get(source, (0, 0))
            self._left_out[source] = (null_key + int(found[0]), unknown + int(found[1]))
            self._add("events_null_key", found[0])
            self._add("events_unknown_entity", found[1])

    def _add(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + int(number)

    def _warn(self) -> None:
        """Say what is left out."""
        plan = self._plan
        entity, spine = plan.domain.entity, plan.domain.spine
        if entities := self.counts["entities_null_key"]:
            _log.warning("%s: rows of %r without a %s are left out: %d", plan.name, spine, entity, entities)
        for source, (null_key, unknown) in self._left_out.items():
            what = "events" if source == plan.domain.events else f"events ({source})"
            if null_key:
                _log.warning("%s: %s without a %s are left out: %d", plan.name, what, entity, null_key)
            if unknown:
                _log.warning(
                    "%s: %s of a %s that %r does not hold are left out: %d", plan.name, what, entity, spine, unknown
                )

    def _look(self, backend: Any, source: str, per_key: Any, extent: compiler.Extent) -> None:  # noqa: ANN401
        """Note what the aggregation of a source has seen."""
        plan = self._plan
        reached = {feature.name: set(cells_of(plan, feature.id)) for feature in plan.features}
        found = self._engine.records(backend.compile(compiler.seen(plan, source, per_key, extent)))
        for column, cells in compiler.sets_of_events(plan, source).items():
            latest = [(row[column], row.get(compiler.MOMENT)) for row in found if row[column] is not None]
            leads = [_aware(moment or extent.moments.last) - plan.delay - _aware(time) for time, moment in latest]
            own = {plan.cells[key] for key in cells}
            self.sights.append(
                Sight(
                    source=source,
                    window=plan.cells[cells[0]].window,
                    latest=max((_aware(time) for time, _ in latest), default=None),
                    lead=min(leads, default=None),
                    violations=sum(row[f"x{column[1:]}"] for row in found),
                    features=tuple(name for name, used in reached.items() if used & own),
                )
            )
        self._add("events_used", sum(row["events"] for row in found))


@contextmanager
def computing(name: str, where: str) -> Iterator[None]:
    """Turn what an engine says into a FeatureError, or, if the engine went away, into an EngineUnavailableError."""
    try:
        yield
    except Exception as error:
        found = refusal(error)
        if found is None:
            raise
        if found.lost:
            raise EngineUnavailableError.unreachable(engine="spark", location="", problem=found.problem) from error
        if found.out_of_memory:
            raise FeatureError.because(
                where=where, feature=name, problem=f"ran out of memory: {found.problem}",
                hint="Raise memory_limit of DuckDB or the memory of Spark's driver and executors, or give a "
                "temp_directory with more room to spill to.",
            ) from error  # fmt: skip
        raise FeatureError.because(
            where=where, feature=name, problem=f"could not be computed: {found.problem}",
            hint="The engine refused the data or the declaration; nothing was published.",
        ) from error  # fmt: skip


def arrow_schema(plan: Plan, key_type: pa.DataType) -> pa.Schema:
    """Return the schema of a feature artifact: key, event and creation time, features."""
    import pyarrow as pa

    stamp = pa.timestamp("us", tz="UTC")
    kinds = {"int64": pa.int64(), "float64": pa.float64()}
    return pa.schema(
        [
            (plan.domain.entity, key_type),
            ("event_timestamp", stamp),
            ("created_timestamp", stamp),
            *((feature.name, kinds[feature.type]) for feature in plan.features),
        ]
    )


def _aware(when: datetime) -> datetime:
    """Return a time from the engine, which has no zone and is UTC, as one that has."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def stamped(batches: Iterator[pa.RecordBatch], schema: pa.Schema, moments: Moments) -> Iterator[pa.RecordBatch]:
    """Yield the batches in `schema`, with event_timestamp (as_of) and created_timestamp (the clock, for people)."""
    import pyarrow as pa

    stamps = {"created_timestamp": datetime.now(UTC)}
    if not moments.many:
        stamps["event_timestamp"] = moments.last
    for batch in batches:
        columns = []
        for item in schema:
            if item.name in stamps:
                columns.append(_repeated(stamps[item.name], batch.num_rows))
            else:
                column = batch.column(item.name)
                columns.append(column if column.type == item.type else column.cast(item.type))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _repeated(when: datetime, rows: int) -> pa.Array:
    """Return a column of one moment, from bytes: a scalar made of a Python object would import pandas."""
    import pyarrow as pa

    micros = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    data = pa.py_buffer(micros.to_bytes(8, sys.byteorder, signed=True) * rows)
    return pa.Array.from_buffers(pa.timestamp("us", tz="UTC"), rows, [None, data])
