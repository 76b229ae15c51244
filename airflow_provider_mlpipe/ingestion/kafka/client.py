"""A consumer that joins no group and moves nothing on its own; what librdkafka raises, in words that say what to do."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_mlpipe.ingestion.kafka.plan import Place

__all__ = ["Broker", "KafkaClient", "OutOfRange", "mapped", "problem_of"]

logger = logging.getLogger(__name__)

NO_GROUP = "mlpipe-reader"
"""librdkafka wants a group's name. Partitions are assigned, not subscribed to, so nobody joins it."""

_REFUSED = frozenset(
    ["_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE", "_SSL",
     "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "_INVALID_ARG",
     "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "MSG_SIZE_TOO_LARGE", "_NOT_IMPLEMENTED",
     "UNSUPPORTED_VERSION", "_UNSUPPORTED_FEATURE", "INVALID_TOPIC_EXCEPTION"]
)  # fmt: skip
"""librdkafka's names of what asking again does not change. Everything else may pass."""

_DENIED = re.compile(r"authenticat|SASL|SSL handshake|certificate|unauthorized", re.IGNORECASE)
_WHERE = re.compile(r"\[thrd:[^\]]*\]: |\(after \d+ms[^)]*\)")


class OutOfRange(Exception):  # noqa: N818 - it never leaves the package
    """The broker has not, or no longer, the offset that was asked for."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"{place[0]}/{place[1]}")
        self.place = place


class Broker(Protocol):
    """What planning and reading ask of a cluster."""

    def partitions(self, topics: Sequence[str]) -> list[Place]:
        """Return the partitions of the topics."""

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the oldest offset and the one after the newest that is committed (of transactions)."""

    def committed(self, group: str, places: Sequence[Place]) -> dict[Place, int]:
        """Return the group's offsets, of those partitions that it has one for."""

    def offsets_at(self, places: Sequence[Place], milliseconds: int) -> dict[Place, int]:
        """Return the first offset with this timestamp or a later one; the end if there is none."""


class KafkaClient:
    """A connection to a cluster.

    Args:
        settings: librdkafka's properties.
        group: whose offsets are asked for and committed; None for nobody's.
        timeout: seconds for an answer.

    Raises:
        Unreadable: a property that librdkafka does not know, or a value that it refuses.
    """

    def __init__(self, settings: Mapping[str, Any], *, group: str | None, timeout: float) -> None:
        from confluent_kafka import Consumer

        self._timeout = timeout
        self._notes: list[str] = []
        properties = {
            # A log line for each of many attempts to connect would hide the one message that counts.
            "reconnect.backoff.ms": 250,
            "socket.connection.setup.timeout.ms": max(int(timeout * 1000), 1000),
            **settings,
            "group.id": group or NO_GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "error_cb": self._note,
        }
        with mapped(self._notes):
            self._consumer = Consumer(properties, logger=_Log(self._notes))

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _note(self, error: Any) -> None:  # noqa: ANN401 - confluent_kafka has no types for it
        self._notes.append(f"{error.name()}: {error.str()}")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with mapped(self._notes, self._serve):
            yield

    def _serve(self) -> None:
        """Have the callbacks called: what went wrong with the connection is only told there."""
        self._consumer.poll(0)

    def partitions(self, topics: Sequence[str]) -> list[Place]:
        """Return the partitions of the topics, in order.

        Raises:
            Unreadable: there is no such topic, or it may not be read.
            Overloaded: no broker answers.
        """
        found: list[Place] = []
        for topic in topics:
            with self._asking():
                told = self._consumer.list_topics(topic, timeout=self._timeout).topics[topic]
                if told.error is not None:
                    raise _ours(told.error, f"topic {topic!r}: ")
            found += [(topic, partition) for partition in sorted(told.partitions)]
        return found

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the oldest offset and the one after the newest that a reader of committed messages may see."""
        with self._asking():
            answer = self._consumer.get_watermark_offsets(_at(place), timeout=self._timeout)
            if answer is None:
                raise Overloaded(f"no answer about {place[0]}/{place[1]} within {self._timeout:g} s")
        low, high = answer
        return low, high

    def committed(self, group: str, places: Sequence[Place]) -> dict[Place, int]:  # noqa: ARG002 - it is the consumer's
        """Return the group's offsets, of those partitions that it has one for."""
        with self._asking():
            answers = self._consumer.committed([_at(place) for place in places], timeout=self._timeout)
        return {(each.topic, each.partition): each.offset for each in answers if each.offset >= 0}

    def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group how far it has come, and wait for the answer."""
        with self._asking():
            answers = self._consumer.commit(
                offsets=[_at(place, offset) for place, offset in offsets.items()], asynchronous=False
            )
            for each in answers:
                if each.error is not None:
                    raise _ours(each.error, f"{each.topic}/{each.partition}: ")

    def offsets_at(self, places: Sequence[Place], milliseconds: int) -> dict[Place, int]:
        """Return the first offset with this timestamp or a later one; the end if there is none.

        A broker that cannot look up times is asked for all messages instead.
        """
        found: dict[Place, int] = {}
        for place in places:
            offset = self._lookup(place, milliseconds)
            low, high = self.bounds(place)
            if offset < 0 and low < high and self._lookup(place, 0) < 0:
                logger.warning("%s/%d: the broker knows no times; its messages are read to find them", *place)
                offset = self._scan(place, (low, high), milliseconds)
            found[place] = high if offset < 0 else offset
        return found

    def _lookup(self, place: Place, milliseconds: int) -> int:
        with self._asking():
            [answer] = self._consumer.offsets_for_times([_at(place, milliseconds)], timeout=self._timeout)
            if answer.error is not None:
                raise _ours(answer.error, f"{place[0]}/{place[1]}: ")
        return int(answer.offset)

    def _scan(self, place: Place, bounds: tuple[int, int], milliseconds: int) -> int:
        from airflow_provider_mlpipe.ingestion.kafka.plan import Plan, Span
        from airflow_provider_mlpipe.ingestion.kafka.reading import Reading

        span = Span(topic=place[0], partition=place[1], start=bounds[0], end=bounds[1])
        reading = Reading(self, Plan(spans=(span,)), timeout=self._timeout)
        for messages in reading.batches(rows=1000):
            for message in messages:
                if message.timestamp()[1] >= milliseconds:
                    return int(message.offset())
        return -1

    def assign(self, offsets: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets, and no others."""
        with self._asking():
            self._consumer.assign([_at(place, offset) for place, offset in offsets.items()])

    def drop(self, place: Place) -> None:
        """Read this partition no further."""
        with self._asking():
            self._consumer.incremental_unassign([_at(place)])

    def seek(self, place: Place, offset: int) -> None:
        """Go on with this offset."""
        with self._asking():
            self._consumer.incremental_unassign([_at(place)])
            self._consumer.incremental_assign([_at(place, offset)])

    def take(self, count: int, seconds: float) -> Iterable[Any]:
        """Return what has come: messages, and events that have an error."""
        with self._asking():
            taken: list[Any] = self._consumer.consume(count, seconds)
        return taken

    @property
    def notes(self) -> list[str]:
        """What librdkafka had to say of its connections, the newest last."""
        return self._notes


