"""A line in the log now and then while a task is at work, so that a long one can be told from one that hangs."""

from __future__ import annotations

import resource
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import BaseOperator

__all__ = ["pulse"]

FIRST_SECONDS = 60.0
_SPACING = 1.5
"""Each line comes when the work has taken so many times as long as at the line before."""


@contextmanager
def pulse(task: BaseOperator) -> Iterator[None]:
    """Say at growing intervals how long `task` has been at work, and what it took of CPU and memory meanwhile."""
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(task, over), name="mlpipe-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(task: BaseOperator, over: threading.Event) -> None:
    began, cpu = time.monotonic(), time.process_time()
    due = FIRST_SECONDS
    while not over.wait(began + due - time.monotonic()):
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        task.log.info(
            "%s is at work for %.0f s, with %.0f s of CPU and at most %.0f MB so far",
            task.task_id, took, time.process_time() - cpu, peak / 1e6,
        )  # fmt: skip
        due = took * _SPACING
