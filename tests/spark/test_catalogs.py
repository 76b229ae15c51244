"""DuckDB, a real Spark and plain loops compute the same features: every catalog, on drawn tables and real data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from tests.feature_extraction import reference
from tests.realdata import TRACKER, needs_tracker
from tests.spark.conformance import close, on_both, put
from tests.spark.generated import AS_OF

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.engines import SparkSettings

ENTITIES = sorted(DOMAINS)


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_catalog(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings, entity: str) -> None:
    features = [*DOMAINS[entity].aggregations, *DOMAINS[entity].derived]
    assert features
    name = f"{entity.removesuffix('_id')}_features"
    on_both(root, put(root, drawn), on_spark, name=name, aggregation_window="9d")


def test_the_users_catalog_by_loops(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    names = list(reference.catalog([], "", AS_OF, timedelta(days=9)))
    found = on_both(root, put(root, drawn), on_spark, aggregation_window="9d", features=names)
    events = drawn["activity"].to_pylist()
    assert [row["user_id"] for row in found] == sorted(
        {key for key in drawn["users"]["user_id"].to_pylist() if key is not None}, key=str.encode
    )
    for row in found:
        expected = reference.catalog(events, row["user_id"], AS_OF, timedelta(days=9))
        assert {n: row[n] for n in names if not close(row[n], expected[n])} == {}, (row["user_id"], expected)


LEAP_DAY = datetime.fromisoformat("2024-02-29T12:00:00+00:00")


@pytest.fixture(scope="module")
def tracker() -> dict[str, pa.Table]:
    return {
        **{name: pacsv.read_csv(TRACKER / f"{name}.csv") for name in ("users", "teams", "projects")},
        **{name: pq.read_table(TRACKER / f"{name}.parquet") for name in ("activity", "tasks")},
    }


@needs_tracker
@pytest.mark.parametrize("entity", ENTITIES)
def test_every_catalog_on_real_data(
    root: Storage, tracker: dict[str, pa.Table], on_spark: SparkSettings, entity: str
) -> None:
    domain = DOMAINS[entity]
    roles = {domain.spine, *(role for source in domain.sources.values() for role, _ in source.structure())}
    theirs = {"activity": {"skill": "area", "hours": "amount"}, "tasks": {"skill": "area"}, "teams": {"skill": "area"}}
    on_both(
        root,
        put(root, tracker),
        on_spark,
        name=f"{entity.removesuffix('_id')}_features",
        as_of=LEAP_DAY,
        aggregation_window="90d",
        columns={role: names for role, names in theirs.items() if role in roles},
    )
