"""What Airflow's database says of runs, task instances, and what these pushed."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select

from airflow_provider_mlpipe.plugins.facts import Past, RunRecord, TaskRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

__all__ = ["history", "mapped", "returned", "run_record", "task_record", "task_records"]

SMALL = ("report", "validation", "quarantine", "metrics", "normalized", "view")
"""Keys that our operators push; what they return is asked for besides, as others may return anything of any size."""

MAX_TASKS = 5000
"""Task instances that are looked at in one run."""


def run_record(session: Session, dag_id: str, run_id: str) -> RunRecord | None:
    """Return a run, None if there is none."""
    run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        return None
    start, end = run.data_interval_start, run.data_interval_end
    return RunRecord(
        dag_id=dag_id,
        run_id=run_id,
        state=_word(run.state),
        run_after=run.run_after,
        logical_date=run.logical_date,
        interval=(start, end) if start and end else None,
    )


def task_record(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskRecord | None:
    """Return a task instance with what it pushed, None if there is none."""
    asked = _instances(dag_id, run_id).where(TaskInstance.task_id == task_id, TaskInstance.map_index == map_index)
    found = session.execute(asked).first()
    if found is None:
        return None
    pushed = _pushed(session, dag_id, run_id, (*SMALL, "return_value"), [task_id])
    return _task(found, pushed[task_id, map_index])


def mapped(session: Session, dag_id: str, run_id: str, task_id: str) -> list[int]:
    """Return the map indexes of a mapped task, none for any other."""
    asked = select(TaskInstance.map_index).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index >= 0,
    )
    return list(session.scalars(asked.order_by(TaskInstance.map_index).limit(MAX_TASKS)))


def task_records(session: Session, dag_id: str, run_id: str) -> list[TaskRecord]:
    """Return the task instances of a run with what they pushed, but for what they returned, in the order they began."""
    pushed = _pushed(session, dag_id, run_id, SMALL)
    found = session.execute(_instances(dag_id, run_id).limit(MAX_TASKS)).all()
    records = [_task(each, pushed[each.task_id, each.map_index]) for each in found]
    return sorted(records, key=_order)


def returned(session: Session, tasks: Iterable[TaskRecord]) -> dict[tuple[str, int], Any]:
    """Return what tasks of one run returned, by task and map index."""
    listed = list(tasks)
    if not listed:
        return {}
    found = _pushed(session, listed[0].dag_id, listed[0].run_id, ["return_value"], [task.task_id for task in listed])
    return {place: values["return_value"] for place, values in found.items()}


def history(
    session: Session, run: RunRecord, tasks: Iterable[tuple[str, int]], limit: int
) -> dict[tuple[str, int], list[Past]]:
    """Return what tasks said of their data in this and the runs before it, oldest first.

    Args:
        session: of the database.
        run: up to which.
        tasks: task ids and map indexes.
        limit: of runs.
    """
    wanted = set(tasks)
    if not wanted:
        return {}
    runs = session.execute(
        select(DagRun.run_id, DagRun.logical_date, DagRun.run_after)
        .where(DagRun.dag_id == run.dag_id, DagRun.run_after <= run.run_after)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(limit)
    ).all()
    about = {one.run_id: one.logical_date or one.run_after for one in reversed(runs)}
    said = session.execute(
        select(XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value).where(
            XComModel.dag_id == run.dag_id,
            XComModel.key == "validation",
            XComModel.run_id.in_(about),
            XComModel.task_id.in_({task_id for task_id, _ in wanted}),
        )
    ).all()
    by_run: dict[str, list[Any]] = defaultdict(list)
    for row in said:
        by_run[row.run_id].append(row)
    found: dict[tuple[str, int], list[Past]] = defaultdict(list)
    for run_id, moment in about.items():
        for row in by_run[run_id]:
            if (row.task_id, row.map_index) in wanted:
                past = Past(run_id=run_id, about=moment, validation=plain(row.value))
                found[row.task_id, row.map_index].append(past)
    return found


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a stored XCom as JSON. Our values are plain JSON; nothing else is turned into objects here."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:  # what workers push is stored as it is, a string as well
            return value
    return value


def _instances(dag_id: str, run_id: str) -> Any:  # noqa: ANN401 - a Select
    columns = (
        TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state,
        TaskInstance.operator, TaskInstance.custom_operator_name, TaskInstance.try_number, TaskInstance.start_date,
        TaskInstance.end_date,
    )  # fmt: skip
    return select(*columns).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)


def _pushed(
    session: Session, dag_id: str, run_id: str, keys: Iterable[str], task_ids: Iterable[str] | None = None
) -> dict[tuple[str, int], dict[str, Any]]:
    """Return values by task, map index and key. As Airflow's own API does, this reads the rows and asks no backend."""
    asked = select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key.in_(list(keys))
    )
    if task_ids is not None:
        asked = asked.where(XComModel.task_id.in_(set(task_ids)))
    found: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for task_id, map_index, key, value in session.execute(asked):
        found[task_id, map_index][key] = plain(value)
    return found


def _task(row: Any, xcoms: dict[str, Any]) -> TaskRecord:  # noqa: ANN401 - a row of `_instances`
    return TaskRecord(
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        state=_word(row.state),
        operator=row.operator or "",
        called=row.custom_operator_name or row.operator or "",
        try_number=row.try_number,
        started=row.start_date,
        ended=row.end_date,
        xcoms=xcoms,
    )


def _order(task: TaskRecord) -> tuple[bool, str, str, int]:
    """In the order in which they began; what has not begun comes last."""
    return task.started is None, task.started.isoformat() if task.started else "", task.task_id, task.map_index


def _word(state: Any) -> str:  # noqa: ANN401 - an enumeration of Airflow's, or a text
    return str(getattr(state, "value", state) or "")
