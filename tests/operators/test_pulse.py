"""A long task says that it is alive; a short one says nothing."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.operators import pulse as module
from airflow_provider_mlpipe.operators.pulse import pulse

if TYPE_CHECKING:
    import pytest


class Log:
    """Collects lines, and tells when there are two."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.enough = threading.Event()

    def info(self, text: str, *values: object) -> None:
        self.lines.append(text % values)
        if len(self.lines) == 2:
            self.enough.set()


def task() -> Any:
    return SimpleNamespace(task_id="extract", log=Log())


def test_a_long_task_says_now_and_then_what_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.01)
    long = task()
    with pulse(long):
        assert long.log.enough.wait(60)

    assert all(line.startswith("extract is at work for ") for line in long.log.lines)
    assert "of CPU and at most" in long.log.lines[0]


def test_a_short_task_says_nothing_and_no_thread_stays() -> None:
    short = task()
    with pulse(short):
        pass

    assert short.log.lines == []
    assert not [thread for thread in threading.enumerate() if thread.name == "mlpipe-pulse"]
