"""What the test broker does not do, told by a feed of our own: compacted topics, open transactions, times, a slow end.

The feed gives what confluent_kafka's consumer gives: messages, and events that have an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable
from airflow_provider_mlpipe.ingestion.kafka.client import KafkaClient
from airflow_provider_mlpipe.ingestion.kafka.plan import Plan, Span, shortened
from airflow_provider_mlpipe.ingestion.kafka.reading import Reading

PLACE = ("t", 0)


@dataclass
class Problem:
    code: str
    text: str = "something"

    def name(self) -> str:
        return self.code

    def str(self) -> str:
        return self.text

    def fatal(self) -> bool:
        return False


@dataclass
class Event:
    at: int
    problem: Problem | None = None
    content: bytes | None = b"{}"

    def topic(self) -> str:
        return PLACE[0]

    def partition(self) -> int:
        return PLACE[1]

    def offset(self) -> int:
        return self.at

    def error(self) -> Problem | None:
        return self.problem

    def value(self) -> bytes | None:
        return self.content


def end(offset: int) -> Event:
    return Event(offset, Problem("_PARTITION_EOF"))


@dataclass
class Feed:
    """Gives prepared answers; each call takes a second."""

    answers: list[list[Event]]
    low: int = 0
    high: int = 100
    now: float = 0.0
    assigned: dict[Any, int] = field(default_factory=dict)
    sought: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def assign(self, offsets: Any) -> None:
        self.assigned = dict(offsets)

    def drop(self, place: Any) -> None:
        del self.assigned[place]

    def seek(self, _: Any, offset: int) -> None:
        self.sought.append(offset)

    def take(self, *_: float) -> list[Event]:
        self.now += 1
        return self.answers.pop(0) if self.answers else []

    def bounds(self, _: Any) -> tuple[int, int]:
        return self.low, self.high


def reading(feed: Feed, start: int, stop: int, **more: Any) -> Reading:
    plan = Plan(spans=(Span(topic="t", partition=0, start=start, end=stop),))
    return Reading(feed, plan, timeout=3, clock=lambda: feed.now, **more)


def offsets(found: Reading, rows: int = 10) -> list[list[int]]:
    return [[message.offset() for message in batch] for batch in found.batches(rows)]


def test_a_compacted_topic_has_fewer_messages_than_offsets():
    found = reading(Feed([[Event(1), Event(5)], [Event(9), Event(12)]]), 0, 10)
    assert offsets(found) == [[1, 5, 9]]
    assert found.reached == {PLACE: 10}


def test_a_message_behind_the_plan_says_that_its_end_is_reached():
    feed = Feed([[Event(2), Event(11)]])
    assert offsets(reading(feed, 0, 10)) == [[2]]
    assert feed.assigned == {}


def test_markers_of_transactions_at_the_end_are_passed_by_the_end_of_the_partition():
    found = reading(Feed([[Event(7)], [end(10)]]), 0, 10)
    assert offsets(found) == [[7]]
    assert found.reached == {PLACE: 10}


def test_an_end_before_the_plans_is_waited_out_and_then_named():
    feed = Feed([[Event(3)], [end(5)]], notes=["broker: disconnected"])
    with pytest.raises(Overloaded, match=r"nothing came for 3 s: t/0 at 4 of 10; broker: disconnected"):
        offsets(reading(feed, 0, 10))


def test_more_may_come_after_an_early_end():
    assert offsets(reading(Feed([[Event(3)], [end(5)], [Event(9)]]), 0, 10)) == [[3, 9]]


def test_an_empty_plan_asks_nobody():
    feed = Feed([])
    assert offsets(reading(feed, 4, 4)) == []
    assert feed.now == 0


def test_rows_are_handed_on_in_portions_and_earlier_if_they_are_large():
    feed = Feed([[Event(number)] for number in range(5)])
    assert offsets(reading(feed, 0, 5), rows=2) == [[0, 1], [2, 3], [4]]
    large = Feed([[Event(0, content=b"x" * 65_000_000)], [Event(1)], [Event(2)]])
    assert offsets(reading(large, 0, 3), rows=100) == [[0], [1, 2]]


def test_the_time_is_up_only_when_something_came():
    feed = Feed([[], [], [Event(0)], [Event(1)]])
    found = reading(feed, 0, 10, seconds=1)
    assert offsets(found) == [[0]]
    assert found.reached == {PLACE: 1}
    with pytest.raises(Overloaded):
        offsets(reading(Feed([]), 0, 10, seconds=1))


def test_offsets_that_go_while_they_are_read():
    def lost() -> Feed:
        return Feed([[Event(2)], [Event(3, Problem("_AUTO_OFFSET_RESET"))], [Event(7), Event(9)]], low=6)

    with pytest.raises(Unreadable, match=r"t/0: offsets \[3, 6\) are planned and no longer there"):
        offsets(reading(lost(), 0, 10))
    feed = lost()
    found = reading(feed, 0, 10, skip=True)
    assert offsets(found) == [[2, 7, 9]]
    assert (found.skipped, feed.sought) == ({PLACE: 3}, [6])


def test_all_that_is_left_of_the_plan_goes():
    feed = Feed([[Event(2)], [Event(3, Problem("_AUTO_OFFSET_RESET"))]], low=50)
    found = reading(feed, 0, 10, skip=True)
    assert offsets(found) == [[2]]
    assert (found.skipped, found.reached) == ({PLACE: 7}, {PLACE: 10})


def test_an_offset_behind_the_end_of_the_topic():
    feed = Feed([[Event(8, Problem("OFFSET_OUT_OF_RANGE"))]], high=5)
    with pytest.raises(Unreadable, match="offset 8 is planned, and the topic ends at 5"):
        offsets(reading(feed, 8, 10, skip=True))


def test_an_offset_that_is_there_after_all():
    feed = Feed([[Event(1, Problem("_AUTO_OFFSET_RESET"))], [Event(1)]])
    assert offsets(reading(feed, 1, 2)) == [[1]]
    assert feed.sought == [1]


def test_what_may_not_be_read_is_an_error_and_what_may_pass_is_not():
    denied = Problem("TOPIC_AUTHORIZATION_FAILED", "Broker: Topic authorization failed")
    with pytest.raises(Unreadable, match=r"t/0: Broker: Topic authorization failed"):
        offsets(reading(Feed([[Event(0, denied)]]), 0, 1))
    assert offsets(reading(Feed([[Event(0, Problem("_TRANSPORT"))], [Event(0)]]), 0, 1)) == [[0]]


@pytest.mark.parametrize(("sizes", "limit"), [([3, 3], 10), ([10, 1, 10], 7), ([5], 2), ([0, 9], 4), ([4, 4, 4], 2)])
def test_a_limit_is_kept_exactly_and_shared(sizes, limit):
    given = [Span(topic="t", partition=number, start=7, end=7 + size) for number, size in enumerate(sizes)]
    found = [span.size for span in shortened(given, limit)]
    assert sum(found) == min(limit, sum(sizes))
    assert all(got <= size for got, size in zip(found, sizes, strict=True))
    assert all(got == size or got >= limit // len(sizes) for got, size in zip(found, sizes, strict=True))


def test_a_broker_that_knows_times_is_believed(kafka, monkeypatch):
    """The test broker answers -1 to everything: one that answers is not asked for all its messages."""
    kafka.produce("times", [{"value": b"{}"}, {"value": b"{}"}])
    client = KafkaClient({"bootstrap.servers": kafka.address}, group=None, timeout=10)
    try:
        answers = {1000: 1, 2000: -1, 0: 0}
        monkeypatch.setattr(client, "_lookup", lambda _, milliseconds: answers[milliseconds])
        monkeypatch.setattr(client, "_scan", lambda *_: pytest.fail("scanned"))
        assert client.offsets_at([("times", 0)], 1000) == {("times", 0): 1}
        assert client.offsets_at([("times", 0)], 2000) == {("times", 0): 2}, "no later message: the end"
    finally:
        client.close()
