"""Calling the functions of users: with tables cut to what they may see, and with a close look at the result."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import MlpipeError, redact, samples
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.custom import Context, problem_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.engines import Engine
    from airflow_provider_mlpipe.feature_extraction.compile import Extent
    from airflow_provider_mlpipe.feature_extraction.custom import Custom
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["called"]

_NAME = "mlpipe_custom"
_DATAFRAMES = "It takes and returns pandas DataFrames (pandas=True), which only the embedded engine can give it."


def called(plan: Plan, engine: Engine, schemas: Mapping[str, pa.Schema], extent: Extent) -> Iterator[Any]:
    """Call every function that a plan needs, once per moment, and yield tables with their results.

    Each has the key as k0, the moment if there are many, and a column per feature, called by its id in the plan.

    Raises:
        FeatureError: a function failed, or what it returned is not what it must be; the message says where it stands.
    """
    for n, custom in enumerate(plan.functions()):
        where = plan.custom_places[custom.path]
        if custom.pandas and not isinstance(engine, DuckDBEngine):
            raise problem_in(custom, "cannot run on this engine", where=where, hint=_DATAFRAMES)
        parts = []
        for m, moment in enumerate(extent.moments):
            end = moment - plan.delay
            context = Context(entity=plan.domain.entity, as_of=moment, start=end - custom.window, end=end)
            name = f"{_NAME}_{n}_{m}"
            found = _result(plan, custom, engine, schemas, context, name)
            kept = compiler.outcome(plan, custom, found, moment if extent.many else None)
            engine.keep(f"{name}_kept", engine.ibis().compile(kept))
            parts.append(compiler.kept(kept, f"{name}_kept"))
            _refuse_twins(custom, engine, f"{name}_kept", where)
        yield compiler.stacked(parts)


def _result(
    plan: Plan, custom: Custom, engine: Engine, schemas: Mapping[str, pa.Schema], context: Context, name: str
) -> Any:  # noqa: ANN401 - ibis has no types
    """Return what the function returns, as a table that the engine knows."""
    where = plan.custom_places[custom.path]
    tables = {
        role: compiler.visible(plan, role, schemas[role], columns, context.start, context.end)
        for role, columns in custom.inputs.items()
    }
    if custom.pandas:
        backend = engine.ibis()
        tables = {role: engine.batches(backend.compile(table)).read_all().to_pandas() for role, table in tables.items()}
    try:
        found = custom.function(tables, context)
    except MlpipeError:
        raise
    except Exception as error:
        own = custom.function.__code__.co_filename
        steps = traceback.extract_tb(error.__traceback__)
        line = [step.lineno for step in steps if step.filename == own][-1:] or [custom.function.__code__.co_firstlineno]
        problem = f"failed in line {line[0]} with {type(error).__name__}: {redact(str(error))}"
        hint = "It gets Ibis tables, which only build a query; execute() has no data here." if not custom.pandas else ""
        raise problem_in(custom, problem, where=where, hint=hint) from error
    return _registered(custom, engine, found, name, where) if custom.pandas else _checked(custom, found, where)


def _registered(custom: Custom, engine: Engine, found: Any, name: str, where: str) -> Any:  # noqa: ANN401
    import pandas as pd
    import pyarrow as pa

    if not isinstance(found, pd.DataFrame):
        raise problem_in(custom, f"returned {type(found).__name__}, not a DataFrame", where=where, hint=_DATAFRAMES)
    try:
        table = pa.Table.from_pandas(found, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise problem_in(custom, f"returned a DataFrame that is no table: {error}", where=where) from error
    engine.register(name, table)
    return _checked(custom, compiler.table_of(name, table.schema), where)


def _checked(custom: Custom, found: Any, where: str) -> Any:  # noqa: ANN401
    """Return a result that has the key and numbers in all features."""
    columns = getattr(found, "columns", None)
    if columns is None or not hasattr(found, "group_by"):
        raise problem_in(custom, f"returned {type(found).__name__}, not an Ibis table", where=where)
    missing = [name for name in (custom.entity, *custom.names) if name not in columns]
    if missing:
        raise problem_in(
            custom, f"returned no column {', '.join(map(repr, missing))}, only {', '.join(columns)}", where=where,
            hint=f"The result needs {custom.entity} and {', '.join(custom.names)}.",
        )  # fmt: skip
    for name in custom.names:
        kind = found[name].type()
        if not (kind.is_numeric() or kind.is_boolean() or kind.is_null()):
            raise problem_in(custom, f"returned {kind} in {name!r}, but a feature is a number", where=where)
    return found


def _refuse_twins(custom: Custom, engine: Engine, name: str, where: str) -> None:
    sql = f"SELECT k0 FROM {name} GROUP BY k0 HAVING count(*) > 1 ORDER BY 1 LIMIT 6"  # noqa: S608 - names of ours
    twins = [key for (key,) in engine.rows(sql)]
    if twins:
        problem = f"returned more than one row for some {custom.entity}: {samples(twins)}"
        raise problem_in(custom, problem, where=where, hint="Group by the key, so that each comes once at most.")
