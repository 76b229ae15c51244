"""A Spark that answers a scan: statements in DuckDB's words over relations whose columns are named by position."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines.spark.columns import columns_of, quoted
from airflow_provider_mlpipe.engines.spark.engine import SparkEngine
from airflow_provider_mlpipe.engines.spark.translation import spark_sql

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.engines.spark.settings import SparkSettings

__all__ = ["SparkScanner"]

_DUCKDB = {"uint64": "UBIGINT"}
"""Types of which a scan asks what DuckDB calls them."""


class SparkScanner:
    """Answers the statements of a scan on Spark. Only results of aggregates and a few samples leave Spark.

    Attributes:
        engine: what runs them.
    """

    def __init__(self, engine: SparkEngine) -> None:
        self.engine = engine
        self._types: dict[str, dict[str, pa.DataType]] = {}
        self._absent: dict[str, str] = {}

    @classmethod
    @contextmanager
    def open(cls, settings: SparkSettings | None = None) -> Iterator[SparkScanner]:
        """Find or start Spark; see `SparkEngine.open`."""
        with SparkEngine.open(settings) as engine:
            yield cls(engine)

    def view(self, name: str, artifact: Artifact) -> None:
        """Make the artifact's rows readable as `name`."""
        self.engine.view(name, artifact)

    def number(self, given: str, relation: str, schema: pa.Schema) -> tuple[str, ...]:
        """Name the columns of a view by position, make NaN a null, and return their types.

        Args:
            given: the view, whose columns have their own names.
            relation: what statements call it.
            schema: its columns.

        Returns:
            DuckDB's types as far as they decide anything; nothing for a column that Spark cannot hold.
        """
        import pyarrow as pa

        _, left_out = columns_of(schema)
        values, types, named = [], {}, []
        for place, field in enumerate(schema):
            named.append("" if field.name in left_out else _DUCKDB.get(str(field.type), str(field.type)))
            if not named[-1]:
                self._absent[f"c{place}"] = f"`{field.name}`, which is {field.type}"
                continue
            value = quoted(field.name)
            if pa.types.is_floating(field.type):
                value = f"CASE WHEN isnan({value}) THEN NULL ELSE {value} END"
            values.append(f"{value} AS c{place}")
            types[f"c{place}"] = field.type
        listed = ", ".join(values) or "1 AS nothing"
        self.engine.session.sql(f"SELECT {listed} FROM {quoted(given)}").createOrReplaceTempView(relation)  # noqa: S608
        self._types[relation] = types
        return tuple(named)

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """Return the first row of a statement."""
        return self.rows(sql, parameters)[0]

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return all rows of a statement; for small results.

        Raises:
            NotOnSparkError: it has no form that means the same on Spark.
        """
        translated, bound = spark_sql(sql, parameters or [], self._types, self._absent)
        found = self.engine.session.sql(translated, args=bound or None).toArrow()
        columns = [column.to_pylist() for column in found.columns]
        return [tuple(map(_whole, row)) for row in zip(*columns, strict=True)]


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever a statement returns
    """Return decimals without places as the whole numbers that they are on DuckDB."""
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value
