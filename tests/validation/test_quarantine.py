"""``on_failure: quarantine``: bad rows out, clean rows on; nothing lost, nothing changed, nothing published half."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.artifacts.artifact import REPORT, VERDICT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBSettings
from airflow_provider_mlpipe.errors import ConfigError, DataRejectedError, PublishError
from airflow_provider_mlpipe.validation import division
from airflow_provider_mlpipe.validation.sifting import Sifting, sift

Sift = Callable[..., Sifting]

TEN = {
    "id": ["u0", "u1", "u2", "u2", "u4", None, "u6", "u7", "u8", "u9"],
    "age": [30, 200, 30, 30, -1, 30, 30, 30, 30, 30],
    "hours": [1.0, 2.0, 3.0, 4.0, float("nan"), 6.0, 7.0, 8.0, None, 10.0],
}
RULES = {
    "on_failure": "quarantine",
    "max_quarantine_share": 0.6,
    "required_columns": ["id"],
    "unique_columns": ["id"],
    "range_constraints": {"age": [0, 120]},
}


@pytest.fixture
def sifted(publish, root, as_of) -> Sift:
    """Publish a table and sift it by rules as the YAML would have them."""

    def sifted(table, rules, **arguments) -> Sifting:
        artifact = table if isinstance(table, Artifact) else publish(table)
        return sift(artifact, dataset_rules({"data": rules}, "data"), as_of=as_of, root=root, **arguments)

    return sifted


def reasons(artifact: Artifact) -> dict[int, list[str]]:
    rows = artifact.table().to_pylist()
    return {row["_mlpipe_row"]: [reason["rule_id"] for reason in row["_mlpipe_reasons"]] for row in rows}


def test_bad_rows_go_to_quarantine_with_their_reasons_and_the_others_on(sifted):
    done = sifted(TEN, RULES)
    done.raise_if_blocked()
    assert done.passed
    assert reasons(done.quarantine) == {
        1: ["data.range.age"],
        2: ["data.unique.id"],
        3: ["data.unique.id"],
        4: ["data.range.age"],
        5: ["data.not_null.id"],
    }
    assert done.artifact.table()["id"].to_pylist() == ["u0", "u6", "u7", "u8", "u9"]
    first = done.quarantine.table().to_pylist()[0]
    assert (first["id"], first["age"]) == ("u1", 200)
    reason = first["_mlpipe_reasons"][0]
    assert reason["rule"] == "`age` is between 0 and 120."
    assert reason["where"] == next(result.where for result in done.first.results if result.kind == "range")
    assert (done.counts["rows_validated"], done.counts["rows_quarantined"], done.counts["errors"]) == (10, 5, 3)


def test_the_clean_artifact_has_a_passed_verdict_and_names_the_raw_one_the_raw_one_stays_failed(sifted):
    done = sifted(TEN, RULES)
    raw, clean = done.first.artifact, Artifact.open(done.artifact.uri)
    assert clean.verdict()["passed"] is True
    assert raw.verdict()["passed"] is False
    assert [(source.uri, source.fingerprint) for source in clean.manifest.inputs] == [(raw.uri, raw.fingerprint)]
    assert (clean.manifest.stage, done.quarantine.manifest.stage) == ("validated", "validated-quarantine")
    assert clean.manifest.partition == done.quarantine.manifest.partition == raw.manifest.partition
    assert clean.manifest.details["quarantine"]["artifact"] == done.quarantine.uri
    told = raw.verdict()["quarantine"]
    assert (told["rows"], told["passed_on"], told["clean"], told["passed"]) == (5, 5, clean.uri, True)
    assert told["by_rule"] == {"data.not_null.id": 1, "data.unique.id": 2, "data.range.age": 2}
    assert raw.read_beside(REPORT).startswith(b"<!doctype html>")
    json.loads(raw.read_beside(VERDICT), parse_constant=pytest.fail)


def test_order_and_types_stay_exactly_whatever_the_engine_makes_of_them(sifted):
    """NaN, nanoseconds, 256-bit decimals, maps: rows never pass through the engine."""
    count = 5000
    table = pa.table(
        {
            "n": pa.array(range(count), pa.int16()),
            "float": pa.array([math.nan if n % 3 == 0 else None if n % 3 == 1 else n / 7 for n in range(count)], pa.float32()),
            "nanos": pa.array([n * 1_000_001 for n in range(count)], pa.timestamp("ns", "Europe/Berlin")),
            "huge": pa.array([Decimal(n) * 10**40 for n in range(count)], pa.decimal256(60, 3)),
            "fixed": pa.array([n.to_bytes(2, "big") for n in range(count)], pa.binary(2)),
            "nested": pa.array([[("k", [n, None])] for n in range(count)], pa.map_(pa.string(), pa.list_(pa.uint16()))),
            "time": pa.array(list(range(count)), pa.time64("ns")),
            "large": pa.array([str(n) for n in range(count)], pa.large_string()),
        }
    )  # fmt: skip
    shuffled = table.take([(n * 7919) % count for n in range(count)])
    bad = {"on_failure": "quarantine", "range_constraints": {"n": {"max": 4899}}}
    done = sifted(shuffled, bad)
    assert done.passed
    kept = [row for row in shuffled.to_pylist() if row["n"] <= 4899]
    found = done.artifact.table()
    assert found.schema == done.first.artifact.schema == shuffled.schema
    assert repr(found.to_pylist()) == repr(kept)
    assert done.quarantine.schema.names[:-2] == shuffled.schema.names
    assert repr(done.quarantine.table().select(shuffled.schema.names).to_pylist()) == repr(
        [row for row in shuffled.to_pylist() if row["n"] > 4899]
    )


def test_a_rerun_lands_in_the_same_place_with_the_same_content(sifted, publish):
    raw = publish(TEN)
    once, again = sifted(raw, RULES), sifted(raw, RULES)
    assert (once.artifact.uri, once.artifact.fingerprint) == (again.artifact.uri, again.artifact.fingerprint)
    assert once.quarantine.fingerprint == again.quarantine.fingerprint
    assert len(list(Path(again.artifact.uri).glob("part-*"))) == 1
    assert Artifact.open(once.artifact.uri).verdict()["passed"] is True


def test_many_parts_under_a_small_memory_limit_come_out_in_order(sifted, publish, monkeypatch):
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.ROW_GROUP_ROWS", 5000)
    monkeypatch.setattr("airflow_provider_mlpipe.artifacts.writer.PART_ROWS", 20_000)
    count = 120_000
    table = pa.table({"n": range(count), "key": [f"{n - n % 2 if n % 1000 < 2 else n:060d}" for n in range(count)]})
    raw = publish(pa.Table.from_batches(table.to_batches(max_chunksize=777)))
    assert len(raw.paths) > 4
    done = sifted(
        raw,
        {"unique_columns": ["key"], "on_failure": "quarantine"},
        engine=DuckDBSettings(memory_limit="100MB", threads=2),
    )
    assert done.passed
    assert done.artifact.table()["n"].to_pylist() == [n for n in range(count) if n % 1000 >= 2]
    assert done.quarantine.table()["n"].to_pylist() == [n for n in range(count) if n % 1000 < 2]


def test_a_rule_about_the_whole_table_may_block_what_is_left(sifted):
    """One bad row held the freshness up: without it the newest row is too old."""
    table = {
        "n": list(range(20)),
        "at": pa.array(
            [datetime(2026, 1, 10, tzinfo=UTC)] * 19 + [datetime(2026, 1, 14, tzinfo=UTC)], pa.timestamp("us", "UTC")
        ),
    }
    rules = {
        "range_constraints": {"n": {"max": 18, "on_failure": "quarantine"}},
        "freshness": {"timestamp_column": "at", "max_age_hours": 24},
    }
    done = sifted(table, rules)
    assert not done.passed
    assert [result.rule_id for result in done.first.results if result.failed] == ["data.range.n"]
    with pytest.raises(DataRejectedError, match="at most 24 h older") as caught:
        done.raise_if_blocked()
    assert f"Before that 1 row went to quarantine: {done.quarantine.uri}" in str(caught.value)
    assert Artifact.open(done.artifact.uri).verdict()["passed"] is False


def test_nothing_is_taken_out_if_another_rule_blocks_anyway(sifted, root):
    done = sifted(TEN, RULES | {"schema": {"age": "string"}})
    assert not done.passed
    assert done.quarantine is None
    assert not Path(root.uri, "data", "validated").exists()
    with pytest.raises(DataRejectedError, match="No rows were taken out, because data.type.age blocks"):
        done.raise_if_blocked()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            RULES | {"max_quarantine_share": 0.3},
            "at least 5 of 10 rows (50 %) would go to quarantine, which is more than max_quarantine_share 30 %",
        ),
        (RULES | {"max_quarantine_share": 1, "range_constraints": {"age": [300, 400]}}, "nothing would be left"),
    ],
)
def test_too_many_bad_rows_are_no_bad_rows_but_something_else(sifted, root, rules, message):
    done = sifted(TEN, rules)
    assert (done.passed, done.quarantine) == (False, None)
    with pytest.raises(DataRejectedError) as caught:
        done.raise_if_blocked()
    assert message in str(caught.value)
    assert list(Path(root.uri).rglob("validated*/*/*")) == []


def test_a_warning_may_take_rows_out_too(sifted):
    rules = {
        "range_constraints": {"age": {"min": 0, "severity": "WARNING", "on_failure": "quarantine"}},
        "max_quarantine_share": 0.2,
    }
    done = sifted(TEN, rules)
    assert (done.first.passed, done.passed, done.quarantine.manifest.rows) == (True, True, 1)
    assert done.artifact.manifest.rows == 9


def test_warn_lets_everything_through_and_is_a_warning(sifted):
    done = sifted(TEN, {"on_failure": "warn", "range_constraints": {"age": [0, 120]}})
    assert done.passed
    assert done.artifact == done.first.artifact
    assert (done.counts["errors"], done.counts["warnings"], done.counts["rows_quarantined"]) == (0, 1, 0)


def test_a_rule_overrides_the_default_of_its_dataset(sifted):
    rules = RULES | {"range_constraints": {"age": {"min": 0, "max": 120, "on_failure": "block"}}}
    done = sifted(TEN, rules)
    assert not done.passed
    assert "data.range.age blocks" in done.refusal


def test_mostly_decides_whether_rows_are_taken_out_not_which(sifted):
    tolerated = {
        "range_constraints": {"age": {"min": 0, "max": 120, "mostly": 0.8}},
        "on_failure": "quarantine",
        "max_quarantine_share": 0.5,
    }
    assert sifted(TEN, tolerated).quarantine is None
    tolerated["range_constraints"]["age"]["mostly"] = 0.9
    assert sifted(TEN, tolerated).quarantine.manifest.rows == 2


def test_blocking_contradicts_a_severity_that_never_does():
    rules = {"required_columns": [{"column": "id", "severity": "WARNING", "on_failure": "block"}]}
    with pytest.raises(ConfigError, match="severity WARNING never blocks"):
        dataset_rules({"data": rules}, "data")


@pytest.mark.parametrize("fails_at", ["quarantine", "clean"])
def test_a_failure_midway_leaves_what_was_there_before(sifted, publish, monkeypatch, root, fails_at):
    """A full disk while the clean rows are written: no half artifact, and the old one is still whole."""
    raw = publish(TEN)
    before = sifted(raw, RULES).artifact
    write, calls = division.ArtifactWriter.publish, []

    def publish_until(self, *arguments):
        calls.append(self)
        if len(calls) == (1 if fails_at == "quarantine" else 2):
            raise PublishError.failed("there", "No space left on device")
        return write(self, *arguments)

    monkeypatch.setattr(division.ArtifactWriter, "publish", publish_until)
    with pytest.raises(PublishError, match="No space left"):
        sifted(raw, {"on_failure": "quarantine", "max_quarantine_share": 0.9, "range_constraints": {"hours": [0, 3]}})
    after = Artifact.open(before.uri)
    assert (after.fingerprint, after.verdict()["passed"]) == (before.fingerprint, True)
    assert after.table().num_rows == 5
    assert len(list(Path(root.uri, "data", "validated").rglob("part-*"))) == 1


def test_rows_that_do_not_add_up_are_never_published(sifted, monkeypatch, root):
    monkeypatch.setattr(division, "_without", lambda placed, _indices: placed.batch)
    with pytest.raises(Exception, match=r"10 to pass on and 5 to quarantine are 15: nothing was published") as caught:
        sifted(TEN, RULES)
    assert type(caught.value).__name__ == "ArtifactError"
    assert list(Path(root.uri, "data").glob("validated*/*/*")) == []


def test_columns_of_any_name_and_a_quarantine_of_a_quarantine(sifted):
    odd = {'a"b': [1, 2, 3], "A": [1, 2, 3], "a": [3, 2, 1], "_mlpipe_row": [7, 8, 9], "position": [0, 0, 0]}
    rules = {"on_failure": "quarantine", "max_quarantine_share": 0.5, "range_constraints": {'a"b': {"max": 2}}}
    done = sifted(odd, rules)
    assert done.artifact.table().to_pydict() == {name: values[:2] for name, values in odd.items()}
    assert done.quarantine.schema.names[-2:] == ["__mlpipe_row", "_mlpipe_reasons"]
    again = sifted(done.quarantine, {"on_failure": "quarantine", "required_columns": ["a"]})
    assert again.passed


def test_clean_rows_are_plain_parquet(sifted):
    done = sifted(TEN, RULES)
    assert pq.read_table(done.artifact.paths[0])["id"].to_pylist() == ["u0", "u6", "u7", "u8", "u9"]


def test_a_bucket_is_sifted_where_it_lies(publish, as_of, s3):
    place = Storage(f"{s3.uri}/sifting", s3.options)
    raw = publish(TEN, place)
    done = sift(raw, dataset_rules({"data": RULES}, "data"), as_of=as_of, root=place)
    assert done.passed
    clean = Artifact.open(done.artifact.uri, s3.options)
    assert clean.table()["id"].to_pylist() == ["u0", "u6", "u7", "u8", "u9"]
    assert clean.verdict()["passed"] is True
    assert sorted(reasons(Artifact.open(done.quarantine.uri, s3.options))) == [1, 2, 3, 4, 5]


def test_files_in_a_bucket_are_referred_to_and_nothing_is_written_beside_them(as_of, s3):
    from airflow_provider_mlpipe.ingestion import adopt
    from airflow_provider_mlpipe.run import Run

    root, theirs = Storage(f"{s3.uri}/adopting", s3.options), Storage(f"{s3.uri}/theirs/people", s3.options)
    for part in range(2):
        with theirs.filesystem.open_output_stream(theirs.path(f"{part}.parquet")) as stream:
            pq.write_table(pa.table({"id": [f"u{part}"], "age": [100 * part]}), stream)
    adopted = adopt(theirs.uri, dataset="people", root=root, run=Run())
    done = sift(
        Artifact.open(adopted.uri, s3.options),
        dataset_rules({"p": {"on_failure": "quarantine", "max_quarantine_share": 0.5, "range_constraints": {"age": {"max": 50}}}}, "p"),
        as_of=as_of, root=root,
    )  # fmt: skip
    assert done.passed
    assert [part.name for part in adopted.manifest.parts] == [f"{theirs.uri}/{part}.parquet" for part in range(2)]
    assert done.artifact.table()["id"].to_pylist() == ["u0"]
    assert set(theirs.names()) == {"0.parquet", "1.parquet"}
