"""What is done: tasks, and the events that they leave behind."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.sample.people import SKILLS, Person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

__all__ = ["Event", "Task", "work"]

TASKS_PER_USER_AND_DAY = 0.16
_WEEKDAYS = (1.0, 1.1, 1.1, 1.0, 0.8, 0.12, 0.1)
_TYPES = ("feature", "bug", "chore", "docs", "test", "refactor")
_PRIORITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A row of ``tasks``."""

    task_id: str
    project_id: str
    assignee_id: str | None
    task_type: str
    priority: str
    skill: str
    status: str
    dependency_count: int
    estimated_hours: float | None
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """A row of ``activity``; `event_id` counts in the order of time."""

    event_id: int
    user_id: str
    project_id: str
    task_id: str
    event_type: str
    skill: str | None
    hours: float | None
    occurred_at: datetime


def work(rng: Random, crew: Sequence[Person], start: datetime, end: datetime) -> tuple[list[Task], list[Event]]:
    """Let `crew`, in the order of joining, work from `start` to `end`; return tasks and events before `end`."""
    tasks: list[Task] = []
    events: list[Event] = []
    joined = [person.user.created_at for person in crew]
    weights = list(accumulate(person.weight for person in crew))
    for day in range((end - start).days):
        morning = start + timedelta(days=day)
        # Who joined yesterday may work today. On the very first day the first user does what there is to do.
        present = max(1, bisect_left(joined, morning))
        mean = TASKS_PER_USER_AND_DAY * present * _WEEKDAYS[morning.weekday()]
        number = max(1, round(rng.gauss(mean, math.sqrt(mean))))
        chosen = rng.choices(crew[:present], cum_weights=weights[:present], k=number)
        for position, person in enumerate(chosen):
            tester = rng.choices(crew[:present], cum_weights=weights[:present])[0]
            pair, task_id = (person, tester), f"t_{len(tasks) + 1:05d}"
            # One task a day is begun at once, so that no day is without an event.
            task, story = _task(rng, task_id, pair, morning, end, urgent=position == 0)
            tasks.append(task)
            events.extend(story)
    events.sort(key=lambda event: (event.occurred_at, event.task_id, event.event_type))
    return tasks, [replace(event, event_id=number) for number, event in enumerate(events, start=1)]


def _task(
    rng: Random, task_id: str, pair: tuple[Person, Person], day: datetime, end: datetime, *, urgent: bool
) -> tuple[Task, list[Event]]:
    person, tester = pair
    skill = person.skill if rng.random() < 0.75 else rng.choice(SKILLS)
    hours = _quarter(rng.lognormvariate(math.log(2.5), 0.8))
    created = _at_work(rng, person, day)
    waits = timedelta(hours=rng.expovariate(1 / 6))
    started = created if urgent else _next_working(rng, person, created + waits)
    took = timedelta(hours=rng.lognormvariate(math.log(10), 1.1))
    finished: datetime | None = _next_working(rng, person, started + took)
    fate = rng.random()
    if fate < 0.01:  # clock skew: another machine's clock runs behind
        finished = created - timedelta(minutes=rng.randint(1, 90))
    elif fate < 0.13:
        finished = None  # cancelled or forgotten
    story = list(_story(rng, task_id, person, tester, skill, hours, started, finished))
    if finished is not None and finished >= end:
        finished = None
    status = "completed" if finished else "cancelled" if fate < 0.05 else "in_progress" if started < end else "open"
    task = Task(
        task_id=task_id,
        project_id=person.project_id,
        assignee_id=None if status == "open" and rng.random() < 0.5 else person.user.user_id,
        task_type=rng.choices(_TYPES, (30, 28, 18, 9, 9, 6))[0],
        priority=rng.choices(_PRIORITIES, (35, 42, 19, 4))[0],
        skill=skill,
        status=status,
        dependency_count=min(9, int(rng.expovariate(1))),
        estimated_hours=None if rng.random() < 0.12 else _quarter(hours * rng.lognormvariate(-0.1, 0.4)),
        created_at=created,
        completed_at=finished,
    )
    return task, [event for event in story if event.occurred_at < end]


def _story(
    rng: Random,
    task_id: str,
    person: Person,
    tester: Person,
    skill: str,
    hours: float,
    started: datetime,
    finished: datetime | None,
) -> Iterator[Event]:
    """Yield what happens to one task."""

    def event(kind: str, moment: datetime, amount: float | None, who: Person = person) -> Event:
        return Event(
            event_id=0,
            user_id=who.user.user_id,
            project_id=person.project_id,
            task_id=task_id,
            event_type=kind,
            # A commit does not always say what it is about.
            skill=None if kind == "files_changed" and rng.random() < 0.06 else skill,
            hours=amount,
            occurred_at=moment,
        )

    yield event("task_started", started, 0.0)
    until = finished if finished and finished > started else started + timedelta(hours=20)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        moment = _next_working(rng, person, started + (until - started) * rng.random())
        yield event("files_changed", min(moment, until), None)
    if finished is None:
        return
    # A few hours are typed without the decimal point.
    yield event("task_completed", finished, hours if rng.random() > 0.008 else 25.0 + 10 * hours)
    if rng.random() < 0.14:
        moment = _next_working(rng, tester, finished + timedelta(hours=rng.expovariate(1 / 40)))
        yield event("bug_reported", moment, _quarter(rng.uniform(0.25, 2)), tester)


def _quarter(hours: float) -> float:
    return min(20.0, max(0.25, round(hours * 4) / 4))


def _at_work(rng: Random, person: Person, day: datetime) -> datetime:
    """Return a moment of this person's working hours on `day`."""
    local = 8.5 + 9.5 * rng.betavariate(2, 2.2)
    return day + timedelta(seconds=round((local - person.offset) * 3600))


def _next_working(rng: Random, person: Person, moment: datetime) -> datetime:
    """Return `moment`, or a moment of the next working day if it falls into the night or, mostly, a weekend."""
    local = moment + timedelta(hours=person.offset)
    resting = local.weekday() >= 5 and rng.random() < 0.85
    if 8 <= local.hour < 19 and not resting:
        return moment.replace(microsecond=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if local.hour >= 8:
        day += timedelta(days=1)
    while day.weekday() >= 5 and rng.random() < 0.85:
        day += timedelta(days=1)
    return _at_work(rng, person, day)
