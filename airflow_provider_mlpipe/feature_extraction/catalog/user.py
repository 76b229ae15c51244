"""Features of users, from what they did: the seed's names, with formulas that can be recomputed by hand.

Inputs: ``users(user_id)`` and ``activity(user_id, event_type, skill, hours, occurred_at)``, where `event_type` is one
of task_started, task_completed, bug_reported, files_changed. Unless a name says otherwise (``_7d``), the window is the
set's `aggregation_window`.
"""

from __future__ import annotations

from airflow_provider_mlpipe.config import Aggregation, Pivot
from airflow_provider_mlpipe.feature_extraction.declaration import (
    EVENT_DAY,
    DeclaredAggregation,
    DeclaredExpression,
    Domain,
    Events,
    Meaning,
)

__all__ = ["SKILLS", "SKILL_DAMPING_TASKS", "USER"]

SKILLS = ("backend", "frontend", "database", "devops")
"""The skills that have a score of their own."""

SKILL_DAMPING_TASKS = 5
"""Tasks that it takes to reach half of the highest score. One finished task is luck, five are a habit: without damping
a user with one flawless task would stand above one with fifty tasks and a single bug."""

_COMPLETED = "event_type = 'task_completed'"
_BUG = "event_type = 'bug_reported'"
_PER_SKILL = Pivot(column="skill", values=list(SKILLS))
_SEED_NAME = "The seed names the feature and leaves the formula open"


def _block(description: str, unit: str, aggregation: Aggregation) -> DeclaredAggregation:
    """A building block: it can be selected, but is not among the features of a set that selects nothing."""
    return DeclaredAggregation(
        aggregation=aggregation,
        meaning=Meaning(description=description, unit=unit, range="[0, inf)", source="A block of other features."),
        offered=False,
    )


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
            source=f"{_SEED_NAME}. Damped count times quality: it grows with every task, each further one counts less, "
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
            aggregation=Aggregation(agg="count", where=_COMPLETED, windows=["7d"]),
            meaning=Meaning(
                description="Tasks that the user completed in the last 7 days.",
                unit="tasks",
                range="[0, inf)",
                formula="number of task_completed events; always 7 days, as the name says",
                source=f"{_SEED_NAME}; a count of events.",
            ),
        ),
        "window_tasks": _block("Tasks completed in the window.", "tasks", Aggregation(agg="count", where=_COMPLETED)),
        "window_bugs": _block("Bugs reported in the window.", "bugs", Aggregation(agg="count", where=_BUG)),
        "window_hours": _block(
            "Hours of the tasks completed in the window.",
            "hours",
            Aggregation(agg="sum", column="hours", where=_COMPLETED),
        ),
        "window_mean_hours": _block(
            "Mean hours of a task completed in the window.",
            "hours",
            Aggregation(agg="mean", column="hours", where=_COMPLETED),
        ),
        "window_days": _block(
            "Days with an event in the window.", "days", Aggregation(agg="distinct", column=EVENT_DAY)
        ),
        "skill_tasks": _block(
            "Tasks of a skill completed in the window.",
            "tasks",
            Aggregation(agg="count", where=_COMPLETED, pivot=_PER_SKILL),
        ),
        "skill_bugs": _block(
            "Bugs of a skill reported in the window.", "bugs", Aggregation(agg="count", where=_BUG, pivot=_PER_SKILL)
        ),
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
                source=f"{_SEED_NAME}. Finished hours are observed; hours of open tasks would be a forecast.",
            ),
        ),
        "avg_completion_hours": DeclaredExpression(
            expression="window_mean_hours",
            meaning=Meaning(
                description="Mean hours that a completed task took the user.",
                unit="hours",
                range="[0, inf)",
                formula="mean of hours over task_completed events that have hours; null without any",
                source=f"{_SEED_NAME}; an arithmetic mean.",
            ),
        ),
        "bug_rate": DeclaredExpression(
            expression="window_bugs / window_tasks",
            meaning=Meaning(
                description="Bugs reported per task completed.",
                unit="bugs per task",
                range="[0, inf)",
                formula="bug_reported events / task_completed events; null without a completed task",
                source=f"{_SEED_NAME}. A ratio of counts in one window; null rather than 0 where there is nothing to "
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
    },
)
"""What is known of a user."""
