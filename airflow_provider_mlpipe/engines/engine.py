"""What a stage may ask of an engine, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["ROWS_AT_A_TIME", "Engine"]

ROWS_AT_A_TIME = 131_072
"""Rows of a batch on its way out of an engine: one row group."""


class Engine(Protocol):
    """Reads artifacts as named views, and answers queries over them.

    SQL is what `ibis().compile(expression)` made of an expression, or text that means the same on every engine.
    """

    def view(self, name: str, artifact: Artifact) -> None:
        """Make the artifact's rows readable as `name`."""

    def register(self, name: str, table: pa.Table) -> None:
        """Make a table that is in memory readable as `name`."""

    def keep(self, name: str, sql: object) -> None:
        """Compute a query once, and make its result readable as `name` until the engine closes."""

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """Return the first row of a query."""

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query; for small results."""

    def records(self, sql: object) -> list[dict[str, Any]]:
        """Return all rows of a query, each by column; for small results."""

    def batches(self, sql: object, batch_size: int = ROWS_AT_A_TIME) -> pa.RecordBatchReader:
        """Return the result of a query as a stream, in the query's order, holding a few batches at a time."""

    def ibis(self) -> Any:  # noqa: ANN401 - ibis has no types
        """Return an Ibis backend that compiles expressions over the views for this engine."""
