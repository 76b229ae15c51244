"""What a query reads, told from its text: its tables, and which of their columns each column of its result is of.

Where the text does not tell (a column of no named table among several, a query inside another), nothing is said: a
missing line in a lineage graph is found by whoever looks for it, a wrong one is believed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["Query", "Read"]

logger = logging.getLogger(__name__)

_DIALECTS = {"sqlserver": "tsql"}
STAR = "*"


class Read(NamedTuple):
    """A column that a column of the result is of, and how."""

    table: str
    column: str
    how: Literal["IDENTITY", "TRANSFORMATION", "AGGREGATION"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A SELECT.

    Attributes:
        tables: as the query calls them, each once.
        columns: what each column of the result is of; under ``*`` the table all of whose columns are in it.
    """

    tables: tuple[str, ...]
    columns: dict[str, tuple[Read, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, sql: str, scheme: str) -> Query | None:
        """Return what `sql` says, in the SQL of OpenLineage's `scheme`; None if nobody can read it."""
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        try:
            tree = sqlglot.parse_one(sql, dialect=_DIALECTS.get(scheme, scheme))
        except (SqlglotError, ValueError) as error:  # ValueError: a dialect that sqlglot does not know
            logger.debug("lineage: the query cannot be read: %s", error)
            return None
        inner = {cte.alias for cte in tree.find_all(exp.CTE)}
        found = [table for table in tree.find_all(exp.Table) if table.db or table.name not in inner]
        names = dict.fromkeys(_name(table) for table in found)
        simple = isinstance(tree, exp.Select) and not inner and not list(tree.find_all(exp.Subquery))
        simple = simple and len(list(tree.find_all(exp.Select))) == 1
        return cls(tables=tuple(names), columns=_columns(tree, found) if simple else {})


def _name(table: Any) -> str:  # noqa: ANN401 - sqlglot has no types
    return ".".join(filter(None, (table.catalog, table.db, table.name)))


def _columns(select: Any, tables: list[Any]) -> dict[str, tuple[Read, ...]]:  # noqa: ANN401
    by_alias = {table.alias_or_name: _name(table) for table in tables}
    found: dict[str, tuple[Read, ...]] = {}
    for projection in select.expressions:
        reads = _reads(projection, by_alias)
        if reads is not None and projection.alias_or_name:
            found[projection.alias_or_name] = reads
    return found


def _reads(projection: Any, by_alias: dict[str, str]) -> tuple[Read, ...] | None:  # noqa: ANN401
    from sqlglot import exp

    only = next(iter(by_alias.values())) if len(by_alias) == 1 else None
    body = projection.unalias()
    if isinstance(body, exp.Star):
        return None if only is None else (Read(only, STAR, "IDENTITY"),)
    how: Literal["IDENTITY", "TRANSFORMATION", "AGGREGATION"] = "TRANSFORMATION"
    if isinstance(body, exp.Column):
        how = "IDENTITY"
    elif body.find(exp.AggFunc):
        how = "AGGREGATION"
    columns = [
        (by_alias.get(column.table) if column.table else only, column.name) for column in body.find_all(exp.Column)
    ]
    if any(table is None for table, _ in columns):
        return None
    return tuple(dict.fromkeys(Read(str(table), name, how) for table, name in columns))
