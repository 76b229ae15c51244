"""Run Dags in one process, the way `airflow dags test` runs them, and write down what became of every task.

Not a test: `tests.operators.home` starts it with an AIRFLOW_HOME of its own. Importing Airflow, Great Expectations and
Feast costs many times what a run on the sample costs, so one process takes several runs.

Usage: ``python driver.py OUTPUT.json STEPS.json``, where a step is ``{"dag_id", "date", "env", "online"}``: the
environment is set before the run, and the features of the entities in ``online`` are read after it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.sdk.execution_time import supervisor
from airflow.utils.session import create_session
from sqlalchemy import select

MARK = "=== run ==="
"""Stands in the log before every run."""

SUPERVISED = "Supervised" in os.environ.get("AIRFLOW__CORE__EXECUTOR", "")
"""Whether tasks run in processes of their own: see `tests.operators.supervised`."""


def main(output: str, steps: str) -> None:
    """Run the steps, in the order given. A date of null means a run without a logical date."""
    # Before 3.3 Airflow makes an API of its own for every task, which takes seconds.
    supervisor.in_process_api_server = functools.cache(supervisor.in_process_api_server)
    bag = DagBag()
    if bag.import_errors:
        raise SystemExit(f"Dag files do not import: {bag.import_errors}")
    for task in (task for dag in bag.dags.values() for task in dag.tasks):
        task.retry_delay, task.retry_exponential_backoff = timedelta(0), False  # tries count in tests, waiting does not
    outcomes = []
    for step in json.loads(steps):
        print(MARK, flush=True)
        os.environ.update(step["env"])
        date = step["date"] and timezone.parse(step["date"])
        run = bag.dags[step["dag_id"]].test(logical_date=date, use_executor=SUPERVISED)
        outcomes.append(
            {
                "run_id": run.run_id,
                "state": str(run.state),
                "interval": [str(run.data_interval_start), str(run.data_interval_end)],
                "tasks": tasks(run.dag_id, run.run_id),
                "online": online(step["online"]) if step["online"] else [],
            }
        )
    Path(output).write_text(json.dumps(outcomes), encoding="utf-8")


def tasks(dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
    """Return state, tries and XComs by task, with the map index behind the name of a mapped task."""
    with create_session() as session:
        found = session.scalars(
            select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        ).all()
        xcoms = session.scalars(select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id)).all()
        return {
            name(ti): {
                "state": None if ti.state is None else str(ti.state),
                "try_number": ti.try_number,
                "xcoms": {x.key: XComModel.deserialize_value(x) for x in xcoms if name(x) == name(ti)},
            }
            for ti in found
        }


def name(thing: Any) -> str:
    return thing.task_id if thing.map_index < 0 else f"{thing.task_id}[{thing.map_index}]"


def online(users: list[str]) -> list[dict[str, Any]]:
    """Return what Feast answers for these users, the store being where `[mlpipe]` and the example YAML say."""
    from airflow_provider_mlpipe import config
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.feature_store import read_online
    from airflow_provider_mlpipe.hooks import settings
    from airflow_provider_mlpipe.hooks.connections import s3_options
    from tests.operators.home import REPOSITORY

    store = config.feature_store(REPOSITORY / "config" / "feature_config.yaml").model
    root = Storage(settings.artifact_root(), s3_options(settings.artifact_conn_id()))
    rows = [{"user_id": user} for user in users]
    return read_online(store, root=root, view="user_profile_features", entity_rows=rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
