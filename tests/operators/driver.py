"""Run Dags in one process, the way `airflow dags test` runs them, and write down what became of every task.

Not a test: `tests.operators.home` starts it with an AIRFLOW_HOME of its own. Importing Airflow, Great Expectations and
Feast costs many times what a run on the sample costs, so one process takes several runs.

Usage: ``python driver.py OUTPUT.json DAG_ID DATE [DATE ...]``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.models.dagbag import DagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk import timezone
from airflow.utils.session import create_session
from sqlalchemy import select


def main(output: str, dag_id: str, *dates: str) -> None:
    """Run the Dag for each date, in the order given. The date ``none`` means a run without a logical date."""
    bag = DagBag(include_examples=False)
    if bag.import_errors:
        raise SystemExit(f"Dag files do not import: {bag.import_errors}")
    runs = []
    for date in dates:
        run = bag.dags[dag_id].test(logical_date=None if date == "none" else timezone.parse(date))
        runs.append(
            {
                "run_id": run.run_id,
                "state": str(run.state),
                "interval": [str(run.data_interval_start), str(run.data_interval_end)],
                "tasks": tasks(dag_id, run.run_id),
            }
        )
    Path(output).write_text(json.dumps(runs), encoding="utf-8")


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


if __name__ == "__main__":
    main(*sys.argv[1:])
