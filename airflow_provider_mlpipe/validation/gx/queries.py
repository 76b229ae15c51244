"""GX's UnexpectedRowsExpectation: a query of the user's over the rows, which the engine answers as a database would.

A query may do what it likes with the rows and nothing with anything else: no other table, no file, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import quote
from airflow_provider_mlpipe.validation.findings import Sample
from airflow_provider_mlpipe.validation.frame import MAX_TEXT, RELATION
from airflow_provider_mlpipe.validation.samples import json_clean
from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.frame import Frame

__all__ = ["found_by", "problem_with"]

_BATCH = "{batch}"
_NAMED = "judged_batch"
_CLOCKS = frozenset(
    {"CurrentDate", "CurrentTime", "CurrentTimestamp", "CurrentDatetime", "Localtime", "Localtimestamp"}
)
_FORBIDDEN = frozenset({"now", "today", "getdate", "current_setting", "getenv", "query", "query_table", "random"})


def problem_with(query: str) -> str:
    """Return what a query must not do, as a clause, or nothing."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if _BATCH not in query:
        return "it does not read {batch}"
    try:
        statements = sqlglot.parse(query.replace(_BATCH, _NAMED), read="duckdb")
    except (SqlglotError, RecursionError) as error:
        return f"it cannot be read ({str(error).splitlines()[0]})"
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return "it must be one SELECT"
    own = {_NAMED, *(cte.alias for cte in statements[0].find_all(exp.CTE))}
    return next((problem for node in statements[0].walk() if (problem := _problem(node, own))), "")


def _problem(node: Any, own: set[str]) -> str:  # noqa: ANN401 - sqlglot has no types here
    from sqlglot import exp

    if isinstance(node, exp.Table) and (not isinstance(node.this, exp.Identifier) or node.db or node.name not in own):
        return f"it reads {node.sql(dialect='duckdb')}, and may only read {_BATCH}"
    if type(node).__name__ in _CLOCKS or (isinstance(node, exp.Anonymous) and str(node.this).lower() in _FORBIDDEN):
        return f"{node.sql(dialect='duckdb')} does not depend on the rows alone, so a backfill would say something else"
    if isinstance(node, (exp.ReadCSV, exp.DDL, exp.Command)) and not isinstance(node, exp.Query):
        return f"{node.sql(dialect='duckdb')} is not allowed"
    return ""


def found_by(frame: Frame, query: str) -> tuple[int, tuple[Sample, ...]]:
    """Return how many rows a query returns, and the first of them in their order.

    Raises:
        duckdb.Error: the query does not fit the rows.
    """
    shown = ", ".join(f"{frame.sql(name)} AS {quote(name)}" for name in frame.names)
    found = query.strip().rstrip(";").replace(_BATCH, _NAMED)
    rows = f"WITH {_NAMED} AS (SELECT {shown} FROM {RELATION}), found AS ({found})"  # noqa: S608
    ((count,),) = frame.engine.rows(f"{rows} SELECT count(*) FROM found")  # noqa: S608
    if not count:
        return 0, ()
    names = [row[0] for row in frame.engine.rows(f"DESCRIBE {rows} SELECT * FROM found")]  # noqa: S608
    listed = frame.engine.rows(f"{rows} SELECT * FROM found ORDER BY ALL LIMIT {MAX_SAMPLES}")  # noqa: S608
    values = [{name: json_clean(_short(each)) for name, each in zip(names, row, strict=True)} for row in listed]
    return int(count), tuple(Sample(values=each) for each in values)


def _short(value: Any) -> Any:  # noqa: ANN401 - whatever the query returns
    return value[:MAX_TEXT] if isinstance(value, str) else value
