"""Running a plan on an engine whose inputs are there as views: the artifact path and the DataFrame path meet here."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime
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

_PER_KEY = "mlpipe_per_key"


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
            per_source = {}
            for n, source in enumerate(plan.sources):
                aggregated = compiler.events_per_key(plan, source, tables, self._extent)
                name, sql = f"{_PER_KEY}_{n}", backend.compile(aggregated)
                engine.keep(name, sql)
                per_source[source] = compiler.kept(aggregated, name)
            self._count(backend, tables, per_source)
            for source, per_key in per_source.items():
                self._look(backend, source, tables, per_key)
            own = list(called(plan, engine, self._schemas, self._extent))
            rows = compiler.feature_rows(plan, tables, per_source, self._extent, own)
            yield from engine.batches(backend.compile(rows))

    def _refuse_conflicts(self, backend: Any, tables: Mapping[str, Any]) -> None:  # noqa: ANN401 - ibis has no types
        """A key that stands in an input twice is one thing; with two values of a column in use it is a riddle."""
        for conflict in compiler.conflicts(self._plan, tables, self._extent):
            sql = backend.compile(conflict.keys)
            (count,) = self._engine.row(f"SELECT count(*) FROM ({sql}) AS t")  # noqa: S608
            if not count:
                continue
            found = [key for (key,) in self._engine.rows(f"SELECT * FROM ({sql}) AS t ORDER BY 1 LIMIT 6")]  # noqa: S608
            need = next(need for need in self._plan.needs if need.role == conflict.role)
            raise FeatureError.because(
                where=need.where,
                feature=need.feature,
                problem=f"{count} {conflict.key} stand in {conflict.role!r} more than once, with different "
                f"values of {' or '.join(conflict.columns)}: {samples(found)}",
                hint="Deduplicate them at ingestion (deduplicate: {key: [...], order_by: ...}), or let validation "
                "refuse them with unique_columns.",
            )

    def _count(self, backend: Any, tables: Mapping[str, Any], per_source: Mapping[str, Any]) -> None:  # noqa: ANN401
        plan = self._plan
        entity, spine = plan.domain.entity, plan.domain.spine
        (entities,) = self._engine.row(str(backend.compile(compiler.keyless(plan, tables, self._extent))))
        self.counts = {"events_null_key": 0, "events_unknown_entity": 0, "entities_null_key": int(entities)}
        if entities:
            _log.warning("%s: rows of %r without a %s are left out: %d", plan.name, spine, entity, entities)
        for source, per_key in per_source.items():
            if [column for _, column in plan.sources[source].keys] != [entity]:
                continue  # the key says what an entity is like, not which one it is
            counted = compiler.left_out(plan, source, tables, per_key, self._extent)
            null_key, unknown = self._engine.row(str(backend.compile(counted)))
            self.counts["events_null_key"] += int(null_key)
            self.counts["events_unknown_entity"] += int(unknown)
            what = "events" if source == plan.domain.events else f"events ({source})"
            if null_key:
                _log.warning("%s: %s without a %s are left out: %d", plan.name, what, entity, null_key)
            if unknown:
                _log.warning(
                    "%s: %s of a %s that %r does not hold are left out: %d", plan.name, what, entity, spine, unknown
                )

    def _look(self, backend: Any, source: str, tables: Mapping[str, Any], per_key: Any) -> None:  # noqa: ANN401
        """Note what the aggregation of a source has seen, and what it has not."""
        plan, extent = self._plan, self._extent
        reached = {feature.name: set(cells_of(plan, feature.id)) for feature in plan.features}
        found = self._engine.records(backend.compile(compiler.seen(plan, source, per_key, extent)))
        for column, cells in compiler.sets_of_events(plan, source).items():
            latest = [(row[column], row.get(compiler.MOMENT)) for row in found if row[column] is not None]
            leads = [_aware(moment or extent.moments.last) - plan.delay - _aware(time) for time, moment in latest]
            self.sights.append(
                Sight(
                    source=source,
                    window=plan.cells[cells[0]].window,
                    latest=max((_aware(time) for time, _ in latest), default=None),
                    lead=min(leads, default=None),
                    violations=sum(row[f"x{column[1:]}"] for row in found),
                    features=tuple(name for name, own in reached.items() if own & {plan.cells[key] for key in cells}),
                )
            )
        later, timeless = compiler.unseen(plan, source, tables, extent)
        for name, number in (
            ("events_used", sum(row["events"] for row in found)),
            ("events_later", self._engine.row(str(backend.compile(later)))[0]),
            ("events_without_time", self._engine.row(str(backend.compile(timeless)))[0]),
        ):
            self.counts[name] = self.counts.get(name, 0) + int(number)


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
                columns.append(pa.repeat(pa.scalar(stamps[item.name], item.type), batch.num_rows))
            else:
                column = batch.column(item.name)
                columns.append(column if column.type == item.type else column.cast(item.type))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
