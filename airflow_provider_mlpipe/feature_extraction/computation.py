"""Running a plan on an engine whose inputs are there as views: the artifact path and the DataFrame path meet here."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.errors import FeatureError, redact, samples
from airflow_provider_mlpipe.feature_extraction import compile as compiler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.engines import DuckDBEngine
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["Computation", "arrow_schema", "computing", "stamped", "stream"]

_log = logging.getLogger(__name__)

ROWS_AT_A_TIME = 131_072
"""Rows of a batch on its way out of the engine: one row group."""

_PER_ENTITY = "mlpipe_per_entity"


class Computation:
    """One plan at one moment, on one engine with a view per input role.

    The events are aggregated once into a table of one row per key, which then serves the counts and the result.

    Attributes:
        counts: `events_null_key` and `events_unknown_entity` of the longest window, and `entities_null_key`; filled by
            the time `batches` has given its first batch.
    """

    def __init__(self, plan: Plan, engine: DuckDBEngine, schemas: Mapping[str, pa.Schema], as_of: datetime) -> None:
        self._plan = plan
        self._schemas = schemas
        self._engine = engine
        self._as_of = as_of
        self.counts: dict[str, int] = {}

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield key and features of every entity, in the order of the keys.

        Raises:
            FeatureError: the engine cannot compute it, or an entity has several values of a column in use.
        """
        plan, engine = self._plan, self._engine
        with computing(plan.name, plan.where):
            backend = engine.ibis()
            spine, events = compiler.inputs(plan, self._schemas)
            self._refuse_conflicts(backend, spine)
            aggregated = compiler.events_per_entity(plan, events, self._as_of)
            sql = backend.compile(aggregated)
            engine.connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(_PER_ENTITY)} AS {sql}")
            per_entity = compiler.kept(aggregated, _PER_ENTITY)
            self._count(backend, spine, per_entity)
            yield from stream(engine, backend.compile(compiler.feature_rows(plan, spine, per_entity)))

    def _refuse_conflicts(self, backend: Any, spine: Any) -> None:  # noqa: ANN401 - ibis has no types
        """A key that stands in the spine twice is one entity; with two values of a column in use it is a riddle."""
        plan = self._plan
        if not plan.spine_columns:
            return
        sql = backend.compile(compiler.conflicts(plan, spine))
        count, found = self._engine.row(f"SELECT count(*), list(k ORDER BY k)[:6] FROM ({sql}) AS t(k)")  # noqa: S608
        if count:
            need = next(need for need in plan.needs if need.role == plan.domain.spine)
            raise FeatureError.because(
                where=need.where,
                feature=need.feature,
                problem=f"{count} {plan.domain.entity} stand in {plan.domain.spine!r} more than once, with different "
                f"values of {' or '.join(plan.spine_columns)}: {samples(found)}",
                hint="Deduplicate them at ingestion (deduplicate: {key: [...], order_by: ...}), or let validation "
                "refuse them with unique_columns.",
            )

    def _count(self, backend: Any, spine: Any, per_entity: Any) -> None:  # noqa: ANN401
        counted = compiler.left_out(self._plan, spine, per_entity)
        null_key, unknown, entities = self._engine.row(str(backend.compile(counted)))
        self.counts = {
            "events_null_key": int(null_key),
            "events_unknown_entity": int(unknown),
            "entities_null_key": int(entities),
        }
        plan = self._plan
        for number, what in (
            (null_key, f"events without a {plan.domain.entity}"),
            (unknown, f"events of a {plan.domain.entity} that {plan.domain.spine!r} does not hold"),
            (entities, f"rows of {plan.domain.spine!r} without a {plan.domain.entity}"),
        ):
            if number:
                _log.warning("%s: %s are left out: %d", plan.name, what, number)


@contextmanager
def computing(name: str, where: str) -> Iterator[None]:
    """Turn what the engine says into a FeatureError."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise FeatureError.because(
            where=where, feature=name, problem=f"ran out of memory: {_first_line(error)}",
            hint="Raise memory_limit of the engine, or give it a temp_directory with more room to spill to.",
        ) from error  # fmt: skip
    except duckdb.Error as error:
        raise FeatureError.because(
            where=where, feature=name, problem=f"could not be computed: {_first_line(error)}",
            hint="The engine refused the data or the declaration; nothing was published.",
        ) from error  # fmt: skip


def stream(engine: DuckDBEngine, sql: object) -> pa.RecordBatchReader:
    """Return the result of a query batch by batch; as a relation, since a DB-API result is copied once more."""
    return engine.connection.sql(str(sql)).to_arrow_reader(ROWS_AT_A_TIME)


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


def stamped(batches: Iterator[pa.RecordBatch], schema: pa.Schema, as_of: datetime) -> Iterator[pa.RecordBatch]:
    """Yield the batches in `schema`, with event_timestamp (as_of) and created_timestamp (the clock, for people)."""
    import pyarrow as pa

    stamps = {"event_timestamp": as_of, "created_timestamp": datetime.now(UTC)}
    for batch in batches:
        columns = []
        for item in schema:
            if item.name in stamps:
                columns.append(pa.repeat(pa.scalar(stamps[item.name], item.type), batch.num_rows))
            else:
                column = batch.column(item.name)
                columns.append(column if column.type == item.type else column.cast(item.type))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _first_line(error: Exception) -> str:
    return redact(str(error).strip().splitlines()[0])
