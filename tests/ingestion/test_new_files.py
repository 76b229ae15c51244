"""Reading only files that are new: every version of a file in exactly one partition, and a replay gives what it gave."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import MANIFEST, S3Options, Storage
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection
from airflow_provider_mlpipe.ingestion.pipeline import transfer
from airflow_provider_mlpipe.ingestion.readers import reader_of
from airflow_provider_mlpipe.ingestion.target import FileTarget
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.support import read, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Artifact
    from tests.servers import Bucket


def day(number: int, try_number: int = 1) -> Run:
    interval = Interval(start=f"2026-01-{number:02}", end=f"2026-01-{number + 1:02}")
    return Run(dag_id="tests", interval=interval, try_number=try_number)


class Inbox:
    """A folder that files come into, on disk or in a bucket."""

    def __init__(self, place: Storage, root: Storage) -> None:
        self.place, self.root = place, root
        self._ticks = 1_700_000_000

    def put(self, name: str, *values: int) -> None:
        """Write a file; each later in time than the one before, on disk too, however fast the test is."""
        self.place.replace(name, "".join(json.dumps({"v": value}) + "\n" for value in values).encode())
        if self.place.is_local:
            self._ticks += 10
            os.utime(self.place.path(name), (self._ticks, self._ticks))

    def take(self, run: Run, **keys: Any) -> list[int]:
        return [row["v"] for row in rows(self.artifact(run, **keys))]

    def artifact(self, run: Run, path: str = "*.jsonl", **keys: Any) -> Artifact:
        source = {"type": "file", "path": f"{self.place.uri}/{path}", "only_new": True, **keys}
        return read(source, self.root, run, connection=Connection(s3=self.place.options))


@pytest.fixture(params=["disk", "bucket"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path, root: Storage) -> Iterator[Inbox]:
    if request.param == "disk":
        (tmp_path / "in").mkdir()
        yield Inbox(Storage(str(tmp_path / "in")), root)
    else:
        bucket: Bucket = request.getfixturevalue("s3")
        yield Inbox(Storage(f"{bucket.uri}/{tmp_path.name}", bucket.options), root)


def test_each_version_of_a_file_is_in_exactly_one_partition(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    inbox.put("b.jsonl", 2)
    assert inbox.take(day(1)) == [1, 2]
    inbox.put("c.jsonl", 3)
    assert inbox.take(day(2)) == [3]
    inbox.put("a.jsonl", 10, 11)
    assert inbox.take(day(3)) == [10, 11]
    assert inbox.take(day(4)) == []
    inbox.put("d.jsonl", 4)
    assert inbox.take(day(5)) == [4]


def test_a_file_of_the_same_size_is_told_by_its_version(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    assert inbox.take(day(1)) == [1]
    inbox.put("a.jsonl", 2)
    assert inbox.take(day(2)) == [2]


def test_a_run_without_new_files_is_an_empty_artifact_with_the_schema(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    first = inbox.artifact(day(1), columns={"value": "v"})
    empty = inbox.artifact(day(2), columns={"value": "v"})
    assert empty.table().num_rows == 0
    assert empty.schema == first.schema
    assert empty.manifest.details["schema_changes"] == []
    inbox.put("b.jsonl", 2)
    assert [row["value"] for row in rows(inbox.artifact(day(3), columns={"value": "v"}))] == [2]


def test_a_replay_reads_what_the_run_read_and_moves_nothing(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    first = inbox.artifact(day(1))
    inbox.put("b.jsonl", 2)
    assert inbox.take(day(2)) == [2]
    inbox.put("c.jsonl", 3)
    again = inbox.artifact(day(1, try_number=2))
    assert again.fingerprint == first.fingerprint
    assert again.manifest.details["files"] == first.manifest.details["files"]
    assert inbox.take(day(2, try_number=2)) == [2]
    assert inbox.take(day(3)) == [3]


def test_a_replay_whose_files_are_not_as_they_were_is_an_error_that_says_what_to_do(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    inbox.put("b.jsonl", 2)
    first = inbox.artifact(day(1))
    inbox.put("a.jsonl", 7)
    inbox.place.delete("b.jsonl")
    with pytest.raises(
        SourceRejectedError, match=r"2 of the 2 files that .* read are gone or changed.*a\.jsonl"
    ) as caught:
        inbox.artifact(day(1, try_number=2))
    assert "delete that partition" in str(caught.value.hint)
    assert sorted(row["v"] for row in rows(first)) == [1, 2], "what was published stays"
    first.place.delete(MANIFEST)
    assert inbox.take(day(1, try_number=3)) == [7]


def test_a_day_filled_in_belatedly_reads_nothing_twice(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    assert inbox.take(day(5)) == [1]
    assert inbox.take(day(4)) == []
    inbox.put("b.jsonl", 2)
    assert inbox.take(day(3)) == [2]
    assert inbox.take(day(5, try_number=2)) == [1], "a replay of the newest day does not hide what day 3 has read"
    assert inbox.take(day(6)) == []


def test_a_run_by_hand_moves_nothing(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    assert inbox.take(day(1)) == [1]
    inbox.put("b.jsonl", 2)
    assert inbox.take(Run(dag_id="tests", run_id="manual__2026-01-02")) == [2]
    assert inbox.take(day(2)) == [2]


def test_a_run_that_failed_is_repeated_from_the_same_place(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    assert inbox.take(day(1)) == [1]
    inbox.put("b.jsonl", 2)
    inbox.place.replace("c.jsonl", b"not json\n")
    with pytest.raises(SourceRejectedError, match="1 of 2 rows do not fit"):
        inbox.take(day(2), max_error_rate=0)
    inbox.put("c.jsonl", 3)
    assert inbox.take(day(2), max_error_rate=0) == [2, 3]


def test_parts_of_a_mapped_task_keep_their_own_account(inbox: Inbox) -> None:
    inbox.put("x/a.jsonl", 1)
    inbox.put("y/a.jsonl", 2)

    def part(number: int, index: int) -> Run:
        return Run(dag_id="tests", interval=day(number).interval, map_index=index)

    assert inbox.take(part(1, 0), path="x/*.jsonl") == [1]
    assert inbox.take(part(1, 1), path="y/*.jsonl") == [2]
    inbox.put("y/b.jsonl", 3)
    assert inbox.take(part(2, 0), path="x/*.jsonl") == []
    assert inbox.take(part(2, 1), path="y/*.jsonl") == [3]


def test_one_file_and_a_folder(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    assert inbox.take(day(1), path="a.jsonl") == [1]
    assert inbox.take(day(2), path="a.jsonl") == []
    inbox.put("deep/er/b.jsonl", 2)
    inbox.put("_tmp/x.jsonl", 9)
    assert inbox.take(day(3), path="") == [2]


def test_the_manifest_names_every_file_with_its_version(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    inbox.artifact(day(1))
    inbox.put("b.jsonl", 2)
    said = inbox.artifact(day(2)).manifest.details["files"]
    assert list(said["read"]) == [inbox.place.path("b.jsonl")]
    assert list(said["skipped"]) == [inbox.place.path("a.jsonl")]
    assert all([*said["read"].values(), *said["skipped"].values()])
    assert (said["count"], said["bytes"]) == (1, len(b'{"v": 2}\n'))


def test_without_artifacts_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    source = config.source({"type": "file", "path": str(tmp_path), "only_new": True}, "things")
    with pytest.raises(ConfigError, match="only_new"):
        reader_of(source, Connection(), window=None, run=Run(), as_of=None)
    plain = config.source({"type": "file", "path": str(tmp_path / "a.jsonl")}, "things")
    (tmp_path / "a.jsonl").write_text('{"v": 1}')
    reader = reader_of(plain, Connection(), window=None, run=Run(), as_of=None)
    assert transfer(plain, reader, FileTarget(tmp_path / "out.parquet"))["records_written"] == 1


def test_a_wrong_key_is_refused_without_being_told(s3: Bucket, root: Storage) -> None:
    wrong = S3Options(
        endpoint_url=s3.options.endpoint_url, region="us-east-1", access_key="tester", secret_key="wr0ng-1"
    )
    source = {"type": "file", "path": f"{s3.uri}/x/*.csv", "only_new": True}
    with pytest.raises(SourceRejectedError, match="SignatureDoesNotMatch") as caught:
        read(source, root, day(1), connection=Connection(s3=wrong))
    assert wrong.secret_key not in str(caught.value)


# ------------------------------------------------------------------ replaced while it is read


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("only_new", [False, True])
def test_a_file_that_is_replaced_while_it_is_read_is_worth_a_retry(inbox: Inbox, kind: str, only_new: bool) -> None:
    def content(values: range) -> bytes:
        if kind == "parquet":
            sink = pa.BufferOutputStream()
            pq.write_table(pa.table({"v": values}), sink)
            return bytes(sink.getvalue())
        lines = [f'{{"v": {value}}}' if kind == "jsonl" else str(value) for value in values]
        return "\n".join(["v", *lines] if kind == "csv" else lines).encode()

    inbox.place.replace(f"a.{kind}", content(range(100, 200)))
    inbox.place.replace(f"b.{kind}", content(range(200, 300)))

    def meddle(_: int) -> None:
        inbox.place.replace(f"a.{kind}", content(range(300, 400)))

    source = {"type": "file", "path": f"{inbox.place.uri}/*.{kind}", "only_new": only_new}
    connection = Connection(s3=inbox.place.options)
    with pytest.raises(SourceUnavailableError, match=rf"a.{kind} was replaced while it was read"):
        read(source, inbox.root, day(1), connection=connection, progress=meddle)
    assert not list(Path(inbox.root.uri).rglob(MANIFEST))
    artifact = read(source, inbox.root, day(1, try_number=2), connection=connection)
    assert {row["v"] for row in rows(artifact)} == {*range(200, 400)}


def test_a_file_that_is_removed_while_it_is_read(inbox: Inbox) -> None:
    inbox.put("a.jsonl", 1)
    with pytest.raises(SourceUnavailableError, match=r"a\.jsonl was removed while it was read"):
        read(
            {"type": "file", "path": f"{inbox.place.uri}/*.jsonl"},
            inbox.root,
            day(1),
            connection=Connection(s3=inbox.place.options),
            progress=lambda _: inbox.place.delete("a.jsonl"),
        )
