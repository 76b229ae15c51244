"""Features of tasks: what is known of each at a moment, and what comparable ones took.

Inputs: ``tasks(task_id, task_type, priority, skill, dependency_count, estimated_hours, created_at, completed_at)`` and
``activity(task_id, event_type, skill, hours, occurred_at)``. A task is there from its creation on. Whether it is done
is told by completed_at, which is null until it has passed; a status column, which knows the present only, is not read.
"""

from __future__ import annotations

from airflow_provider_mlpipe.config import Pivot
from airflow_provider_mlpipe.feature_extraction.catalog.shorthand import COMPLETED, OPEN_NAME, SKILLS, block, feature
from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed, Domain, Events

__all__ = ["PLANNED_DAYS", "PRIORITIES", "TASK"]

PRIORITIES = {"low": 1, "medium": 2, "high": 3, "critical": 4}
"""The words for a priority, and their levels."""

PLANNED_DAYS = "(estimated_hours * 7 / 40)"
"""How long a task may take, in days: its estimated hours at 40 a week. The inputs have no due dates."""

_OWN = (("task_id", "task_id"),)
_LIKE = Borrowed(role="tasks", own="task_id", other="task_id", columns=("task_type", "priority"))
_ALL = ["all"]

TASK = Domain(
    entity="task_id",
    spine="tasks",
    since="created_at",
    events="activity",
    sources={
        "activity": Events(role="activity", timestamp="occurred_at", keys=_OWN),
        "comparable": Events(
            role="activity",
            timestamp="occurred_at",
            keys=(("task_type", "task_type"), ("priority", "priority")),
            borrowed=(_LIKE,),
        ),
        "same_type": Events(
            role="activity", timestamp="occurred_at", keys=(("task_type", "task_type"),), borrowed=(_LIKE,)
        ),
    },
    aggregations={
        "touched_skills": block("Different skills of its events.", "skills", "distinct", column="skill", windows=_ALL),
        "skill_events": block(
            "Events of a skill.",
            "events",
            "count",
            windows=_ALL,
            pivot=Pivot(column="skill", values=list(SKILLS)),
        ),
        "comparable_hours": block(
            "Mean hours of completed tasks of its type and priority.",
            "hours",
            "mean",
            column="hours",
            where=COMPLETED,
            windows=_ALL,
            source="comparable",
        ),
        "same_type_hours": block(
            "Mean hours of completed tasks of its type.",
            "hours",
            "mean",
            column="hours",
            where=COMPLETED,
            windows=_ALL,
            source="same_type",
        ),
    },
    derived={
        "complexity_score": feature(
            "10 * (0.5 * coalesce(estimated_hours / (estimated_hours + 8), 0) + "
            "0.3 * coalesce(dependency_count / (dependency_count + 2), 0) + "
            "0.2 * required_skills / (required_skills + 2))",
            description="How much there is to the task: work, dependencies, skills.",
            unit="score",
            range="[0, 10)",
            formula="10 * (0.5 * e/(e+8) + 0.3 * d/(d+2) + 0.2 * s/(s+2)); e: estimated_hours, d: dependency_count, "
            "s: required_skills; a part without a value counts 0",
            source=f"{OPEN_NAME}. Each part grows and saturates: a day of work, two dependencies, two skills are half "
            "of what that part can add.",
        ),
        "priority_level": feature(
            "case priority " + " ".join(f"when '{word}' then {level}" for word, level in PRIORITIES.items()) + " end",
            description="The priority as a number.",
            unit="level",
            range="{1, 2, 3, 4}",
            formula=", ".join(f"{word} {level}" for word, level in PRIORITIES.items()) + "; null for any other word",
            source=OPEN_NAME + ". The order of the words; the distances are a convention.",
        ),
        "effort_estimate_hours": feature(
            "coalesce(comparable_hours, same_type_hours)",
            description="Hours that comparable tasks took that were finished by then.",
            unit="hours",
            range="[0, inf)",
            formula="mean hours of the task_completed events before as_of of tasks with the same task_type and "
            "priority; without one, of the same task_type; null without that either. The task's own event counts "
            "once it is there",
            source=OPEN_NAME + ". What comparable work took is observed, and at any past day is what was known then.",
        ),
        "required_skills": feature(
            "greatest(touched_skills, case when skill is not null then 1 else 0 end)",
            description="How many skills the task has turned out to need.",
            unit="skills",
            range="[0, inf)",
            formula="number of different skills of the task's events before as_of; at least 1 if the task names one",
            source=OPEN_NAME + ".",
        ),
        **{
            f"requires_{skill}": feature(
                f"case when skill = '{skill}' or skill_events_{skill} > 0 then 1 else 0 end",
                description=f"Whether the task needs {skill} work.",
                unit="yes or no",
                range="{0, 1}",
                formula=f"1 if the task's skill is {skill} or an event of the task before as_of has that skill",
                source=OPEN_NAME + " (required skills).",
            )
            for skill in SKILLS
        },
        "dependency_count": feature(
            "dependency_count",
            description="Tasks that this one depends on.",
            unit="tasks",
            range="[0, inf)",
            formula="dependency_count of tasks, as it is given",
            source="The seed's own column.",
        ),
        "deadline_urgency": feature(
            "case when completed_at is not null then 0 "
            f"when estimated_hours > 0 then least(1, days_since(created_at) / {PLANNED_DAYS}) end",
            description="How much of the time that the task should take has passed.",
            unit="ratio",
            range="[0, 1]",
            formula="0 if completed before as_of; else min(1, days since created_at / (estimated_hours / 40 * 7)); "
            "null without estimated_hours",
            source=OPEN_NAME + ". The inputs have no due dates, so a task is due when its estimate, worked on at 40 "
            "hours a week, is used up.",
        ),
    },
)
"""What is known of a task."""
