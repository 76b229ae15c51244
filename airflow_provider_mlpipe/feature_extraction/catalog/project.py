"""Features of projects, from their tasks, the work on them and the people in their teams.

Inputs: ``projects(project_id, created_at)``, ``tasks(project_id, task_type, dependency_count, estimated_hours,
created_at, completed_at)``, ``activity(project_id, event_type, hours, occurred_at)``, ``users(team_id, created_at)``,
``teams(team_id, project_id)``. A task counts from its creation on, and is open until its completed_at has passed; a
status column, which knows the present only, is not read. Who belongs to which team has no history in the inputs: it is
taken as it is, from the day on which a user was created.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.catalog.shorthand import COMPLETED, OPEN_NAME, block, feature
from airflow_provider_mlpipe.feature_extraction.catalog.task import PLANNED_DAYS
from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed, Domain, Events

__all__ = ["PROJECT"]

_KEY = (("project_id", "project_id"),)
_OPEN = "completed_at is null"
_ALL = ["all"]

PROJECT = Domain(
    entity="project_id",
    spine="projects",
    since="created_at",
    events="tasks",
    sources={
        "tasks": Events(role="tasks", timestamp="created_at", keys=_KEY),
        "completed_tasks": Events(role="tasks", timestamp="completed_at", keys=_KEY),
        "activity": Events(role="activity", timestamp="occurred_at", keys=_KEY),
        "members": Events(
            role="users",
            timestamp="created_at",
            keys=_KEY,
            borrowed=(Borrowed(role="teams", own="team_id", other="team_id", columns=("project_id",)),),
        ),
    },
    aggregations={
        "created": block("Tasks ever created.", "tasks", "count", windows=_ALL),
        "completed": block(
            "Tasks created and completed.", "tasks", "count", where="completed_at is not null", windows=_ALL
        ),
        "blocked": block(
            "Open tasks with dependencies.", "tasks", "count", where=f"{_OPEN} and dependency_count > 0", windows=_ALL
        ),
        "overdue": block(
            "Open tasks older than their estimate allows.",
            "tasks",
            "count",
            where=f"{_OPEN} and days_since(created_at) > {PLANNED_DAYS}",
            windows=_ALL,
        ),
        "open_bugs": block("Open bugs.", "tasks", "count", where=f"{_OPEN} and task_type = 'bug'", windows=_ALL),
        "planned_hours": block("Estimated hours of all tasks.", "hours", "sum", column="estimated_hours", windows=_ALL),
        "spent_hours": block(
            "Hours of completed tasks.",
            "hours",
            "sum",
            column="hours",
            where=COMPLETED,
            windows=_ALL,
            source="activity",
        ),
        "completed_per_day": block(
            "Tasks completed per day of the window.",
            "tasks per day",
            "rate",
            where="created_at is not null",
            source="completed_tasks",
        ),
        "joined": block("Members of the project's teams.", "users", "count", windows=_ALL, source="members"),
    },
    derived={
        "total_tasks": feature(
            "created",
            description="Tasks of the project.",
            unit="tasks",
            range="[0, inf)",
            formula="number of tasks with created_at before as_of",
            source=OPEN_NAME + ".",
        ),
        "completed_tasks": feature(
            "completed",
            description="Tasks of the project that are done.",
            unit="tasks",
            range="[0, total_tasks]",
            formula="number of tasks with created_at and completed_at before as_of",
            source=OPEN_NAME + ".",
        ),
        "blocked_tasks": feature(
            "blocked",
            description="Open tasks that depend on others.",
            unit="tasks",
            range="[0, total_tasks]",
            formula="number of tasks with created_at before as_of, no completed_at before it, and dependency_count > 0",
            source=OPEN_NAME + ". The inputs say how many dependencies a task has, not which, so that each open task "
            "with one counts.",
        ),
        "progress_pct": feature(
            "100 * completed / created",
            description="Share of the project's tasks that is done.",
            unit="percent",
            range="[0, 100]",
            formula="100 * completed_tasks / total_tasks; null without tasks",
            source=OPEN_NAME + ".",
        ),
        "velocity_tasks_per_week": feature(
            "7 * completed_per_day",
            description="Pace: tasks completed per week.",
            unit="tasks per week",
            range="[0, inf)",
            formula="number of tasks with completed_at in the window and created_at before as_of / weeks of the window",
            source=OPEN_NAME + ".",
        ),
        "risk_score": feature(
            "coalesce((0.5 * overdue + 0.3 * blocked + 0.2 * open_bugs) / (created - completed), 0)",
            description="How much of the open work is late, waiting or broken.",
            unit="score",
            range="[0, 1]",
            formula="0.5 * o + 0.3 * b + 0.2 * g; shares of the open tasks that are overdue (days since created_at > "
            "estimated_hours / 40 * 7), blocked (blocked_tasks), bugs (task_type = bug); 0 without open tasks",
            source=OPEN_NAME + ". Weighted by how much each delays the rest.",
        ),
        "team_size": feature(
            "joined",
            description="People in the project's teams.",
            unit="users",
            range="[0, inf)",
            formula="number of users with created_at before as_of whose team belongs to the project",
            source=OPEN_NAME + ". Membership has no history in the inputs: it is taken as it is.",
        ),
        "budget_utilization_pct": feature(
            "100 * spent_hours / planned_hours",
            description="Hours spent as a share of the hours planned.",
            unit="percent",
            range="[0, inf)",
            formula="100 * sum of hours over task_completed events before as_of / sum of estimated_hours of tasks with "
            "created_at before as_of; null if nothing is planned",
            source=OPEN_NAME + ". The inputs know hours, no money: the plan is the budget.",
        ),
    },
)
"""What is known of a project."""
