"""pandas at the edge: frames in and out of Arrow, for the seed's small API. The pipeline itself never comes here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["after_last", "arrow", "filled"]


def arrow(frame: pd.DataFrame, name: str) -> pa.Table:
    """Return a frame as Arrow, categories as their values and times in whole microseconds.

    Raises:
        FeatureError: a column mixes types, or two columns have one name.
    """
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise FeatureError.because(
            where=name, feature=name, problem=f"cannot be read as a table: {str(error).splitlines()[0]}",
            hint="Give every column a name of its own and one type, e.g. with DataFrame.astype or pandas.to_datetime.",
        ) from error  # fmt: skip
    return table.cast(pa.schema([(item.name, _plain(item.type)) for item in table.schema]), safe=False)


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.timestamp("us", tz=kind.tz) if pa.types.is_timestamp(kind) else kind


def filled(plan: Plan, tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Give columns without a single value, which pandas knows no type of, the type that the plan expects."""
    import pyarrow as pa

    domain = plan.domain
    keys = tables[domain.spine].schema.field(plan.theirs(domain.spine, domain.entity)).type
    keys = pa.string() if pa.types.is_null(keys) else keys
    known: dict[tuple[str, str], pa.DataType] = {}
    for need in plan.needs:
        if need.number:
            known[need.role, plan.theirs(need.role, need.column)] = pa.float64()
    for source in plan.sources.values():
        known[source.role, plan.theirs(source.role, source.timestamp)] = pa.timestamp("us", tz="UTC")
        for column, other in source.keys:
            if other == domain.entity:
                known[source.role, plan.theirs(source.role, column)] = keys
    known[domain.spine, plan.theirs(domain.spine, domain.entity)] = keys
    result = {}
    for role, table in tables.items():
        kinds = [
            (item.name, known.get((role, item.name), pa.string()) if pa.types.is_null(item.type) else item.type)
            for item in table.schema
        ]
        result[role] = table.cast(pa.schema(kinds))
    return result


def after_last(times: pa.ChunkedArray) -> datetime | None:
    """Return the first microsecond after the last of some times; None if there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    last = pc.max(times)
    if not last.is_valid:
        return None
    if pa.types.is_date(last.type):
        last = last.cast(pa.timestamp("us"))
    moment: datetime = last.cast(pa.timestamp("us", tz="UTC"), safe=False).as_py()
    return moment.astimezone(UTC) + timedelta(microseconds=1)
