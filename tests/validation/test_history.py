"""What earlier verdicts said: only of the same data set, only from before, at a bounded cost, never a failure."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import VERDICT, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.run import Interval, Run
from airflow_provider_mlpipe.validation import history
from airflow_provider_mlpipe.validation.history import recent

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: int) -> datetime:
    """The as_of of a daily run: the end of its interval."""
    return START + DAY * (number + 1)


def published(root: Storage, number: int, dataset: str = "orders", stage: str = "raw", **run):
    """One day's artifact, without a verdict."""
    interval = Interval(start=START + DAY * number, end=day(number))
    described = Description(dataset=dataset, stage=stage, run=Run(**{"interval": interval, **run}))
    table = pa.table({"n": [number]})
    with ArtifactWriter(root, described, table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def judged(root: Storage, number: int, *, rows: int = 0, passed: bool = True, **where):
    """One day's artifact with the verdict that the stage would write, in short."""
    artifact = published(root, number, **where)
    rules = [
        {"rule_id": "orders.not_null.n", "status": "passed" if passed else "failed", "share": 0.0 if passed else 0.25},
        {"rule_id": "orders.drift.n", "status": "passed", "share": 0.0, "observed": 0.125},
        {"rule_id": "orders.fresh.t", "status": "skipped", "share": 0.0, "observed": "2026-01-01T00:00:00Z"},
    ]
    summary = {
        "as_of": day(number).isoformat(), "passed": passed, "rules": rules,
        "counts": {"rows_validated": rows or 1000 + number, "total_checks": 2, "failed": int(not passed)},
    }  # fmt: skip
    artifact.write_beside(VERDICT, json.dumps({"meta": {"mlpipe": summary}}).encode())
    return artifact


def days(runs) -> list[int]:
    return [(run.as_of - START) // DAY - 1 for run in runs]


def test_verdicts_come_oldest_first_with_rows_counts_and_rules(root):
    for number in (2, 0, 1):
        judged(root, number, passed=number != 1)
    found = recent(judged(root, 3), before=day(3))
    assert days(found) == [0, 1, 2]
    assert [run.rows for run in found] == [1000, 1001, 1002]
    assert [run.passed for run in found] == [True, False, True]
    assert found[1].statuses["orders.not_null.n"] == "failed"
    assert found[1].shares["orders.not_null.n"] == 0.25
    assert found[1].observed == {"orders.drift.n": 0.125}
    assert found[1].counts["failed"] == 1


def test_a_replay_of_an_old_day_sees_what_the_day_itself_saw(root):
    artifacts = [judged(root, number) for number in range(6)]
    assert days(recent(artifacts[3], before=day(3))) == [0, 1, 2]
    assert days(recent(artifacts[3], before=day(3), limit=2)) == [1, 2]
    assert recent(artifacts[0], before=day(0)) == ()


def test_other_data_sets_stages_and_parts_of_a_mapped_run_do_not_mix(root):
    for number in range(3):
        judged(root, number)
        judged(root, number, dataset="users", rows=5)
        judged(root, number, stage="clean", rows=6)
        judged(root, number, map_index=7, rows=7)
    assert {run.rows for run in recent(published(root, 3), before=day(3))} == {1000, 1001, 1002}
    assert {run.rows for run in recent(published(root, 3, map_index=7), before=day(3))} == {7}
    assert recent(published(root, 3, map_index=8), before=day(3)) == ()


def test_runs_without_an_interval_count_by_their_as_of(root):
    judged(root, 0, run_id="manual__early", interval=None)
    judged(root, 9, run_id="manual__late", interval=None)
    assert days(recent(judged(root, 2, run_id="manual__now", interval=None), before=day(2))) == [0]
    assert days(recent(judged(root, 3), before=day(3))) == [0, 2]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"meta": {"mlpipe": {}}}', b'{"meta": null}', b"\xff\xfe"])
def test_what_cannot_be_read_is_left_out_and_said_in_the_debug_log(root, content, caplog):
    judged(root, 0)
    published(root, 1).write_beside(VERDICT, content)
    published(root, 2)  # never validated
    with caplog.at_level(logging.DEBUG, logger=history.__name__):
        assert days(recent(published(root, 3), before=day(3))) == [0]
    (record,) = [record for record in caplog.records if record.name == history.__name__]
    assert record.levelno == logging.DEBUG
    assert VERDICT in record.getMessage()


def test_thousands_of_partitions_cost_as_many_reads_as_are_wanted(root, monkeypatch):
    for number in range(40):
        judged(root, number)
    place = root.below("orders/raw")
    for number in range(3000):  # older ones, never judged: folders as an old pipeline leaves them
        interval = Interval(start=START - DAY * (number + 1), end=START - DAY * number)
        place.below(interval.partition).make_folder()
    now = published(root, 40)
    reads: list[str] = []
    read = history._read
    monkeypatch.setattr(history, "_read", lambda place, name: reads.append(name) or read(place, name))
    assert days(recent(now, before=day(40))) == list(range(10, 40))
    assert len(reads) == 30
    reads.clear()
    assert days(recent(now, before=day(5))) == [0, 1, 2, 3, 4]
    assert len(reads) <= 90


def test_a_folder_that_no_writer_named_has_no_history(root, tmp_path):
    artifact = judged(root, 1)
    judged(root, 0)
    moved = Storage(str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").symlink_to(artifact.place.root)
    from airflow_provider_mlpipe.artifacts import Artifact

    assert recent(Artifact.open(moved.uri), before=day(9)) == ()
    assert days(recent(artifact, before=day(1))) == [0]


def test_a_bucket_has_a_history_too(s3):
    root = Storage(f"{s3.uri}/history", s3.options)
    for number in range(3):
        judged(root, number)
    assert days(recent(judged(root, 3), before=day(3))) == [0, 1, 2]
