"""Several streams read at the same time, as one: threads, and a bounded number of items between them and the reader."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Part", "together"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Part(Protocol[T_co]):
    """One of the streams."""

    def items(self) -> Iterator[T_co]:
        """Give the items; called in a thread of its own."""

    def cancel(self) -> None:
        """Make `items` come to an end soon; called from another thread."""


@dataclass(frozen=True)
class _End:
    """A part came to its end, or failed."""

    error: BaseException | None = None


@contextmanager
def together(parts: Sequence[Part[T]], *, held: int) -> Iterator[Iterator[T]]:
    """Give the items of all parts as they come, in no particular order; raise what a part raised.

    Leaving the context cancels the parts and waits for their threads.

    Args:
        parts: the streams.
        held: items that may wait to be taken; each part holds one more.
    """
    waiting: Queue[T | _End] = Queue(maxsize=held)
    leaving = threading.Event()

    def work(part: Part[T]) -> None:
        error: BaseException | None = None
        try:
            for item in part.items():
                if leaving.is_set():
                    break
                waiting.put(item)
        except BaseException as raised:  # noqa: BLE001 - raised again where the items are taken
            error = raised
        waiting.put(_End(error))

    threads = [threading.Thread(target=work, args=(part,), daemon=True) for part in parts]
    try:
        for thread in threads:
            thread.start()
        yield _taken(waiting, len(parts))
    finally:
        leaving.set()
        for part in parts:
            part.cancel()
        while any(thread.is_alive() for thread in threads):
            try:
                waiting.get(timeout=0.02)  # a thread may wait for room
            except Empty:
                continue


def _taken(waiting: Queue[T | _End], running: int) -> Iterator[T]:
    while running:
        item = waiting.get()
        if not isinstance(item, _End):
            yield item
            continue
        if item.error is not None:
            raise item.error
        running -= 1
