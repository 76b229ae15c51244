"""What pages are made of: runs and task instances as Airflow's database knows them, without the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Past", "RunRecord", "TaskRecord"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A Dag run."""

    dag_id: str
    run_id: str
    state: str
    run_after: datetime
    logical_date: datetime | None
    interval: tuple[datetime, datetime] | None


@dataclass(frozen=True, kw_only=True)
class TaskRecord:
    """A task instance, in its last try.

    Attributes:
        operator: the operator's class.
        called: what Airflow's pages call it.
        map_index: -1 unless mapped.
        xcoms: what it pushed under our keys.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    operator: str
    called: str
    try_number: int
    started: datetime | None
    ended: datetime | None
    xcoms: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a task said in one run."""

    run_id: str
    about: datetime
    validation: Any
