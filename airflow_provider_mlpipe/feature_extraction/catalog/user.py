"""Features of users, from what they did: the seed's names, with formulas that can be recomputed by hand.

Inputs: ``users(user_id, weekly_capacity_hours, created_at)`` and ``activity(user_id, task_id, event_type, skill, hours,
occurred_at)``, where `event_type` is one of task_started, task_completed, bug_reported, files_changed. Unless a name
says otherwise (``_7d``), the window is the set's `aggregation_window`.
"""

from __future__ import annotations

from airflow_provider_mlpipe.config import Aggregation, Pivot
from airflow_provider_mlpipe.feature_extraction.catalog.shorthand import (
    BUG,
    COMPLETED,
    OPEN_NAME,
    SKILLS,
    block,
    feature,
)
from airflow_provider_mlpipe.feature_extraction.declaration import (
    EVENT_DAY,
    DeclaredAggregation,
    DeclaredExpression,
    Domain,
    Events,
    Meaning,
)

__all__ = ["EXPERIENCE", "SKILL_DAMPING_TASKS", "USER"]

SKILL_DAMPING_TASKS = 5
"""Tasks that it takes to reach half of the highest score. One finished task is luck, five are a habit: without damping
a user with one flawless task would stand above one with fifty tasks and a single bug."""

EXPERIENCE = (1, 10, 50, 200)
"""Completed tasks from which on a user is at level 1, 2, 3, 4."""

_PER_SKILL = Pivot(column="skill", values=list(SKILLS))


def _skill_score(skill: str) -> DeclaredExpression:
    tasks, bugs = f"skill_tasks_{skill}", f"skill_bugs_{skill}"
    damped_count = f"{tasks} / ({tasks} + {SKILL_DAMPING_TASKS})"
    quality = f"{tasks} / ({tasks} + {bugs})"
    return DeclaredExpression(
        expression=f"coalesce({damped_count} * ({quality}), 0)",
        meaning=Meaning(
            description=f"How much finished {skill} work the user has shown, and how free of bugs.",
            unit="score",
            range="[0, 1)",
            formula=f"n/(n+{SKILL_DAMPING_TASKS}) * n/(n+b); n: {skill} tasks completed in the window, b: {skill} bugs "
            "reported in it; 0 if n = 0",
            source=f"{OPEN_NAME}. Damped count times quality: it grows with every task, each further one counts less, "
            "bugs lower it in proportion, and it needs no knowledge of other users, so one user's score never moves "
            "because of another.",
        ),
    )


