"""Signals that come while the main thread is in C code, or in Python: the work ends, and what it held is given back."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.engines import DuckDBEngine, DuckDBSettings, interruption
from airflow_provider_mlpipe.engines.interruption import heed, interruptible, signals_interrupt
from airflow_provider_mlpipe.engines.refusals import refusal
from tests.servers import silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOURS = "SELECT count(*) FROM range(1000000000000) a(i) WHERE hash(i, i * 3) = hash(i + 1)"
SIGNAL = signal.SIGUSR1


class Stop(BaseException):
    """What the handler raises, as Airflow's do."""


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise Stop

    before = signal.signal(SIGNAL, handle)
    yield
    assert signal.getsignal(SIGNAL) is handle
    signal.signal(SIGNAL, before)
    wakeup = signal.set_wakeup_fd(-1)
    assert wakeup == -1


@contextmanager
def stopped() -> Iterator[Callable[[], None]]:
    """Give what has the signal sent to this process, and expect what its handler raises."""
    now = threading.Event()

    def send() -> None:
        if now.wait(60):
            os.kill(os.getpid(), SIGNAL)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(Stop), signals_interrupt({SIGNAL}):
            yield now.set
    finally:
        now.set()
        thread.join()


@pytest.mark.parametrize("way", ["rows", "batches", "connection"])
def test_a_query_of_duckdb_is_called_off_and_leaves_nothing(way: str, tmp_path: Path) -> None:
    left: list[Path] = []
    ways: dict[str, Callable[[DuckDBEngine], Any]] = {
        "rows": lambda engine: engine.rows(HOURS),
        "batches": lambda engine: engine.batches(HOURS).read_all(),
        "connection": lambda engine: engine.connection.execute(HOURS),
    }
    with stopped() as send:
        try:
            with DuckDBEngine.open(DuckDBSettings(threads=1, temp_directory=str(tmp_path))) as engine:
                send()
                ways[way](engine)
        finally:
            left.extend(tmp_path.iterdir())

    assert left == [], "the folder to spill to is gone before anybody hears of the signal"


def test_a_request_to_a_bucket_that_hangs_is_given_up() -> None:
    """pyarrow waits in C++, and as long as a byte comes now and then it waits for ever."""
    with silence() as server:
        bucket = Storage("s3://lake", S3Options(endpoint_url=server.url, access_key="key", secret_key="secret"))
        with stopped() as send, ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: server.asked.wait(60) and send())
            bucket.filesystem.get_file_info("lake/users.csv")


def test_what_waits_in_python_ends_at_once() -> None:
    with stopped() as send:
        send()
        threading.Event().wait(60)


def test_what_does_not_heed_being_called_off_is_stopped_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_PATIENCE_SECONDS", 0.2)
    called: list[int] = []
    with stopped() as send, interruptible(lambda: called.append(1)):
        send()
        threading.Event().wait(60)

    assert called


def test_a_cancel_that_fails_keeps_no_other_from_being_called() -> None:
    def broken() -> None:
        raise OSError("the server is gone")

    over = threading.Event()
    with stopped() as send, interruptible(broken), interruptible(over.set):
        send()
        assert over.wait(60)


def test_an_engine_that_was_called_off_has_refused_nothing() -> None:
    """A rule that an engine refuses is a finding; one that was called off must not become one."""
    over = threading.Event()
    with stopped() as send, interruptible(over.set):
        send()
        assert over.wait(60)
        refusal(duckdb.InterruptException("INTERRUPT Error: Interrupted!"))
        pytest.fail("it was taken for the engine's own error")


def test_an_error_of_what_was_called_off_is_no_error() -> None:
    over = threading.Event()
    with stopped() as send:
        with interruptible(over.set):
            send()
            assert over.wait(60)
        pytest.fail("the work went on")


def test_an_error_of_the_work_itself_is_raised_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), signals_interrupt({SIGNAL}):
        raise ValueError("mine")


def test_nothing_is_called_off_without_a_signal() -> None:
    called: list[int] = []
    with signals_interrupt({SIGNAL}), interruptible(lambda: called.append(1)):
        heed()

    assert called == []


def test_another_thread_and_a_nested_block_leave_the_signals_alone() -> None:
    found: list[object] = []

    def work() -> None:
        with signals_interrupt({SIGNAL}):
            found.append(signal.getsignal(SIGNAL))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(SIGNAL)]

    with signals_interrupt({SIGNAL}):
        outer = signal.getsignal(SIGNAL)
        with signals_interrupt({SIGNAL}):
            assert signal.getsignal(SIGNAL) == outer
        assert signal.getsignal(SIGNAL) == outer


def test_a_signal_that_nobody_handles_in_python_stays_as_it_is() -> None:
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with signals_interrupt({signal.SIGUSR2}):
            assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR2, before)
