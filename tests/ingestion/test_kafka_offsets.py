"""Which offsets of a topic a run reads, a retry reads, and an interval holds; what the group is told of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.kafka_support import ids, run, source, spans, topic, values
from tests.ingestion.support import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.broker import KafkaBroker

__all__ = ["topic"]


def day(number: int) -> Run:
    return Run(interval=Interval(start=f"2026-01-{number:02}T00:00:00Z", end=f"2026-01-{number + 1:02}T00:00:00Z"))


def at(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)


def test_runs_follow_one_another_without_gap_or_overlap(kafka, topic, root):
    seen: list[int] = []
    for number in range(4):
        kafka.produce(topic, [message for p in range(4) for message in values(number * 10 + p, partition=p)])
        kafka.produce(topic, values({"id": number}, partition=number))
        artifact = read(source(kafka, topic), root, run(f"r{number}"))
        seen += ids(artifact)
        assert artifact.manifest.metrics["lag"] == 0
    assert seen == [0, 1, 2, 3]
    assert read(source(kafka, topic), root, run("r9")).manifest.rows == 0


def test_a_repeated_run_reads_the_same_offsets_whatever_came_since(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    first = read(source(kafka, topic), root, run("a"))
    kafka.produce(topic, values({"id": 3}))
    assert ids(read(source(kafka, topic), root, run("b"))) == [3]
    again = read(source(kafka, topic), root, run("a"))
    assert again.fingerprint == first.fingerprint
    assert again.manifest.details["kafka"]["origin"] == "published"


def test_a_retry_reads_the_plan_of_the_try_that_failed(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError, match="max_error_rate"):
        read(source(kafka, topic, max_error_rate=0.1), root, run("a"))
    kafka.produce(topic, values({"id": 2}))
    artifact = read(source(kafka, topic), root, run("a"))
    assert (ids(artifact), spans(artifact)) == ([1], {0: (0, 2)})
    assert artifact.manifest.details["kafka"]["origin"] == "stored"
    assert artifact.manifest.metrics["lag"] == 1


def test_the_plan_of_a_failed_run_gives_way_to_what_another_run_published(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, max_error_rate=0.1), root, run("a"))
    assert ids(read(source(kafka, topic), root, run("b"))) == [1]
    kafka.produce(topic, values({"id": 2}))
    assert ids(read(source(kafka, topic), root, run("a"))) == [2]


def test_what_another_run_publishes_meanwhile_is_not_published_twice(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    mapping = source(kafka, topic, value_format="raw")

    def overtake(_: int) -> None:
        if not (root.below("things/raw/run-b").read("_manifest.json")):
            read(mapping, root, run("b"))

    with pytest.raises(SourceUnavailableError, match=r"\[0, 1\) was published by the run of partition 'run-b'"):
        read(mapping, root, run("a"), progress=overtake)
    assert read(mapping, root, run("a")).manifest.rows == 0


def test_bounds_leave_the_rest_to_the_next_run(kafka, topic, root):
    kafka.produce(
        topic, [m for p, n in enumerate((1, 5, 5)) for i in range(n) for m in values({"id": p * 10 + i}, partition=p)]
    )
    seen = []
    for number, (rows, lag) in enumerate([(5, 6), (5, 1), (1, 0)]):
        artifact = read(source(kafka, topic, max_records=5), root, run(str(number)))
        assert (artifact.manifest.rows, artifact.manifest.metrics["lag"]) == (rows, lag)
        seen += ids(artifact)
    assert sorted(seen) == [0, *range(10, 15), *range(20, 25)]


def test_max_seconds_publishes_what_came_and_the_next_run_goes_on(kafka, topic, root):
    kafka.produce(topic, [m for i in range(1200) for m in values({"id": i})])
    first = read(source(kafka, topic, max_seconds=1e-9), root, run("a"))
    assert 0 < first.manifest.rows < 1200
    assert first.manifest.metrics["lag"] == 1200 - first.manifest.rows
    again = read(source(kafka, topic, max_seconds=1e-9), root, run("a"))
    assert again.fingerprint == first.fingerprint, "a published plan is read to its end"
    rest = read(source(kafka, topic), root, run("b"))
    assert ids(again) + ids(rest) == list(range(1200))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", [0, 1, 2]),
        ("latest", []),
        ({"timestamp": "2026-01-13T00:00:00Z"}, [1, 2]),
        ({"timestamp": "2027-01-01"}, []),
        ({"offsets": {0: 2}}, [2]),
        (None, [0, 1, 2]),
    ],
    ids=str,
)
def test_where_the_first_run_begins(kafka, topic, root, start, expected):
    for number, moment in enumerate(("2026-01-12", "2026-01-13", "2026-01-14")):
        kafka.produce(topic, values({"id": number}, timestamp=at(moment)))
    found = read(source(kafka, topic, start=start), root).table().to_pylist()
    assert [row["id"] for row in found] == expected


def test_the_group_says_where_to_begin_and_is_told_how_far_it_came(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}, {"id": 3}))
    mapping = source(kafka, topic, group_id=f"g-{topic}")
    read({**mapping, "start": {"offsets": {0: 2}}}, root, run("a"))
    assert kafka.committed(f"g-{topic}", topic)[0] == 3
    kafka.produce(topic, values({"id": 4}))
    assert ids(read({**mapping, "dataset": "other"}, root, run("a"))) == [4], "another dataset, the same group"


def test_the_group_only_moves_forward(kafka, topic, root):
    mapping = source(kafka, topic, group_id=f"g-{topic}")
    for number in (1, 2):
        kafka.produce(topic, values({"id": number}))
        read(mapping, root, run(str(number)))
    read(mapping, root, run("1"))
    assert kafka.committed(f"g-{topic}", topic)[0] == 2


def test_nobody_is_told_of_what_was_not_published(kafka, topic, root):
    kafka.produce(topic, [{"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, group_id=f"g-{topic}", max_error_rate=0), root)
    assert kafka.committed(f"g-{topic}", topic) == {}


# ------------------------------------------------------------------ intervals


def days_of(kafka: KafkaBroker, topic: str, moments: Iterable[str]) -> None:
    for number, moment in enumerate(moments):
        kafka.produce(topic, values({"id": number}, timestamp=at(moment)))


def test_an_interval_is_read_by_the_times_of_the_messages_in_any_order_of_days(kafka, topic, root):
    days_of(kafka, topic, ["2026-01-10T12:00", "2026-01-11T00:00", "2026-01-11T23:59", "2026-01-12T00:00"])
    mapping = source(kafka, topic, end="interval")
    assert [ids(read(mapping, root, day(number))) for number in (11, 10, 12)] == [[1, 2], [0], [3]]


def test_messages_that_are_late_go_to_the_run_that_reads_their_offset_and_none_is_lost(kafka, topic, root):
    days_of(kafka, topic, ["2026-01-10T12:00", "2026-01-11T01:00", "2026-01-10T23:00", "2026-01-12T05:00"])
    mapping = source(kafka, topic, end="interval", types={"id": "int"})
    assert ids(read(mapping, root, day(10))) == [0]
    assert ids(read(mapping, root, day(11))) == [1, 2]
    days_of(kafka, topic, ["2026-01-12T06:00", "2026-01-11T07:00"])
    found = [ids(read(mapping, root, day(number))) for number in (12, 13)]
    assert found == [[0, 1, 3], []]


def test_an_interval_is_needed_to_read_one(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    with pytest.raises(ConfigError, match="needs a data interval"):
        read(source(kafka, topic, end="interval"), root, run("a"))
