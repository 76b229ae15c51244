"""Calling the functions of users: with tables cut to what they may see, and a close look at these and at the result."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import MlpipeError, redact, samples
from airflow_provider_mlpipe.feature_extraction import compile as compiler
from airflow_provider_mlpipe.feature_extraction.custom import Context, problem_in
from airflow_provider_mlpipe.feature_extraction.lineage import outputs_of
from airflow_provider_mlpipe.feature_extraction.proof import Sight
from airflow_provider_mlpipe.run import instant

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


def called(
    plan: Plan, engine: Engine, schemas: Mapping[str, pa.Schema], extent: Extent
) -> Iterator[tuple[Any, list[Sight]]]:
    """Call every function that a plan needs, once per moment, and yield a table with its results and what it was given.

    A table has the key as k0, the moment if there are many, and a column per feature, called by its id in the plan.

    Raises:
        FeatureError: a function failed, or what it returned is not what it must be; the message says where it stands.
    """
    for n, custom in enumerate(plan.functions()):
        where = plan.custom_places[custom.path]
        if custom.pandas and not isinstance(engine, DuckDBEngine):
            raise problem_in(custom, "cannot run on this engine", where=where, hint=_DATAFRAMES)
        parts, sights = [], []
        for m, moment in enumerate(extent.moments):
            end = moment - plan.delay
            context = Context(entity=plan.domain.entity, as_of=moment, start=end - custom.window, end=end)
            name = f"{_NAME}_{n}_{m}"
            tables, given = _given(plan, custom, engine, schemas, context, name)
            sights += [_seen(plan, custom, engine, role, table, context) for role, table in tables.items()]
            found = _result(plan, custom, engine, given, context, name)
            kept = compiler.outcome(plan, custom, found, moment if extent.many else None)
            engine.keep(f"{name}_kept", engine.ibis().compile(kept))
            parts.append(compiler.kept(kept, f"{name}_kept"))
            _refuse_twins(custom, engine, f"{name}_kept", where)
        yield compiler.stacked(parts), sights


def _given(
    plan: Plan, custom: Custom, engine: Engine, schemas: Mapping[str, pa.Schema], context: Context, name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the function may see, as tables that the engine knows, and as what it takes: these, or DataFrames."""
    tables = {
        role: compiler.visible(plan, role, schemas[role], columns, context.start, context.end)
        for role, columns in custom.inputs.items()
    }
    if not custom.pandas:
        return tables, dict(tables)
    frames = {}
    for role, table in tables.items():
        rows = engine.batches(engine.ibis().compile(table)).read_all()
        engine.register(f"{name}_{role}", rows)
        tables[role] = compiler.table_of(f"{name}_{role}", rows.schema)
        frames[role] = rows.to_pandas()
    return tables, frames


def _seen(plan: Plan, custom: Custom, engine: Engine, role: str, table: Any, context: Context) -> Sight:  # noqa: ANN401 - ibis has no types
    """Return what one table shows, for the proof.

    Raises:
        FeatureError: it holds what the function must not see. That would be an error of this package.
    """
    times = compiler.times_in(plan, role, table, context.start, context.end)
    (latest, outside) = (None, 0) if times is None else engine.row(str(engine.ibis().compile(times)))
    latest = None if latest is None else instant(latest)
    if outside:
        raise problem_in(
            custom,
            f"would be given {outside} rows of {role!r} from outside of {context.start.isoformat()} to "
            f"{context.end.isoformat()}, the latest from {latest.isoformat() if latest else None}",
            where=plan.custom_places[custom.path],
            hint="Nothing was published. Please report this with the proof of an earlier run.",
        )
    return Sight(
        source=role,
        window=custom.window,
        latest=latest,
        lead=None if latest is None else context.end - latest,
        violations=outside,
        features=tuple(
            feature.name
            for feature in plan.features
            if any(output.custom is custom for output in outputs_of(plan, feature.id))
        ),
    )


def _result(plan: Plan, custom: Custom, engine: Engine, given: Mapping[str, Any], context: Context, name: str) -> Any:  # noqa: ANN401
    """Return what the function returns, as a table that the engine knows."""
    where = plan.custom_places[custom.path]
    try:
        found = custom.function(given, context)
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
