"""The same features from and to a bucket: inputs, result and fitted state on a real S3 server."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from tests.feature_extraction.material import activity, bug, done, extracted, users

HOUR = timedelta(hours=1)
FEATURES = ["skill_score_backend", "current_workload_hours", "tasks_completed_7d", "bug_rate", "load"]


@pytest.fixture
def place(s3):
    return Storage(f"s3://{s3.bucket}/{uuid.uuid4().hex}", s3.options)


def test_a_bucket_gives_what_a_disk_gives(place, root):
    people = users("ann", "bob", None, capacity=[40.0, None, 1.0])
    events = activity(
        *(done("ann", n * 5 * HOUR, hours=n / 7) for n in range(-3, 60)), bug("bob", HOUR), done(None, HOUR)
    )
    body = {
        "derived": {"load": "current_workload_hours / capacity"},
        "features": FEATURES,
        "normalize": True,
        "handle_missing": "impute",
    }
    there, here = (extracted(where, people, events, **body) for where in (place, root))
    assert there.artifact.fingerprint == here.artifact.fingerprint
    assert there.normalized.fingerprint == here.normalized.fingerprint
    again = extracted(place, people, events, **body)
    assert again.normalized.manifest.details["fit_id"] == here.normalized.manifest.details["fit_id"]
    assert Artifact.open(there.artifact.uri, place.options).fingerprint == here.artifact.fingerprint
