"""Artifacts: round trips, fingerprints, and a publication that is never half."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.artifacts import MANIFEST, Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.artifacts import writer as writer_module
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ArtifactReplacedError,
    ConfigError,
    PublishError,
)
from airflow_provider_mlpipe.run import Interval, Run

RUN = Run(interval=Interval(start="2026-01-13T02:00", end="2026-01-14T02:00"))
FOLDER = "users/raw/20260113T020000Z-20260114T020000Z"


def publish(place, *tables, run=RUN, volatile=(), **metrics):
    with ArtifactWriter(
        place, Description(dataset="users", stage="raw", run=run), tables[0].schema, volatile=volatile
    ) as writer:
        for table in tables:
            writer.write_all(table.to_batches())
        return writer.publish(metrics)


@pytest.fixture
def place(tmp_path):
    return Storage(str(tmp_path / "artifacts"))


def everything():
    return pa.table(
        {
            "int": pa.array([1, None, 3], pa.int16()),
            "float": [0.5, float("nan"), None],
            "text": ["a", "ü😀", None],
            "large": pa.array(["a", None, "c"], pa.large_string()),
            "bool": [True, None, False],
            "bytes": [b"\x00", None, b"\xff"],
            "decimal": pa.array([Decimal("1.20"), None, Decimal("-3.45")], pa.decimal128(10, 2)),
            "wide": pa.array([Decimal("1.20"), None, Decimal("-3.45")], pa.decimal256(50, 2)),
            "date": pa.array([1, None, 2], pa.date32()),
            "time": pa.array([1, None, 2], pa.time64("us")),
            "naive": pa.array([1, None, 2], pa.timestamp("us")),
            "aware": pa.array([1, None, 2], pa.timestamp("us", "UTC")),
            "list": [[1, None], None, []],
            "struct": [{"a": 1}, None, {"a": None}],
            "nothing": pa.nulls(3),
        }
    )


def test_round_trip_of_every_kind_of_column(place):
    table = everything()
    artifact = publish(place, table, records_read=3)

    again = Artifact.open(artifact.uri)

    assert again.schema == table.schema
    assert again.table().to_pylist()[0] == table.to_pylist()[0]
    assert again.table().drop_columns("float").equals(table.drop_columns("float"))
    assert again.manifest == artifact.manifest
    assert again.manifest.metrics == {"records_read": 3}
    assert again.uri == f"{place.uri}/{FOLDER}"
    assert again.table(["text"]).column_names == ["text"]
    assert again.dataset().count_rows() == 3


def test_dictionaries_and_extensions_are_written_plain(place):
    table = pa.table(
        {"kind": pa.array(["a", "b", "a"]).dictionary_encode(), "id": pa.array([b"\x00" * 16] * 3, pa.uuid())}
    )
    artifact = publish(place, table)
    assert artifact.schema.types == [pa.string(), pa.binary(16)]
    assert artifact.table()["kind"].to_pylist() == ["a", "b", "a"]


def test_half_floats_become_single_precision(place):
    artifact = publish(place, pa.table({"h": pa.array([0.1, None], pa.float32()).cast(pa.float16())}))
    assert artifact.schema.types == [pa.float32()]
    assert artifact.table()["h"].to_pylist() == [0.0999755859375, None]


def test_engines_see_nan(place):
    """Parquet statistics leave NaN out; an engine that trusts them would find none."""
    artifact = publish(place, pa.table({"x": [1.0, 2.0, float("nan")], "n": [1, 2, 3]}))
    with DuckDBEngine.open() as engine:
        engine.view("t", artifact)
        assert engine.row("SELECT count(*) FROM t WHERE isnan(x)") == (1,)
        assert engine.row("SELECT count(*) FROM t WHERE x > 5") == (1,)  # NaN is the greatest, as in PostgreSQL
        assert engine.row("SELECT sum(CASE WHEN isnan(x) OR isinf(x) THEN NULL ELSE x END) FROM t") == (3.0,)
        assert engine.row("SELECT sum(x) FILTER (NOT isnan(x)) FROM t") == (3.0,)
    statistics = pq.ParquetFile(artifact.paths[0]).metadata.row_group(0)
    assert statistics.column(0).statistics is None
    assert statistics.column(1).statistics.max == 3


def test_only_values_that_repeat_get_a_dictionary(place):
    numbers = range(20_000)
    words = [f"word {n % 9}" for n in numbers]
    table = pa.table(
        {
            "id": numbers,
            "word": words,
            "a.b": words,
            "list": [[word] for word in words],
            "struct": [{"x": word, "many": [{"y": word}]} for word in words],
            "map": pa.array([[(word, n % 9)] for n, word in enumerate(words)], pa.map_(pa.string(), pa.int64())),
        }
    )
    artifact = publish(place, table)
    group = pq.ParquetFile(artifact.paths[0]).metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    assert [path for path, column in columns.items() if not column.has_dictionary_page] == ["id"]
    assert len(columns) == 8
    assert artifact.table().equals(table)


def test_no_rows_still_have_a_schema(place):
    artifact = publish(place, everything().slice(0, 0))
    assert artifact.manifest.rows == 0
    assert artifact.table().schema == everything().schema
    with DuckDBEngine.open() as engine:
        engine.view("users", artifact)
        assert engine.row("SELECT count(*), count(text) FROM users") == (0, 0)


def test_row_groups_are_large_and_parts_roll_over(place, monkeypatch):
    monkeypatch.setattr(writer_module, "PART_ROWS", 200_000)
    table = pa.table({"n": range(500_000)})
    artifact = publish(place, *[table.slice(start, 1000) for start in range(0, 500_000, 1000)])
    groups = [
        pq.ParquetFile(path).metadata.row_group(number).num_rows
        for path in artifact.paths
        for number in range(pq.ParquetFile(path).num_row_groups)
    ]
    assert len(artifact.paths) == 2
    assert min(groups[:-1]) >= 131_072
    assert sum(groups) == artifact.manifest.rows == 500_000
    assert artifact.table()["n"].to_pylist() == list(range(500_000))


def test_hashes_in_the_manifest_are_those_of_the_files(place):
    import hashlib

    artifact = publish(place, everything())
    for part, path in zip(artifact.manifest.parts, artifact.paths, strict=True):
        content = Path(path).read_bytes()
        assert (part.bytes, part.sha256) == (len(content), hashlib.sha256(content).hexdigest())


ROWS = st.lists(
    st.tuples(st.integers(-5, 5) | st.none(), st.sampled_from(["a", "b", "", None]), st.floats(width=32) | st.none()),
    max_size=12,
)


def _table(rows):
    schema = pa.schema([("n", pa.int64()), ("s", pa.string()), ("f", pa.float64())])
    return pa.Table.from_pylist([dict(zip("nsf", row, strict=True)) for row in rows], schema=schema)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, cut=st.integers(0, 12), shuffle=st.randoms(use_true_random=False))
def test_fingerprint_sees_the_rows_and_not_their_order_or_batches(tmp_path_factory, rows, cut, shuffle):
    place = Storage(str(tmp_path_factory.mktemp("fp")))
    table = _table(rows)
    mixed = list(rows)
    shuffle.shuffle(mixed)
    other = _table(mixed)
    one = publish(place, table).fingerprint
    assert publish(place, other.slice(cut), other.slice(0, cut)).fingerprint == one
    if rows:
        assert publish(place, table.slice(1)).fingerprint != one
        assert publish(place, table, table.slice(0, 1)).fingerprint != one
        assert publish(place, table.rename_columns(["n", "s", "g"])).fingerprint != one


def test_volatile_columns_do_not_count(place):
    one = publish(place, pa.table({"a": [1], "at": [1]}), volatile=("at",))
    two = publish(place, pa.table({"a": [1], "at": [2]}), volatile=("at",))
    assert one.fingerprint == two.fingerprint
    assert two.table()["at"].to_pylist() == [2]


def test_publishing_again_replaces_the_whole_and_leaves_nothing_behind(place):
    publish(place, pa.table({"a": range(10)}))
    second = publish(place, pa.table({"a": [1]}), run=Run(try_number=2, interval=RUN.interval))
    assert sorted(os.listdir(second.place.root)) == sorted([MANIFEST, second.manifest.parts[0].name])
    assert Artifact.open(second.uri).table()["a"].to_pylist() == [1]


def test_leaving_without_publishing_leaves_the_old_artifact(place):
    old = publish(place, pa.table({"a": [1]}))
    table = pa.table({"a": range(300_000)})

    def fail_halfway():
        with ArtifactWriter(place, Description(dataset="users", stage="raw", run=RUN), table.schema) as writer:
            writer.write_all(table.to_batches())
            msg = "the source broke"
            raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="the source broke"):
        fail_halfway()
    assert Artifact.open(old.uri).manifest == old.manifest
    assert len(os.listdir(old.place.root)) == 2


def test_values_that_do_not_fit_are_refused_rather_than_changed(place):
    schema = pa.schema([("a", pa.int8())])
    with (
        ArtifactWriter(place, Description(dataset="users", stage="raw", run=RUN), schema) as writer,
        pytest.raises(pa.ArrowInvalid),
    ):
        writer.write(pa.record_batch({"a": [300]}))


def test_verdicts_count_only_for_the_content_they_were_given_for(place):
    artifact = publish(place, pa.table({"a": [1]}))
    assert artifact.verdict() is None
    verdict = {"meta": {"mlpipe": {"passed": True, "fingerprint": artifact.fingerprint}}}
    artifact.write_beside("_validation.json", json.dumps(verdict).encode())
    assert artifact.verdict()["passed"] is True
    assert publish(place, pa.table({"a": [1]})).verdict()["passed"] is True
    assert publish(place, pa.table({"a": [2]})).verdict() is None
    artifact.write_beside("_validation.json", b"{half")
    with pytest.raises(ArtifactCorruptError, match=r"_validation.json cannot be read"):
        artifact.verdict()


def test_what_is_not_there_or_damaged_is_told_apart(place):
    with pytest.raises(ArtifactNotFoundError, match="holds no _manifest.json"):
        Artifact.open(f"{place.uri}/none")
    artifact = publish(place, pa.table({"a": [1]}))

    Path(artifact.paths[0]).write_bytes(b"short")
    with pytest.raises(ArtifactCorruptError, match=r"has 5 bytes instead of \d+"):
        list(artifact.batches())
    Path(artifact.paths[0]).unlink()
    with pytest.raises(ArtifactCorruptError, match="is missing"):
        artifact.dataset()
    publish(place, pa.table({"a": [2]}))
    with pytest.raises(ArtifactReplacedError, match="published again by another attempt"):
        artifact.table()
    for content, problem in ((b"{", "cannot be read"), (b"{}", "cannot be read"), (b'{"format_version": 9}', "is 9")):
        artifact.place.replace(MANIFEST, content)
        with pytest.raises(ArtifactCorruptError, match=problem):
            Artifact.open(artifact.uri)


def test_an_attempt_that_was_overtaken_does_not_publish(place):
    table = pa.table({"a": range(200_000)})
    description = Description(dataset="users", stage="raw", run=RUN)
    with ArtifactWriter(place, description, table.schema) as slow:
        slow.write_all(table.to_batches())
        slow._flush(last=True)
        part = slow._parts[0].name
        slow._place.delete(part)  # what the sweep of a later attempt does
        with pytest.raises(ArtifactReplacedError, match=part):
            slow.publish()


FULL = """
import random
import resource
import sys