def problem_of(event: Any) -> Exception:  # noqa: ANN401 - a message that carries an error
    """Return the exception for an event among the messages."""
    error = event.error()
    if error.name() in {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}:
        return OutOfRange((event.topic(), event.partition()))
    where = "" if event.topic() is None else f"{event.topic()}/{event.partition()}: "
    return _ours(error, where)


def _ours(error: Any, where: str = "") -> Exception:  # noqa: ANN401 - KafkaError has no types
    refused = error.name() in _REFUSED or error.fatal()
    return (Unreadable if refused else Overloaded)(f"{where}{error.str()} ({error.name()})")


@contextmanager
def mapped(notes: Sequence[str], serve: Callable[[], None] | None = None) -> Iterator[None]:
    """Turn librdkafka's exceptions into those that the edge knows; add what was noted of the connection."""
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        if serve is not None:
            serve()
        found = _ours(error.args[0])
        last = notes[-1] if notes else ""
        denied = next((note for note in reversed(notes) if _DENIED.search(note)), None)
        if denied is not None:  # what it says of the request is only that no connection came about
            raise Unreadable(f"authentication failed: {denied}") from error
        if last and last not in str(found):
            raise type(found)(f"{found}; {last}") from error
        raise found from error


def _at(place: Place, offset: int | None = None) -> Any:  # noqa: ANN401 - confluent_kafka has no types
    from confluent_kafka import TopicPartition

    return TopicPartition(place[0], place[1]) if offset is None else TopicPartition(place[0], place[1], offset)


class _Log:
    """Takes librdkafka's log lines: the last ones are kept for messages, all go to our debug log."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def log(self, level: int, text: str, *arguments: object) -> None:
        """Take a line; librdkafka calls this as it would call a logger."""
        line = _WHERE.sub("", text % arguments if arguments else text)
        logger.debug("librdkafka: %s", line)
        if level >= logging.WARNING and (not self._notes or self._notes[-1] != line):
            self._notes.append(line)
            del self._notes[:-20]
