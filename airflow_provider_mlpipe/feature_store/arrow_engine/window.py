"""The rows of a materialisation: looked at, the latest per key, streamed.

The rows themselves, window and all, are chosen by the offline store, with the call that Feast's engine makes
(``compute_engines/utils.create_offline_store_retrieval_job``); for stores that answer with an Ibis table on DuckDB, as
ours and Feast's own do, the rest is done in DuckDB, under its memory limit, and rows arrive in batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feast.infra.compute_engines.utils import create_offline_store_retrieval_job
from feast.value_type import ValueType

from airflow_provider_mlpipe.engines import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from feast.infra.common.materialization_job import MaterializationTask
    from feast.infra.compute_engines.dag.context import ColumnInfo, ExecutionContext

    from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout

__all__ = ["Window"]

MAX_BYTES = 16 * 2**20
"""A batch of wide rows is cut so that it holds no more than this, in Arrow; its payload is a small multiple."""

EXACT_INTEGERS = 2**53


class Window:
    """The rows between two times.

    Attributes:
        layout: their columns.
    """

    def __init__(self, table: Any, layout: Layout) -> None:  # noqa: ANN401 - ibis has no types
        self.layout = layout
        self._table = table
        self._connection = table.get_backend().con
        self._rows = f"({table.get_backend().compile(table)})"  # SQL, by Ibis
        self._unique = False

    @classmethod
    def of(
        cls, task: MaterializationTask, columns: ColumnInfo, context: ExecutionContext, layout: Layout
    ) -> Window | None:
        """Ask the offline store for the rows; None if it does not answer with a DuckDB table."""
        job = create_offline_store_retrieval_job(
            data_source=task.feature_view.source,
            column_info=columns,
            context=context,
            start_time=task.start_time,
            end_time=task.end_time,
        )
        table: Any = getattr(job, "table", None)
        if not hasattr(table, "get_backend") or table.get_backend().name != "duckdb":
            return None
        return cls(table, layout)

    def why_not(self) -> str:
        """Why these rows are not for this engine: what Feast does with them depends on more than the row.

        Looks at all of them once.
        """
        reason = self.layout.why_not(self._table.schema().to_pyarrow())
        if reason:
            return reason
        keys = [quote(name) for name in self.layout.keys]
        identity = keys[0] if len(keys) == 1 else f"({', '.join(keys)})"
        reasons = dict(self._peculiarities())
        asked = ", ".join(["count(*)", f"count(DISTINCT {identity})", *reasons.values()])
        [(count, distinct, *found)] = self._connection.execute(f"SELECT {asked} FROM {self._rows}").fetchall()  # noqa: S608
        self._unique = count == distinct
        return next((reason for reason, holds in zip(reasons, found, strict=True) if holds), "")

    def batches(self, rows: int, *, in_key_order: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the latest row of each key, `rows` at a time at most.

        The latest is the one of the latest time, then the one created last, as in Feast's ``LocalDedupNode``; among
        equals there any may win, and so it is here.
        """
        latest = "" if self._unique else f" QUALIFY row_number() OVER ({self._recency()}) = 1"
        order = f" ORDER BY {', '.join(self._key_order())}" if in_key_order else ""
        query = f"SELECT * FROM {self._rows}{latest}{order}"  # noqa: S608
        for batch in self._connection.sql(query).to_arrow_reader(rows):
            fitting = max(1, batch.num_rows * MAX_BYTES // max(batch.nbytes, 1))
            for start in range(0, batch.num_rows, fitting):
                yield batch.slice(start, fitting)

    def _recency(self) -> str:
        keys = ", ".join(quote(name) for name in self.layout.keys)
        times = [name for name in (self.layout.time, self.layout.created) if name]
        return f"PARTITION BY {keys} ORDER BY " + ", ".join(f"{quote(name)} DESC NULLS LAST" for name in times)

    def _key_order(self) -> Iterator[str]:
        """Yield what sorts rows nearly as their serialised keys are sorted, so that an index grows at its end."""
        for name in sorted(self.layout.keys):
            key = quote(name)
            if self.layout.keys[name] == ValueType.STRING:
                yield from (f"strlen({key})", key)
            else:  # lowest byte first
                yield from (f"({key} >> {8 * position}) & 255" for position in range(3))

    def _peculiarities(self) -> Iterator[tuple[str, str]]:
        """Yield reasons, each with the SQL aggregate that is true if it holds."""
        layout = self.layout
        for name in layout.keys:
            yield f"some keys {name!r} are null", f"count({quote(name)}) < count(*)"
        if layout.created:
            yield f"some {layout.created!r} are null", f"count({quote(layout.created)}) < count(*)"
        for name, declared in layout.features.items():
            column = quote(name)
            if declared == ValueType.INT64:
                beyond = f"max({column}) > {EXACT_INTEGERS} OR min({column}) < -{EXACT_INTEGERS}"
                reason = f"feature {name!r} has numbers beyond 2^53 beside nulls, which Feast rounds"
                yield reason, f"count({column}) < count(*) AND ({beyond})"
            elif declared == ValueType.BYTES:
                # Nulls to Feast if the whole batch is like that, else not.
                yield f"feature {name!r} has values of no bytes", f"bool_or(octet_length({column}) = 0)"
            elif declared in {ValueType.INT32_LIST, ValueType.INT64_LIST}:
                reason = f"feature {name!r} has nulls within lists of whole numbers, which Feast refuses"
                yield reason, f"bool_or(list_count({column}) < len({column}))"
