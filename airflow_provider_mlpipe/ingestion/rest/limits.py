"""What bounds a read: how fast, how long, how many bytes. One of each per read, shared by its threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Budget", "Deadline", "Pace"]


class Pace:
    """Spaces requests evenly, so that no second ever sees more than `rate` of them.

    Args:
        rate: requests per second; None for no limit.
        sleep: waits.
        clock: tells the time in seconds.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 0.0 if rate is None else 1 / rate
        self._sleep, self._clock = sleep, clock
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Wait for this request's turn."""
        if not self._gap:
            return
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)


class Deadline:
    """The end of the whole read.

    Args:
        seconds: from now.
        text: the length as the configuration says it.
        clock: tells the time in seconds.
    """

    def __init__(self, seconds: float, text: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._text = clock, text
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        """Seconds; negative once it has passed."""
        return self._end - self._clock()

    def check(self) -> None:
        """Do nothing while there is time.

        Raises:
            Overloaded: it has passed.
        """
        if self.left <= 0:
            raise Overloaded(f"reading it took longer than deadline = {self._text}")


class Budget:
    """The bytes that may still come, of one answer and of all."""

    def __init__(self, *, total: int, each: int) -> None:
        self._total, self._each = total, each
        self._lock = threading.Lock()
        self.spent = 0

    def spend(self, count: int, of_answer: int) -> None:
        """Take `count` bytes off, the answer being `of_answer` bytes long with them.

        Raises:
            Unreadable: more than may come.
        """
        if of_answer > self._each:
            raise Unreadable(f"one answer is longer than max_page_bytes = {self._each:,}; ask for smaller pages")
        with self._lock:
            self.spent += count
            if self.spent > self._total:
                raise Unreadable(f"the answers are longer than max_bytes = {self._total:,} together")
