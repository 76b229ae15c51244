"""Reading a plan to its end, and knowing when that is: an offset may have no message."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable
from airflow_provider_mlpipe.ingestion.kafka.client import OutOfRange, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_mlpipe.ingestion.kafka.plan import Place, Plan

__all__ = ["Feed", "Reading", "gone"]

logger = logging.getLogger(__name__)

AT_A_TIME = 500
"""Messages to take at a time, at most."""
BYTES_AT_A_TIME = 64_000_000
"""Rows are handed on when their values are this large, however few they are."""
POLL_SECONDS = 0.1


class Feed(Protocol):
    """What reading asks of a client."""

    def assign(self, offsets: Mapping[Place, int]) -> None:
        """Read these partitions from these offsets."""

    def drop(self, place: Place) -> None:
        """Read this one no further."""

    def seek(self, place: Place, offset: int) -> None:
        """Go on with this offset."""

    def take(self, count: int, seconds: float) -> Iterable[Any]:
        """Return what has come."""

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the oldest offset and the one after the newest."""

    @property
    def notes(self) -> list[str]:
        """What there is to say of the connection."""


def gone(place: Place, start: int, low: int) -> Unreadable:
    """Return the error for messages that retention has deleted before they were read."""
    return Unreadable(
        f"{place[0]}/{place[1]}: offsets [{start:,}, {low:,}) are planned and no longer there: the topic's retention "
        "deleted them before they were read. Set on_gap: skip to go on without them"
    )


class Reading:
    """Reads the messages of a plan.

    Args:
        feed: an open client.
        plan: what to read.
        timeout: seconds to wait for the next message or end.
        skip: whether to go on behind messages that are no longer there.
        seconds: stop after this long if at least one message came; None for never.

    Attributes:
        reached: by partition, the offset that reading has come to.
        skipped: by partition, how many offsets retention has deleted.
    """

    def __init__(
        self,
        feed: Feed,
        plan: Plan,
        *,
        timeout: float,
        skip: bool = False,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed, self._timeout, self._skip, self._clock = feed, timeout, skip, clock
        self._seconds = seconds
        self._open = {span.place: span for span in plan.spans if span.size}
        self.reached = {span.place: span.start for span in plan.spans}
        self.skipped: dict[Place, int] = {}

    def batches(self, rows: int) -> Iterator[list[Any]]:
        """Yield the messages in lists of `rows`, fewer if they are large, those of a partition in their order.

        Raises:
            Unreadable: messages are gone; the client may not read.
            Overloaded: nothing came for too long.
        """
        if not self._open:
            return
        self._feed.assign({place: self.reached[place] for place in self._open})
        waiting: list[Any] = []
        weight = 0
        began = moved = self._clock()
        came = False
        while self._open:
            before = dict(self.reached)
            for message in self._take(min(AT_A_TIME, rows - len(waiting))):
                waiting.append(message)
                weight += len(message.value() or b"")
            if len(waiting) >= rows or weight >= BYTES_AT_A_TIME:
                yield waiting
                waiting, weight = [], 0
                moved = self._clock()  # whatever the others did with it took its own time
            came = came or before != self.reached
            moved = self._clock() if before != self.reached else moved
            if self._seconds is not None and came and self._clock() - began >= self._seconds:
                logger.info("stopped after max_seconds = %g; the rest is the next run's", self._seconds)
                break
            if self._open and self._clock() - moved >= self._timeout:
                raise self._stalled()
        if waiting:
            yield waiting

    def _take(self, count: int) -> Iterator[Any]:
        """Yield the messages of the plan among what has come, and take note of everything else."""
        for event in self._feed.take(count, POLL_SECONDS):
            place = event.topic(), event.partition()
            if event.error() is not None:
                self._hear(event, place)
                continue
            span = self._open.get(place)
            if span is None or event.offset() < self.reached[place]:
                continue
            if event.offset() < span.end:
                self.reached[place] = event.offset() + 1
                yield event
            if event.offset() >= span.end - 1:
                self._close(place)

    def _hear(self, event: Any, place: Place) -> None:  # noqa: ANN401 - an event of confluent_kafka
        if event.error().name() == "_PARTITION_EOF":
            if place in self._open and event.offset() >= self._open[place].end:
                self._close(place)
            return
        problem = problem_of(event)
        if isinstance(problem, OutOfRange):
            self._pass_over(problem.place)
            return
        if isinstance(problem, Unreadable):
            raise problem
        logger.debug("librdkafka goes on trying: %s", problem)

    def _close(self, place: Place) -> None:
        self.reached[place] = self._open.pop(place).end
        self._feed.drop(place)

    def _pass_over(self, place: Place) -> None:
        """Go on behind what retention has deleted, if that is wanted."""
        span = self._open.get(place)
        if span is None:
            return
        low, high = self._feed.bounds(place)
        at = self.reached[place]
        if low <= at <= high:  # it is there after all: the answer was about a moment that has passed
            self._feed.seek(place, at)
            return
        if low <= at or not self._skip:
            raise (
                gone(place, at, min(low, span.end))
                if low > at
                else Unreadable(f"{place[0]}/{place[1]}: offset {at:,} is planned, and the topic ends at {high:,}")
            )
        self.skipped[place] = self.skipped.get(place, 0) + min(low, span.end) - at
        self.reached[place] = min(low, span.end)
        if self.reached[place] >= span.end:
            self._close(place)
        else:
            self._feed.seek(place, low)

    def _stalled(self) -> Overloaded:
        left = [
            f"{place[0]}/{place[1]} at {self.reached[place]:,} of {span.end:,}" for place, span in self._open.items()
        ]
        said = f"; {self._feed.notes[-1]}" if self._feed.notes else ""
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        return Overloaded(f"nothing came for {self._timeout:g} s: {', '.join(left[:5])}{more}{said}")
