"""What expressions are built on: tables known by name and schema, so that building them asks no engine anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["inputs", "kept", "table_of"]


def inputs(plan: Plan, schemas: Mapping[str, pa.Schema]) -> dict[str, Any]:
    """Return the inputs by role, with the columns that the plan reads; all others may be of whatever type."""
    return {
        role: table_of(role, schemas[role], {plan.theirs(role, column) for column in columns})
        for role, columns in plan.read().items()
    }


def table_of(name: str, schema: pa.Schema, columns: set[str] | None = None) -> Any:  # noqa: ANN401 - ibis has no types
    """Return a table of that name, with some or all columns of an Arrow schema."""
    import ibis
    import pyarrow as pa

    chosen = pa.schema([item for item in schema if columns is None or item.name in columns])
    return ibis.table(ibis.Schema.from_pyarrow(chosen), name=name)


def kept(expression: Any, name: str) -> Any:  # noqa: ANN401
    """Return the table of that name that holds the result of an expression."""
    import ibis

    return ibis.table(expression.schema(), name=name)
