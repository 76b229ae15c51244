"""The same contract on a real S3 server."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import MANIFEST, Artifact, ArtifactWriter, Description, S3Options, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import ArtifactCorruptError, ArtifactError, ArtifactNotFoundError, PublishError
from airflow_provider_mlpipe.run import Interval, Run

RUN = Run(interval=Interval(start="2026-01-13T02:00", end="2026-01-14T02:00"))
DESCRIPTION = Description(dataset="users", stage="raw", run=RUN)


@pytest.fixture
def place(s3):
    return Storage(f"s3://{s3.bucket}/{uuid.uuid4().hex}", s3.options)


def publish(place, table):
    with ArtifactWriter(place, DESCRIPTION, table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def test_publish_read_replace(place):
    table = pa.table({"a": range(300_000), "b": [str(n % 7) for n in range(300_000)]})
    first = publish(place, table)
    assert first.uri.startswith("s3://")
    assert Artifact.open(first.uri, place.options).table().equals(table)
    with DuckDBEngine.open() as engine:
        engine.view("users", first)
        assert engine.row("SELECT count(*), max(a) FROM users WHERE b = '3'") == (42857, 299_995)

    second = publish(place, table.slice(0, 1))
    assert Artifact.open(first.uri, place.options).table().num_rows == 1
    assert set(second.place.names()) >= {MANIFEST, second.manifest.parts[0].name}
    second.write_beside("_report.html", b"<p>")
    assert second.read_beside("_report.html") == b"<p>"
    assert second.read_beside("none") is None

    second.place.delete(second.manifest.parts[0].name)
    with pytest.raises(ArtifactCorruptError, match="is missing"):
        second.table()


def test_the_same_rows_have_the_same_fingerprint_on_disk_and_in_a_bucket(place, root):
    table = pa.table({"a": [1, 2, None]})
    assert publish(place, table).fingerprint == publish(root, table).fingerprint


def test_leaving_without_publishing_leaves_nothing(place):
    table = pa.table({"a": range(300_000)})
    with ArtifactWriter(place, DESCRIPTION, table.schema) as writer:
        writer.write_all(table.to_batches())
    assert place.below(DESCRIPTION.folder).names() == {}
    with pytest.raises(ArtifactNotFoundError):
        Artifact.open(place.below(DESCRIPTION.folder).uri, place.options)


def test_wrong_keys_and_dead_servers_are_told_without_the_keys(place):
    wrong = S3Options(endpoint_url=place.options.endpoint_url, access_key="someone", secret_key="hunter2")
    with pytest.raises(PublishError) as refused:
        publish(Storage(place.uri, wrong), pa.table({"a": [1]}))
    with pytest.raises(ArtifactError) as unread:
        Artifact.open(place.uri, wrong)
    for error in (refused, unread):
        assert "hunter2" not in str(error.value)
        assert place.uri in str(error.value)
    assert "hunter2" not in repr(wrong)
