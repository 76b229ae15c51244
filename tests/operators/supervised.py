"""An executor for tests: each task in a process of its own under Airflow's supervisor, as a worker runs it.

`airflow dags test` runs tasks inside its own process, where Airflow neither configures metrics nor forks. With
``AIRFLOW__CORE__EXECUTOR=tests.operators.supervised.SupervisedExecutor`` and `Step.supervised` the driver runs them as
workers do; only the API server is called without a network.
"""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING

from airflow.executors.base_executor import BaseExecutor
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

try:
    from airflow.sdk.execution_time.supervisor import supervise_task
except ImportError:  # before Airflow 3.3
    from airflow.sdk.execution_time.supervisor import supervise as supervise_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.executors.workloads import ExecuteTask

__all__ = ["SupervisedExecutor"]

PR_SET_PDEATHSIG = 1


class SupervisedExecutor(BaseExecutor):
    """Runs one task after the other."""

    def start(self) -> None:
        """Import once what every task's process would import by itself: they are forks of this one, and end with it."""
        import great_expectations  # noqa: F401

        libc = ctypes.CDLL(None)
        os.register_at_fork(after_in_child=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))

    def _process_workloads(self, workload_items: Sequence[ExecuteTask]) -> None:
        for workload in workload_items:
            key = workload.ti.key
            self.queued_tasks.pop(key)
            self.running.add(key)
            code = supervise_task(
                ti=workload.ti,
                bundle_info=workload.bundle_info,
                dag_rel_path=workload.dag_rel_path,
                token="",
                client=InProcessTestSupervisor._api_client(),
                subprocess_logs_to_stdout=True,
            )
            (self.fail if code else self.success)(key)

    def end(self) -> None:
        """Have nothing to wait for."""

    def terminate(self) -> None:
        """Have nothing to stop."""