import pyarrow as pa
from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.errors import PublishError
from airflow_provider_mlpipe.run import Interval, Run
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
run = Run(interval=Interval(start="2026-01-13T02:00", end="2026-01-14T02:00"))
dice = random.Random(1)
noise = pa.table({"a": [dice.randbytes(1_000_000) for _ in range(4)]})
try:
    with ArtifactWriter(Storage(sys.argv[1]), Description(dataset="users", stage="raw", run=run), noise.schema) as writer:
        writer.write_all(noise.to_batches())
        writer.publish()
except PublishError as error:
    print(error)
"""


def test_when_the_disk_takes_no_more_nothing_is_published(place):
    """The kernel refuses to let a file grow (a limit on file sizes stands in for a full disk: the same failed write)."""
    old = publish(place, pa.table({"a": [b"old"]}))
    done = subprocess.run([sys.executable, "-c", FULL, place.uri], capture_output=True, text=True, check=True)
    assert "could not publish" in done.stdout
    assert "File too large" in done.stdout
    assert "What was there before is untouched" in done.stdout
    assert Artifact.open(old.uri).table()["a"].to_pylist() == [b"old"]
    assert len(os.listdir(old.place.root)) == 2


def test_storage_refuses_what_it_cannot_reach(tmp_path):
    with pytest.raises(ConfigError, match="gs:// is not supported"):
        Artifact.open("gs://bucket/x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(PublishError):
        publish(Storage(str(tmp_path / "file")), pa.table({"a": [1]}))


WRITER = """
import sys
import pyarrow as pa
from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.run import Interval, Run
run = Run(interval=Interval(start="2026-01-13T02:00", end="2026-01-14T02:00"))
table = pa.table({"a": range(600_000), "b": [str(n) for n in range(600_000)]})
print("ready", flush=True)
sys.stdin.readline()
while True:
    with ArtifactWriter(Storage(sys.argv[1]), Description(dataset="users", stage="raw", run=run), table.schema) as w:
        w.write_all(table.to_batches(max_chunksize=50_000))
        w.publish()
    print("published", flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_leaves_the_old_artifact_or_the_new(place):
    """SIGKILL a process that publishes again and again: at random moments of its first publication, and after it."""
    new = publish(place, pa.table({"a": range(600_000), "b": [str(n) for n in range(600_000)]})).fingerprint
    old = publish(place, pa.table({"a": [1], "b": ["old"]})).fingerprint
    dice = random.Random(20260113)
    seen = set()
    for attempt in range(14):
        publish(place, pa.table({"a": [1], "b": ["old"]}))
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, place.uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            if attempt:  # the first is killed before it begins
                process.stdin.write(b"\n")
                process.stdin.flush()
            if attempt % 2 == 0 and attempt:
                assert process.stdout.readline() == b"published\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=dice.uniform(0.0, 0.4))
            os.kill(process.pid, signal.SIGKILL)
        artifact = Artifact.open(f"{place.uri}/{FOLDER}")
        assert artifact.fingerprint in {old, new}
        assert artifact.table().num_rows == artifact.manifest.rows
        seen.add(artifact.fingerprint)
    assert seen == {old, new}
    final = publish(place, pa.table({"a": [1], "b": ["old"]}))
    assert sorted(os.listdir(final.place.root)) == sorted([MANIFEST, final.manifest.parts[0].name])
