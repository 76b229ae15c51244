"""What the tests of the feature store are made of: validated inputs, feature artifacts, and what is online."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from airflow_provider_mlpipe.artifacts import VERDICT, Artifact, ArtifactWriter, Description, Input, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize, read_online
from airflow_provider_mlpipe.run import Interval, Run

VIEW = "user_profile_features"
STAMP = pa.timestamp("us", "UTC")


def as_of(day: int) -> datetime:
    """Return the end of the daily interval that ends on that day of January."""
    return datetime(2026, 1, day, 2, tzinfo=UTC)


def run_of(day: int) -> Run:
    """Return a daily run."""
    return Run(run_id=f"day-{day}", interval=Interval(start=as_of(day) - timedelta(days=1), end=as_of(day)))


def verdict(artifact: Artifact, *, passed: bool = True, fingerprint: str = "") -> None:
    """Write a verdict as validation does."""
    summary = {
        "passed": passed,
        "fingerprint": fingerprint or artifact.fingerprint,
        "errors": 0 if passed else 2,
        "report": "r.html",
    }
    artifact.write_beside(VERDICT, json.dumps({"success": passed, "meta": {"mlpipe": summary}}).encode())


def raw(
    root: Storage, name: str = "users", *, rows: int = 3, inputs: tuple[Input, ...] = (), judged: bool = True
) -> Artifact:
    """Publish an input artifact, with a passed verdict unless told otherwise."""
    schema = pa.schema([("user_id", pa.string())])
    with ArtifactWriter(root, Description(dataset=name, stage="raw", run=run_of(14), inputs=inputs), schema) as writer:
        writer.write(pa.record_batch([[f"u{i}" for i in range(rows)]], schema=schema))
        artifact = writer.publish()
    if judged:
        verdict(artifact)
    return artifact


def features(
    root: Storage,
    columns: pa.Table | dict[str, Any],
    *,
    day: int = 14,
    entity: str = "user_id",
    feature_set: str = "user_features",
    inputs: tuple[Input, ...] | None = None,
    run: Run | None = None,
    times: list[datetime] | None = None,
    feast: dict[str, Any] | None = None,
) -> Artifact:
    """Publish a feature artifact as feature extraction does; its input has passed validation unless given."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    stamps = times or [as_of(day)] * table.num_rows
    names = [name for name in table.column_names if name != entity]
    table = table.append_column("event_timestamp", pa.array(stamps, STAMP))
    table = table.append_column("created_timestamp", pa.array([as_of(day)] * table.num_rows, STAMP))
    details = {
        "feature_set": feature_set,
        "entity": entity,
        "as_of": as_of(day).isoformat(),
        "features": [{"name": name, "description": f"The {name}", "unit": "hours"} for name in names],
        "feast": {"view": None, "service": None, "ttl_seconds": 30 * 86_400, "tags": {"team": "growth"}, "owner": "ann"}
        | (feast or {}),
    }
    description = Description(
        dataset=feature_set,
        stage="features",
        run=run or run_of(day),
        inputs=(raw(root).as_input("users"),) if inputs is None else inputs,
        details=details,
    )
    with ArtifactWriter(root, description, table.schema, volatile=("created_timestamp",)) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def scores(count: int, seed: int = 0, *, first: int = 0) -> pa.Table:
    """Return `count` users with the seed's feature, a whole number with nulls, and a text."""
    values = random.Random(seed)
    users = range(first, first + count)
    return pa.table(
        {
            "user_id": [f"u{i:05d}" for i in users],
            "skill_score_backend": [values.random() for _ in users],
            "tasks_completed_7d": pa.array([i + seed if i % 3 else None for i in users], pa.int64()),
            "top_skill": [f"skill {i % 7} of {seed}" if i % 5 else None for i in users],
        }
    )


def every_type(count: int = 40) -> pa.Table:
    """Return one column per type that Feast holds, with nulls, NaN and extremes among them."""
    users = range(count)
    return pa.table(
        {
            "user_id": [f"ü-{i}" for i in users],
            "double": [0.1 * i if i % 4 else None for i in users],
            "nan": [math.nan if i % 2 else -0.0 for i in users],
            "inf": [math.inf if i % 2 else 5e-324 for i in users],
            "float": pa.array([0.1 * i for i in users], pa.float32()),
            "int64": pa.array([2**62 + i for i in users], pa.int64()),
            "int64_null": pa.array([2**53 - i if i % 3 else None for i in users], pa.int64()),
            "int32": pa.array([i - 2**31 if i % 3 else None for i in users], pa.int32()),
            "int16": pa.array([i - 5 for i in users], pa.int16()),
            "uint32": pa.array([2**32 - 1 - i for i in users], pa.uint32()),
            "bool": [bool(i % 2) if i % 3 else None for i in users],
            "text": [f"{i} 'quoted' \n 字" if i % 5 else ("" if i else None) for i in users],
            "large_text": pa.array([f"{{not json {i}" for i in users], pa.large_string()),
            "bytes": pa.array([bytes([i, 0, 255]) for i in users], pa.binary()),
            "time": pa.array(
                [as_of(1) + timedelta(seconds=i, microseconds=7) if i % 2 else None for i in users], STAMP
            ),
            "doubles": pa.array([[1.5, float(i)] if i % 2 else None for i in users], pa.list_(pa.float64())),
            "texts": pa.array([["a", str(i)] for i in users], pa.list_(pa.string())),
            "nothing": pa.array([None] * count, pa.float64()),
        }
    )


def comparable(value: Any) -> Any:
    """Return a value as Feast can hold it: no NaN, times to the second."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def expected(table: pa.Table, entity: str = "user_id") -> dict[Any, dict[str, Any]]:
    """Return the table's rows by key, as they should be online."""
    names = [name for name in table.column_names if name not in {"event_timestamp", "created_timestamp"}]
    return {row[entity]: {name: comparable(row[name]) for name in names} for row in table.select(names).to_pylist()}


def online(store: FeatureStore, root: Storage, table: pa.Table, *, entity: str = "user_id", view: str = VIEW) -> Any:
    """Return what is online for the table's keys, by key."""
    rows = read_online(store, root=root, view=view, entity_rows=[{entity: key} for key in table[entity].to_pylist()])
    return {row[entity]: row for row in rows}


def materialize_in_child(uri: str, root: str, settings: dict[str, Any]) -> None:
    """Materialise an artifact; what a child process runs."""
    materialize(Artifact.open(uri), FeatureStore(**settings), root=Storage(root))
