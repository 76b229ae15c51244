"""One extraction on two engines, and what is different: for the tests that DuckDB and Spark compute the same."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBSettings
from airflow_provider_mlpipe.feature_extraction import extract
from tests.feature_extraction.material import configured, day, published
from tests.spark.generated import AS_OF

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.engines import SparkSettings
    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
    from airflow_provider_mlpipe.feature_extraction.moments import Moments

__all__ = ["close", "differences", "on_both", "put"]


def put(root: Storage, given: Mapping[str, pa.Table]) -> dict[str, Artifact]:
    return {role: published(root, role, table) for role, table in given.items()}


def on_both(
    root: Storage,
    inputs: Mapping[str, Artifact],
    spark: SparkSettings,
    *,
    name: str = "user_features",
    as_of: datetime = AS_OF,
    rounded: tuple[str, ...] = (),
    moments: Moments | None = None,
    chunk: Chunk | None = None,
    **body: Any,
) -> list[dict[str, Any]]:
    """Extract on DuckDB and on Spark, compare bit for bit but for what is `rounded`, and return Spark's rows."""
    features = configured(name, **body)
    given = {"features": features, "inputs": inputs, "run": day(as_of), "as_of": moments or as_of, "chunk": chunk}
    found = [
        extract(**given, root=root.below(engine.name), engine=engine, cache=False)
        for engine in (DuckDBSettings(), spark)
    ]
    duckdb, by_spark = (each.artifact for each in found)
    assert by_spark.schema == duckdb.schema
    assert not differences(by_spark.table(), duckdb.table(), rounded)
    assert rounded or by_spark.fingerprint == duckdb.fingerprint
    assert (duckdb.manifest.details["engine"], by_spark.manifest.details["engine"]) == ("duckdb", "spark")
    assert found[0].metrics["entities"] > 0
    proofs = [{**json.loads(each.artifact.read_beside("_proof.json")), "fingerprint": ""} for each in found]
    assert proofs[1] == proofs[0]
    assert proofs[0]["violations"] == 0
    counts = ("entities", "events_read", "events_null_key", "events_unknown_entity", "missing_values")
    assert [found[1].metrics[count] for count in counts] == [found[0].metrics[count] for count in counts]
    return list(found[1].artifact.table().to_pylist())


def differences(spark: pa.Table, duckdb: pa.Table, rounded: tuple[str, ...] = ()) -> list[str]:
    """Return where two tables differ, for people; columns that begin with one of `rounded` to 1e-12."""
    if spark.num_rows != duckdb.num_rows:
        return [f"{spark.num_rows} rows instead of {duckdb.num_rows}"]
    found = []
    for name in duckdb.column_names:
        if name == "created_timestamp":
            continue
        same = close if rounded and name.startswith(rounded) else lambda a, b: repr(a) == repr(b)
        pairs = zip(spark[name].to_pylist(), duckdb[name].to_pylist(), strict=True)
        found += [f"{name}, row {n}: {a!r} instead of {b!r}" for n, (a, b) in enumerate(pairs) if not same(a, b)]
    return found[:10]


def close(got: Any, expected: Any) -> bool:
    if got is None or expected is None:
        return got is expected
    return bool(got == expected or math.isclose(got, expected, rel_tol=1e-12, abs_tol=1e-12))
