"""Stopping work that a signal does not reach by itself.

Python runs the handler of a signal between two of its own instructions. While the main thread waits inside a driver's
C code, for a query that sorts for an hour, a SIGTERM or a timer's SIGALRM is noted and nothing happens. So whoever
enters such code says here how it is called off (`interruptible`), and while `signals_interrupt` is in force a thread of
its own hears of the signal at once and calls it off.

What the handler raises is raised then, not before: were it raised the moment the main thread is back in Python, that
would be at the door of a ``with`` block more often than not, and what the block holds would never be given back.
"""

from __future__ import annotations

import logging
import select
import signal
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.storage import hang_up

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["bell", "heed", "interruptible", "signals_interrupt"]

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.1
"""The main thread may have been about to enter C when it was called off: so it is called off again, until it left."""
_PATIENCE_SECONDS = 2.0
"""After that the handler raises wherever the main thread is. Airflow kills a task 5 s after it told it to end."""

_lock = threading.Lock()
_running: dict[object, Callable[[], None]] = {}
_watch: _Watch | None = None


@contextmanager
def interruptible(cancel: Callable[[], None]) -> Iterator[None]:
    """Have `cancel` called, by another thread, if a signal comes while the block runs.

    It is not running any more when the block is left, so that what it needs may be closed then.

    Args:
        cancel: makes the block come back soon; may be called several times, and when there is nothing to call off.
    """
    token = object()
    with _lock:
        _running[token] = cancel
    try:
        yield
    finally:
        with _lock:
            _running.pop(token, None)
        heed()


def heed() -> None:
    """Raise what a signal's handler has to raise, if one came and the work was called off for it.

    For those who judge the errors of interruptible code: one that was called off is no error of its own.
    """
    if _watch is not None and threading.current_thread() is threading.main_thread():
        _watch.heed()


def bell() -> tuple[int, frozenset[int]] | None:
    """Return the file descriptor of a socket that holds the number of a signal until a thread here has heard of it.

    With it, the numbers that matter. For who runs C code that keeps Python's lock, so that no thread of this process
    hears of anything: another process can look. None if no signal is listened for.
    """
    return None if _watch is None else (_watch.reader.fileno(), frozenset(_watch.handlers))


@contextmanager
def signals_interrupt(signals: Collection[int]) -> Iterator[None]:
    """Call off what is `interruptible` when one of `signals` comes during the block; then let its handler raise.

    Signals without a handler in Python stay as they are. Outside the main thread, and inside another such block, this
    does nothing.
    """
    global _watch  # noqa: PLW0603 - signals are the process's, and so is this
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: handler for number in signals if callable(handler := signal.getsignal(number))}
    _watch = watch = _Watch(handlers)
    try:
        with watch.listening():
            yield
    except BaseException as error:
        watch.heed()
        if watch.raised is not None and watch.raised is not error:
            raise watch.raised from None  # C code that runs a handler may raise an error of its own instead
        raise
    else:
        watch.heed()
    finally:
        _watch = None


@dataclass
class _Watch:
    """Who listens for signals.

    Attributes:
        handlers: by signal, who handled it before.
        waiting: arguments of a handler that is to be called.
        raised: what a handler raised.
        reader: where the numbers of signals arrive.
        urgent: whether handlers raise wherever the main thread is.
    """

    handlers: dict[int, Callable[..., Any]]
    waiting: tuple[int, Any] | None = None
    raised: BaseException | None = None
    urgent: bool = False
    reader: socket.socket = field(init=False)
    _over: threading.Event = field(default_factory=threading.Event)
    _handling: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the place of the handlers, and start the thread that hears of signals when no handler can run."""
        self.reader, writer = socket.socketpair()
        writer.setblocking(False)  # noqa: FBT003 - it is its only argument
        watcher = threading.Thread(target=self._listen, name="mlpipe-signals", daemon=True)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in self.handlers:
            signal.signal(number, self._handle)
        watcher.start()
        try:
            yield
        finally:
            with self._handling:
                self._over.set()
            for number, handler in self.handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            writer.close()
            watcher.join()
            self.reader.close()

    def heed(self) -> None:
        """Call the handler that waits, if there is one."""
        if self.waiting is not None:
            self._pass_on(*self.waiting)

    def _handle(self, number: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        if self.raised is not None and number != signal.SIGINT:
            return  # it ends already, and what it gives back should be given back
        if _running and not self.urgent:
            self.waiting = (number, frame)  # whoever comes back from what was called off heeds it
        else:
            self._pass_on(number, frame)

    def _pass_on(self, number: int, frame: Any) -> None:  # noqa: ANN401 - a frame
        self.waiting = None
        try:
            self.handlers[number](number, frame)
        except BaseException as stop:
            self.raised = stop
            raise

    def _listen(self) -> None:
        """Wait for a signal's number to come, or for the other end to be closed.

        It is taken only when this thread is able to act on it: until then others see it (`bell`).
        """
        came = select.poll()
        came.register(self.reader, select.POLLIN)
        while came.poll() and (numbers := self.reader.recv(64)):
            for number in self.handlers.keys() & set(numbers):
                self._call_off(number)

    def _call_off(self, number: int) -> None:
        main = threading.main_thread().ident or 0
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._over.is_set():
            with _lock:
                for cancel in list(_running.values()):
                    try:
                        cancel()
                    except Exception:
                        logger.debug("could not be called off", exc_info=True)
            hang_up(impatient=self.urgent and self.raised is None)
            self._over.wait(_AGAIN_SECONDS)
            self.urgent = time.monotonic() > deadline
            if self.raised is None and (self.urgent or self.waiting is None):
                # The system gives a signal to any thread; what the main thread waits for ends only by one of its own.
                with self._handling:  # never after the handlers are those from before again
                    if not self._over.is_set():
                        signal.pthread_kill(main, number)
