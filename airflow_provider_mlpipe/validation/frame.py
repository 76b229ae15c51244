"""The rows under judgement, as a scan addresses them: one relation whose columns are named by position.

Positions instead of names, because parquet allows what SQL does not: names that differ only in case, quotes, keywords.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import SparkScanner, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.engines import DuckDBEngine

__all__ = ["MIXED", "ORDERED", "RELATION", "Frame", "Related", "logical_type"]

RELATION = "judged"
_GIVEN = "judged_as_given"
_POSITIONED = "judged_by_position"
MIXED = b"mlpipe.mixed"
"""Metadata key of a field that holds values of several types as text; only a pandas frame can."""

ORDERED = frozenset({"string", "int", "float", "decimal", "timestamp", "date", "time", "bool"})
"""The logical types that have a smallest and a greatest value worth showing."""

TEMPORAL = frozenset({"timestamp", "date", "time", "duration"})
NESTED = frozenset({"list", "struct", "map"})
MAX_TEXT = 200
ROWS_AT_A_TIME = 2**20
WIDE_COLUMNS = 100
WIDE_BYTES = 32 * 2**20
"""A table of so many columns in parquet files of at most so many bytes is read once; it may still spill."""


@dataclass(frozen=True)
class Related:
    """Another dataset, to which rules of the judged one refer.

    Attributes:
        relation: how SQL addresses its rows.
        schema: the Arrow schema.
    """

    relation: str
    schema: pa.Schema

    @cached_property
    def names(self) -> dict[str, int]:
        """The position of every column."""
        return {name: position for position, name in enumerate(self.schema.names)}

    def sql(self, name: str) -> str:
        """Return how SQL addresses a column."""
        return f"c{self.names[name]}"

    def logical(self, name: str) -> str:
        """Return the logical type of a column."""
        return logical_type(self.schema.field(self.names[name]))


@dataclass(frozen=True)
class Frame:
    """An artifact or a table, readable through an engine.

    Attributes:
        engine: holds the relation.
        schema: the Arrow schema.
        rows: how many.
        artifact: where the rows come from; its footers spare a scan. None for a table in memory.
        types: DuckDB's type by column; nothing for a column that the engine cannot hold.
        related: other datasets by name.
    """

    engine: DuckDBEngine | SparkScanner
    schema: pa.Schema
    rows: int
    artifact: Artifact | None = None
    types: tuple[str, ...] = field(default=(), repr=False)
    related: Mapping[str, Related] = field(default_factory=dict, repr=False)

    @classmethod
    def of_artifact(
        cls, engine: DuckDBEngine | SparkScanner, artifact: Artifact, related: Mapping[str, Artifact] | None = None
    ) -> Frame:
        """Make the rows of an artifact readable, and those of the datasets that its rules refer to."""
        engine.view(_GIVEN, artifact)
        types = _address(engine, artifact.schema, keep=_is_wide(artifact))
        others = {name: _relate(engine, place, other) for place, (name, other) in enumerate((related or {}).items())}
        return cls(engine, artifact.schema, artifact.manifest.rows, artifact, types, others)

    @classmethod
    def of_table(cls, engine: DuckDBEngine, table: pa.Table, related: Mapping[str, Artifact] | None = None) -> Frame:
        """Make the rows of an Arrow table readable, and those of the datasets that its rules refer to."""
        others = {name: _relate(engine, place, other) for place, (name, other) in enumerate((related or {}).items())}
        if not table.num_columns:
            return cls(engine, table.schema, table.num_rows, related=others)
        engine.connection.register(_GIVEN, table)
        return cls(engine, table.schema, table.num_rows, None, _address(engine, table.schema), others)

    @cached_property
    def names(self) -> dict[str, int]:
        """The position of every column."""
        return {name: position for position, name in enumerate(self.schema.names)}

    def sql(self, name: str) -> str:
        """Return how SQL addresses a column."""
        return f"c{self.names[name]}"

    @property
    def distributed(self) -> bool:
        """Whether the rows are where this process should not fetch them from."""
        return isinstance(self.engine, SparkScanner)

    @property
    def embedded(self) -> DuckDBEngine:
        """The engine, where rows are fetched and not only counted: that only one in this process may be asked for."""
        assert not isinstance(self.engine, SparkScanner)  # noqa: S101 - who asks looks at `distributed` first
        return self.engine

    def holds(self, name: str) -> bool:
        """Whether the engine has a type for a column."""
        return bool(self.duckdb_type(name))

    def duckdb_type(self, name: str) -> str:
        """Return DuckDB's type of a column."""
        return self.types[self.names[name]]

    def logical(self, name: str) -> str:
        """Return the logical type of a column."""
        return logical_type(self.schema.field(self.names[name]))

    def is_null(self, name: str) -> str:
        """Return the SQL condition under which a column has no value; NaN is a null in the relation."""
        return f"({self.sql(name)} IS NULL)"

    def shown(self, name: str, place: str = "") -> str:
        """Return SQL for a value as people read it: numbers as they are, all else as text of bounded length.

        Args:
            name: the column, whose type decides.
            place: where in the query such a value stands, if not in the column itself.
        """
        place, kind = place or self.sql(name), self.logical(name)
        if kind in {"int", "float", "bool"}:
            return place
        if kind == "timestamp":
            return f"replace(CAST({place} AS VARCHAR), ' ', 'T')"
        return f"left(CAST({place} AS VARCHAR), {MAX_TEXT})"

    def row(self, expressions: list[str], parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """Return one row of aggregates over all rows."""
        return self.engine.row(f"SELECT {', '.join(expressions)} FROM {RELATION}", parameters)  # noqa: S608

    def numbers(self, expression: str, condition: str, parameters: list[Any] | None = None) -> NDArray[Any]:
        """Return a number of every row for which the SQL `condition` holds, in no order; none of them may be null."""
        import numpy as np

        sql = f"SELECT {expression} AS found FROM {RELATION} WHERE {condition}"  # noqa: S608
        reader = self.embedded.connection.sql(sql, params=parameters or None).to_arrow_reader(ROWS_AT_A_TIME)
        found = np.empty(self.rows, dtype=reader.schema.field(0).type.to_pandas_dtype())
        filled = 0
        for batch in reader:
            found[filled : filled + batch.num_rows] = batch.column(0).to_numpy(zero_copy_only=False)
            filled += batch.num_rows
        return found[:filled]

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query in which ``{rows}`` stands for the relation."""
        return self.engine.rows(sql.replace("{rows}", RELATION), parameters)


def _relate(engine: DuckDBEngine | SparkScanner, place: int, artifact: Artifact) -> Related:
    """Make the rows of another dataset readable."""
    given, relation = f"related_{place}_as_given", f"related_{place}"
    engine.view(given, artifact)
    _address(engine, artifact.schema, given, f"related_{place}_by_position", relation)
    return Related(relation, artifact.schema)


def _forget(engine: DuckDBEngine, relation: str) -> None:
    """Make room for another relation of that name, be it a view or a table."""
    import duckdb

    try:
        engine.connection.execute(f"DROP VIEW IF EXISTS {relation}")
    except duckdb.CatalogException:
        engine.connection.execute(f"DROP TABLE {relation}")


def _is_wide(artifact: Artifact) -> bool:
    """Whether to hold the rows in memory: every statement reads the footers anew, and that of a wide file is long."""
    return len(artifact.schema) >= WIDE_COLUMNS and sum(part.bytes for part in artifact.manifest.parts) <= WIDE_BYTES


def _address(
    engine: DuckDBEngine | SparkScanner,
    schema: pa.Schema,
    given: str = _GIVEN,
    positioned: str = _POSITIONED,
    relation: str = RELATION,
    *,
    keep: bool = False,
) -> tuple[str, ...]:
    """Name the columns by position, make NaN a null once and for all, and return DuckDB's types.

    Parquet footers leave NaN out of their extremes, and DuckDB (2.0.0) concludes from extremes without NaN that there
    is none: it folds ``isnan(x)`` to false and prunes row groups by it. Without statistics propagation, and with NaN
    turned into null in a projection, neither happens; test_edges holds that.

    Args:
        engine: reads them.
        schema: their columns.
        given: the relation as it is.
        positioned: what to call it with its columns by position.
        relation: what to call what rules see.
        keep: whether to read the rows once and for all.
    """
    if isinstance(engine, SparkScanner):
        return engine.number(given, relation, schema)
    engine.connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    positions = ", ".join(f"g{position}" for position in range(len(schema)))
    engine.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {positioned}({positions}) AS SELECT * FROM {quote(given)}"  # noqa: S608
    )
    columns = ", ".join(
        f"CASE WHEN isnan(g{place}) THEN NULL ELSE g{place} END AS c{place}"
        if logical_type(field) == "float"
        else f"g{place} AS c{place}"
        for place, field in enumerate(schema)
    )
    rows = f"SELECT {columns} FROM {positioned}"  # noqa: S608
    _forget(engine, relation)
    if keep:
        engine.keep(relation, rows)
    else:
        engine.connection.execute(f"CREATE TEMP VIEW {relation} AS {rows}")
    return tuple(str(row[1]) for row in engine.rows(f"DESCRIBE {relation}"))


def logical_type(field: pa.Field) -> str:
    """Return what kind of values a column holds, whatever their width: the words of the YAML's ``schema``.

    Beyond those: ``time``, ``duration``, ``map``, ``null`` (no value at all, so any type), ``mixed``, ``other``.
    """
    import pyarrow.types as kinds

    if field.metadata and MIXED in field.metadata:
        return "mixed"
    kind = field.type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    for word, tests in _tests().items():
        if any(getattr(kinds, test)(kind) for test in tests):
            return word
    return "other"


def _tests() -> dict[str, tuple[str, ...]]:
    return {
        "string": ("is_string", "is_large_string", "is_string_view"),
        "int": ("is_integer",),
        "float": ("is_floating",),
        "bool": ("is_boolean",),
        "timestamp": ("is_timestamp",),
        "date": ("is_date",),
        "decimal": ("is_decimal",),
        "binary": ("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary"),
        "list": ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view"),
        "struct": ("is_struct",),
        "map": ("is_map",),
        "time": ("is_time",),
        "duration": ("is_duration",),
        "null": ("is_null",),
    }
