"""Artifacts in a bucket, computed on by a Spark of this machine: the same features as DuckDB's from a disk."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from tests.feature_extraction.material import activity, bug, done, extracted, users

if TYPE_CHECKING:
    from airflow_provider_mlpipe.engines import SparkSettings
    from tests.servers import Bucket

HOUR = timedelta(hours=1)


def test_a_bucket_and_spark_give_what_a_disk_and_duckdb_give(
    s3: Bucket, root: Storage, on_spark: SparkSettings
) -> None:
    people = users("ann", "bob", None, capacity=[40.0, None, 1.0])
    events = activity(*(done("ann", n * 5 * HOUR, hours=n / 7) for n in range(-3, 60)), bug("bob", HOUR))
    features = ["skill_score_backend", "current_workload_hours", "tasks_completed_7d", "bug_rate"]
    bucket = Storage(f"s3://{s3.bucket}/{uuid.uuid4().hex}", s3.options)
    there = extracted(bucket, people, events, engine=on_spark, features=features)
    here = extracted(root, people, events, features=features)
    assert there.artifact.uri.startswith("s3://")
    assert there.artifact.fingerprint == here.artifact.fingerprint
    assert Artifact.open(there.artifact.uri, s3.options).manifest.details["engine"] == "spark"
