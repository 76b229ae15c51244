"""A Kafka broker for tests: librdkafka's own, in a process of its own, so that it can be killed, and outlives clients.

It speaks the real protocol over TCP. What it is not: it keeps 5 MB of a partition (older messages go, as by retention),
gives every topic four partitions, makes a topic when somebody produces to it, knows no times (``offsets_for_times``),
no SASL, and writes no markers of transactions.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PARTITIONS", "KafkaBroker", "kafka_broker"]

PARTITIONS = 4

_SERVER = """
import sys
from confluent_kafka import Producer
cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
[broker] = cluster.list_topics(timeout=30).brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""


@dataclass
class KafkaBroker:
    """A running broker.

    Attributes:
        address: ``host:port``.
        process: for tests that kill it.
    """

    address: str
    process: subprocess.Popen[str]

    def produce(self, topic: str, messages: Iterable[dict[str, Any]]) -> None:
        """Produce messages, given as the producer's arguments (`value`, `key`, `partition`, `timestamp`, `headers`)."""
        from confluent_kafka import Producer

        failures = []
        producer = Producer({"bootstrap.servers": self.address, "message.max.bytes": 50_000_000, "linger.ms": 0})

        def delivered(error: Any, _: Any) -> None:
            if error is not None:
                failures.append(error)

        for message in messages:
            producer.produce(topic, **{"partition": 0, **message}, on_delivery=delivered)
            producer.poll(0)
        assert producer.flush(30) == 0
        assert not failures

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return a group's offsets by partition."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.address, "group.id": group})
        found = consumer.committed([TopicPartition(topic, number) for number in range(PARTITIONS)], timeout=20)
        consumer.close()
        return {each.partition: each.offset for each in found if each.offset >= 0}


@contextmanager
def kafka_broker() -> Iterator[KafkaBroker]:
    """Start a broker."""
    pytest.importorskip("confluent_kafka", reason="no Kafka client: pip install confluent-kafka")
    running = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        address = running.stdout.readline().strip()
        assert address, "the broker did not come up"
        yield KafkaBroker(address, running)
    finally:
        running.kill()
        running.wait()
        running.stdin.close()
        running.stdout.close()