USER = Domain(
    entity="user_id",
    spine="users",
    events="activity",
    sources={"activity": Events(role="activity", timestamp="occurred_at", keys=(("user_id", "user_id"),))},
    aggregations={
        "tasks_completed": DeclaredAggregation(
            aggregation=Aggregation(agg="count", where=COMPLETED, windows=["7d"]),
            meaning=Meaning(
                description="Tasks that the user completed in the last 7 days.",
                unit="tasks",
                range="[0, inf)",
                formula="number of task_completed events; always 7 days, as the name says",
                source=f"{OPEN_NAME}; a count of events.",
            ),
        ),
        "window_tasks": block("Tasks completed in the window.", "tasks", "count", where=COMPLETED),
        "window_tasks_per_day": block("Tasks completed per day.", "tasks per day", "rate", where=COMPLETED),
        "window_bugs": block("Bugs reported in the window.", "bugs", "count", where=BUG),
        "window_hours": block(
            "Hours of the tasks completed in the window.", "hours", "sum", column="hours", where=COMPLETED
        ),
        "window_hours_per_day": block(
            "Hours of completed tasks per day.", "hours per day", "rate", column="hours", where=COMPLETED
        ),
        "window_mean_hours": block(
            "Mean hours of a task completed in the window.", "hours", "mean", column="hours", where=COMPLETED
        ),
        "window_days": block("Days with an event in the window.", "days", "distinct", column=EVENT_DAY),
        "window_touched": block("Tasks with an event in the window.", "tasks", "distinct", column="task_id"),
        "window_companions": block("Others with an event on the same task.", "users", "companions", column="task_id"),
        "window_shared": block("Tasks that another user had an event on.", "tasks", "shared", column="task_id"),
        "history_tasks": block("Tasks ever completed.", "tasks", "count", where=COMPLETED, windows=["all"]),
        "skill_tasks": block(
            "Tasks of a skill completed in the window.", "tasks", "count", where=COMPLETED, pivot=_PER_SKILL
        ),
        "skill_bugs": block("Bugs of a skill reported in the window.", "bugs", "count", where=BUG, pivot=_PER_SKILL),
    },
    derived={
        **{f"skill_score_{skill}": _skill_score(skill) for skill in SKILLS},
        "current_workload_hours": DeclaredExpression(
            expression="window_hours",
            meaning=Meaning(
                description="Hours of work that the user finished in the window.",
                unit="hours",
                range="[0, inf)",
                formula="sum of hours over task_completed events; 0 without any",
                source=f"{OPEN_NAME}. Finished hours are observed; hours of open tasks would be a forecast.",
            ),
        ),
        "avg_completion_hours": DeclaredExpression(
            expression="window_mean_hours",
            meaning=Meaning(
                description="Mean hours that a completed task took the user.",
                unit="hours",
                range="[0, inf)",
                formula="mean of hours over task_completed events that have hours; null without any",
                source=f"{OPEN_NAME}; an arithmetic mean.",
            ),
        ),
        "bug_rate": DeclaredExpression(
            expression="window_bugs / window_tasks",
            meaning=Meaning(
                description="Bugs reported per task completed.",
                unit="bugs per task",
                range="[0, inf)",
                formula="bug_reported events / task_completed events; null without a completed task",
                source=f"{OPEN_NAME}. A ratio of counts in one window; null rather than 0 where there is nothing to "
                "divide by, as no work is not flawless work.",
            ),
        ),
        "active_days": DeclaredExpression(
            expression="window_days",
            meaning=Meaning(
                description="Days on which the user did anything.",
                unit="days",
                range="[0, days of the window + 1]",
                formula="number of different UTC days with an event of any type",
                source="Ours: tells steady from bursty work, which sums cannot.",
            ),
        ),
        "workload_capacity_pct": feature(
            "100 * 7 * window_hours_per_day / weekly_capacity_hours",
            offered=False,  # not every tracker knows capacities
            description="Finished hours as a share of the hours that the user has.",
            unit="percent",
            range="[0, inf)",
            formula="100 * (sum of hours over task_completed events / weeks of the window) / weekly_capacity_hours of "
            "users; null without a capacity",
            source=f"{OPEN_NAME}. Above 100 the user did more than the capacity says. Select it by name.",
        ),
        "tasks_completed_per_week": feature(
            "7 * window_tasks_per_day",
            description="Pace: completed tasks per week.",
            unit="tasks per week",
            range="[0, inf)",
            formula="number of task_completed events / weeks of the window",
            source=f"{OPEN_NAME}. A rate, so that windows of any length compare.",
        ),
        "tenure_days": feature(
            "days_since(created_at)",
            offered=False,  # nor when a user was created
            description="How long the user has been there.",
            unit="days",
            range="[0, inf)",
            formula="(as_of - created_at of users) / 24 h, in whole seconds; null if created_at is not before as_of",
            source=f"{OPEN_NAME} (tenure). Select it by name.",
        ),
        "experience_level": feature(
            "case "
            + " ".join(
                f"when history_tasks >= {tasks} then {level}"
                for level, tasks in sorted(enumerate(EXPERIENCE, start=1), reverse=True)
            )
            + " else 0 end",
            offered=False,  # it reads all history
            description="How much work the user has ever finished, in five levels.",
            unit="level",
            range="{0, 1, 2, 3, 4}",
            formula="by all task_completed events before as_of: 0 none, "
            + ", ".join(f"{level} from {tasks}" for level, tasks in enumerate(EXPERIENCE, start=1)),
            source=f"{OPEN_NAME}. Steps of about five times, as each further task teaches less. Select it by name: it "
            "reads all history.",
        ),
        "collaborators": feature(
            "window_companions",
            offered=False,  # it joins the events with themselves
            description="People whom the user worked with.",
            unit="users",
            range="[0, inf)",
            formula="number of different other users with an event in the window on a task on which the user has one",
            source=f"{OPEN_NAME}. Select it by name: it joins the events with themselves.",
        ),
        "shared_tasks": feature(
            "window_shared",
            offered=False,
            description="Tasks that the user did not work on alone.",
            unit="tasks",
            range="[0, inf)",
            formula="number of different tasks on which the user and another one have events in the window",
            source=f"{OPEN_NAME}. Select it by name.",
        ),
        "collaboration_score": feature(
            "window_shared / window_touched",
            offered=False,
            description="Share of the user's tasks that others worked on, too.",
            unit="ratio",
            range="[0, 1]",
            formula="shared_tasks / number of different tasks with an event of the user in the window; null if none",
            source=f"{OPEN_NAME}. Select it by name.",
        ),
    },
)
"""What is known of a user."""
