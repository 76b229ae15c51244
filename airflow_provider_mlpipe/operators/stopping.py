"""Stopping a task: on SIGTERM, which Airflow sends to end one, and on ``execution_timeout``.

Airflow's handler of SIGTERM calls `on_kill` and goes on with the task, so `on_kill` has to see to it that the task
ends. It raises, which stops Python; what runs in a database or an engine meanwhile is called off by
`signals_interrupt`.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import BaseOperator

__all__ = ["TaskStopped", "stop", "stoppable"]

_EXIT_CODE = 128 + signal.SIGTERM
_UNTOUCHED = "What was published before is as it was, and a retry starts clean."

_working = False


class TaskStopped(SystemExit):
    """The task was told to end. Airflow tries it again if it has retries left: the worker may have been shut down."""


@contextmanager
def stoppable(task: BaseOperator) -> Iterator[None]:
    """Do the work of `task` so that a signal stops it, wherever it is.

    Raises:
        TaskStopped: `stop` was called meanwhile.
        AirflowTaskTimeout: the work took longer than the task's ``execution_timeout``.
    """
    from airflow_provider_mlpipe.engines.interruption import signals_interrupt

    global _working  # noqa: PLW0603 - a signal's handler has no other way to know
    signals = {signal.SIGTERM, signal.SIGINT} | ({signal.SIGALRM} if task.execution_timeout else set())
    _working = True
    try:
        with signals_interrupt(signals):
            yield
    except AirflowTaskTimeout:
        problem = f"{task.task_id} was stopped at its execution_timeout of {task.execution_timeout}. {_UNTOUCHED}"
        raise AirflowTaskTimeout(problem) from None
    finally:
        _working = False


def stop(task: BaseOperator) -> None:
    """End the work of a task; called by Airflow in a handler of signals, or when nothing is left to be ended.

    Raises:
        TaskStopped: there is work.
    """
    if _working:
        task.log.warning("%s was told to stop. %s", task.task_id, _UNTOUCHED)
        raise TaskStopped(_EXIT_CODE)
