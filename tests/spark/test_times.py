"""DuckDB and a real Spark agree on times of every type, on histories, functions of users, and fitted state."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import cycle
from typing import TYPE_CHECKING, get_args

import pyarrow as pa

from airflow_provider_mlpipe.engines import DuckDBSettings, open_engine
from airflow_provider_mlpipe.feature_extraction import normalization
from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
from airflow_provider_mlpipe.feature_extraction.compile.scaling import Method, Missing
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.moments import Moments
from tests.feature_extraction import own_features
from tests.spark.conformance import close, differences, on_both, put

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.engines import SparkSettings


def test_many_moments_in_one_pass_and_a_part_of_the_entities(
    root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings
) -> None:
    """A training history over the leap day, of every third entity, and a proof that nothing later was seen."""
    moments = Moments.between("2024-02-28T01:30", "2024-03-02", "12h")
    declared = {
        f"{name}_hours": {"agg": name, "column": "hours", "windows": ["2d", "9d"]}
        for name in ("count", "sum", "distinct", "std", "last")
    }
    inputs = put(root, drawn)
    found = on_both(root, inputs, on_spark, moments=moments, chunk=Chunk(index=1, of=3), aggregations=declared)
    assert len({row["event_timestamp"] for row in found}) == moments.count
    everybody = {key for key in drawn["users"]["user_id"].to_pylist() if key is not None}
    assert 0 < len({row["user_id"] for row in found}) < len(everybody)


def test_a_function_of_the_user(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    """The same function, given the same rows at each of two moments."""
    moments = Moments.between("2024-03-01", "2024-03-31", "15d")
    custom = [f"{own_features.__name__}:big"]
    found = on_both(root, put(root, drawn), on_spark, moments=moments, custom=custom, features=["big_tasks"])
    assert sum(row["big_tasks"] or 0 for row in found) > 0


TIMES = {
    "us": pa.timestamp("us"), "ns": pa.timestamp("ns"), "utc": pa.timestamp("ns", "UTC"),
    "york": pa.timestamp("ms", "America/New_York"), "s": pa.timestamp("s"), "date": pa.date32(),
}  # fmt: skip


def test_times_of_every_type(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    activity = drawn["activity"]
    for name, kind in TIMES.items():
        times = activity["occurred_at"]
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            times = times.cast(pa.timestamp("us"), safe=False)
        activity = activity.append_column(f"at_{name}", times.cast(kind, safe=False))
    sources = {name: {"input": "activity", "timestamp": f"at_{name}"} for name in TIMES}
    declared = {
        f"{agg}_{name}": {"agg": agg, "column": column, "windows": ["2d", "30d"], "source": name}
        for name in TIMES
        for agg, column in (("count", None), ("distinct", EVENT_DAY), ("last", "hours"))
    }
    found = on_both(root, put(root, {**drawn, "activity": activity}), on_spark, sources=sources, aggregations=declared)
    for name in TIMES:
        assert sum(row[f"count_{name}_2d"] for row in found) > 0


def test_fitted_state_and_what_it_scales(drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    """Every way of scaling and filling, with statistics that agree; medians and quartiles to 1e-12."""
    users = drawn["users"]
    table = users.select(["a", "b", "age"]).append_column("row", pa.array(range(users.num_rows)))
    names = ["a", "b", "age"]
    found = []
    for settings in (DuckDBSettings(), on_spark):
        with open_engine(settings) as engine:
            engine.register("f", table)
            fitted = normalization.fit(engine, "f", table.schema, names)
            scaled = {
                (method, missing): normalization.transform(
                    engine, "f", table.schema, fitted, order=["row"], method=method, missing=missing
                ).read_all()
                for method, missing in zip(cycle(get_args(Method)), get_args(Missing), strict=False)
            }
            found.append((fitted, scaled))
    (duckdb, by_duckdb), (spark, by_spark) = found
    for name in names:
        for key, value in asdict(duckdb[name]).items():
            assert close(getattr(spark[name], key), value), (name, key)
        assert replace(spark[name], **dict.fromkeys(("median", "q1", "q3"))) == replace(
            duckdb[name], **dict.fromkeys(("median", "q1", "q3"))
        )
    assert {missing for _, missing in by_spark} == set(get_args(Missing))
    for key, table in by_duckdb.items():
        assert not differences(by_spark[key], table, tuple(names)), key
