"""The artifacts of mapped tasks as one: the same rows, nothing copied, and refused if they are not of one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError
from airflow_provider_mlpipe.ingestion import gather
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from tests.servers import Bucket

RUN = Run(run_id="scheduled")


def part(root: Storage, index: int, table: pa.Table) -> Artifact:
    run = Run(run_id="scheduled", map_index=index)
    with ArtifactWriter(root, Description(dataset="events", stage="raw", run=run), table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish({"records_read": table.num_rows})


def test_rows_of_all_in_any_order_are_one_artifact(root: Storage) -> None:
    parts = [part(root, index, pa.table({"id": [index * 2, index * 2 + 1]})) for index in range(3)]
    empty = part(root, 3, pa.table({"id": pa.array([], pa.int64())}))
    whole = gather([*parts, empty], root=root, run=RUN)
    assert sorted(whole.table()["id"].to_pylist()) == list(range(6))
    assert whole.dataset().count_rows() == whole.manifest.rows == whole.manifest.metrics["records_read"] == 6
    assert gather([empty, *reversed(parts)], root=root, run=RUN).fingerprint == whole.fingerprint
    assert Artifact.open(whole.uri).fingerprint == whole.fingerprint


def test_one_is_itself_and_none_is_an_error(root: Storage) -> None:
    only = part(root, 0, pa.table({"id": [1]}))
    assert gather([only], root=root, run=RUN) is only
    with pytest.raises(ConfigError, match="the mapped tasks returned none"):
        gather([], root=root, run=RUN)


def test_another_content_of_one_part_is_another_fingerprint(root: Storage) -> None:
    first, second = part(root, 0, pa.table({"id": [1]})), part(root, 1, pa.table({"id": [2]}))
    before = gather([first, second], root=root, run=RUN)
    changed = part(root, 1, pa.table({"id": [3]}))
    with pytest.raises(ArtifactError):
        before.table()  # the part that it refers to was replaced
    after = gather([first, changed], root=root, run=RUN)
    assert after.fingerprint != before.fingerprint
    assert sorted(after.table()["id"].to_pylist()) == [1, 3]


def test_different_columns_are_named(root: Storage) -> None:
    parts = [part(root, 0, pa.table({"id": [1], "v": [1.5]})), part(root, 1, pa.table({"id": ["1"], "w": [1]}))]
    with pytest.raises(ConfigError) as caught:
        gather(parts, root=root, run=RUN)
    assert "3 columns differ: id (int64, string), v (double, absent), w (absent, int64)" in str(caught.value)


def test_in_a_bucket(s3: Bucket) -> None:
    root = Storage(f"{s3.uri}/gathering", s3.options)
    parts = [part(root, index, pa.table({"id": [index]})) for index in range(2)]
    whole = gather(parts, root=root, run=RUN)
    assert sorted(Artifact.open(whole.uri, s3.options).table()["id"].to_pylist()) == [0, 1]
