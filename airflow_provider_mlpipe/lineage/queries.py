"""What a query reads, told from its text: its tables, and which of their columns each column of its result is of.

It is followed through CTEs, subqueries in FROM and set operations. Where the text does not tell (a column of no named
table among several, ``*`` over a join, a query among the columns), nothing is said: a missing line in a lineage graph
is found by whoever looks for it, a wrong one is believed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["Query", "Read"]

logger = logging.getLogger(__name__)

_DIALECTS = {"sqlserver": "tsql"}
STAR = "*"

How = Literal["IDENTITY", "TRANSFORMATION", "AGGREGATION"]
_ORDER: tuple[How, ...] = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")


class Read(NamedTuple):
    """A column that a column of the result is of, and how."""

    table: str
    column: str
    how: How


class _Output(NamedTuple):
    """A column of a result, in its place; `reads` is None if the text does not tell."""

    name: str
    reads: tuple[Read, ...] | None


_UNKNOWN = [_Output(STAR, None)]


@dataclass(frozen=True, kw_only=True)
class Query:
    """A SELECT.

    Attributes:
        tables: as the query calls them, each once.
        columns: what each column of the result is of; under ``*`` the tables all of whose columns are in it, under
            names that are not here.
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
        return cls(tables=tuple(names), columns=_columns(tree))


def _name(table: Any) -> str:  # noqa: ANN401 - sqlglot has no types
    return ".".join(filter(None, (table.catalog, table.db, table.name)))


def _columns(tree: Any) -> dict[str, tuple[Read, ...]]:  # noqa: ANN401
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import build_scope

    try:
        scope = build_scope(tree)
        outputs = _Results().of(scope) if scope else []
    except SqlglotError as error:  # two tables of one name, for example
        logger.debug("lineage: the query's columns cannot be told: %s", error)
        return {}
    stars = [output.reads for output in outputs if output.name == STAR]
    found: dict[str, tuple[Read, ...]] = {}
    for name, reads in outputs:
        if name == STAR and (len(stars) > 1 or reads is None):
            continue
        if reads is not None and name not in found:
            found[name] = reads
        elif name and stars:
            found[name] = ()  # else it would be taken for one of the star's
    return found


class _Results:
    """The columns of what each scope of a query results in, each told once."""

    def __init__(self) -> None:
        self._known: dict[int, list[_Output]] = {}

    def of(self, scope: Any) -> list[_Output]:  # noqa: ANN401
        """Return the columns of a scope's result, in their order."""
        if id(scope) not in self._known:
            self._known[id(scope)] = _UNKNOWN  # for a query that reads itself
            self._known[id(scope)] = _renamed(self._told(scope), scope.outer_columns)
        return self._known[id(scope)]

    def _told(self, scope: Any) -> list[_Output]:  # noqa: ANN401
        from sqlglot import exp

        # The name changed with sqlglot 30.
        parts = scope.set_operation_scopes if hasattr(scope, "set_operation_scopes") else scope.union_scopes
        if parts:
            return _united([self.of(part) for part in parts])
        if not isinstance(scope.expression, exp.Select):  # a function that returns a table
            return _UNKNOWN
        return [output for each in scope.expression.selects for output in self._projected(each, scope)]

    def _projected(self, projection: Any, scope: Any) -> list[_Output]:  # noqa: ANN401
        from sqlglot import exp

        name, body = projection.alias_or_name, projection.unalias()
        if name == STAR:
            return self._starred(body, scope)
        if body.find(exp.Query):
            return [_Output(name, None)]
        how: How = "TRANSFORMATION"
        if isinstance(body, exp.Column):
            how = "IDENTITY"
        elif body.find(exp.AggFunc):
            how = "AGGREGATION"
        return [_Output(name, _together([self._read(column, how, scope) for column in body.find_all(exp.Column)]))]

    def _starred(self, body: Any, scope: Any) -> list[_Output]:  # noqa: ANN401
        from sqlglot import exp

        star = body.this if isinstance(body, exp.Column) else body
        if not isinstance(star, exp.Star) or any(star.args.values()):  # (row).*, * EXCEPT, REPLACE, RENAME
            return _UNKNOWN
        source = _source(body, scope)
        if isinstance(source, exp.Table):
            return [_Output(STAR, (Read(_name(source), STAR, "IDENTITY"),))]
        return _UNKNOWN if source is None else self.of(source)

    def _read(self, column: Any, how: How, scope: Any) -> tuple[Read, ...] | None:  # noqa: ANN401
        from sqlglot import exp

        source = _source(column, scope)
        if source is None:
            return None
        if isinstance(source, exp.Table):
            return (Read(_name(source), column.name, how),)
        outputs = self.of(source)
        same = [output.reads for output in outputs if output.name == column.name]
        same = same or [output.reads for output in outputs if output.name == STAR]
        if len(same) != 1 or same[0] is None:
            return None
        return tuple(
            Read(table, column.name if name == STAR else name, max(how, before, key=_ORDER.index))
            for table, name, before in same[0]
        )


def _source(column: Any, scope: Any) -> Any:  # noqa: ANN401
    """Return the table or the scope that a column is of; None if the text does not tell."""
    named, sources = getattr(column, "table", ""), scope.selected_sources
    if named:
        return sources.get(named, (None, None))[1]
    return next(iter(sources.values()))[1] if len(sources) == 1 else None


def _renamed(outputs: list[_Output], names: list[str]) -> list[_Output]:
    """Apply ``WITH name(a, b)``, which gives the columns other names."""
    if not names:
        return outputs
    if len(names) != len(outputs) or _has_star(outputs):
        return _UNKNOWN
    return [_Output(name, output.reads) for name, output in zip(names, outputs, strict=True)]


def _united(parts: list[list[_Output]]) -> list[_Output]:
    """Return the columns of a set operation: by place, under the names of the first part."""
    stars = [_has_star(part) for part in parts]
    if len({len(part) for part in parts}) > 1 or (any(stars) and (not all(stars) or len(parts[0]) > 1)):
        return _UNKNOWN
    return [_Output(same[0].name, _together([output.reads for output in same])) for same in zip(*parts, strict=True)]


def _has_star(outputs: list[_Output]) -> bool:
    return any(output.name == STAR for output in outputs)


def _together(reads: list[tuple[Read, ...] | None]) -> tuple[Read, ...] | None:
    if any(some is None for some in reads):
        return None
    return tuple(dict.fromkeys(read for some in reads for read in some or ()))
