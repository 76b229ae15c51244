"""Features of teams, from their members and what those did.

Inputs: ``teams(team_id)``, ``users(user_id, team_id, created_at)``, ``activity(user_id, task_id, event_type, skill,
hours, occurred_at)``. Who belongs to which team has no history in the inputs: it is taken as it is, from the day on
which a user was created. Work counts for the team that the user is in.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.catalog.shorthand import COMPLETED, OPEN_NAME, block, feature
from airflow_provider_mlpipe.feature_extraction.declaration import Borrowed, DeclaredExpression, Domain, Events

__all__ = ["TEAM"]

_KEY = (("team_id", "team_id"),)
_JUNIOR, _SENIOR = 365, 3 * 365
"""Days of tenure at which a member is no longer a junior, and becomes a senior."""


def _experience(name: str, expression: str, days: str) -> tuple[str, DeclaredExpression]:
    return f"experience_{name}", feature(
        expression,
        description=f"Members who have been there {days} days.",
        unit="users",
        range="[0, team_size]",
        formula=f"number of users of the team whose created_at lies {days} days before as_of",
        source=OPEN_NAME + " (experience distribution). The three add up to team_size.",
    )


TEAM = Domain(
    entity="team_id",
    spine="teams",
    events="activity",
    sources={
        "activity": Events(
            role="activity",
            timestamp="occurred_at",
            keys=_KEY,
            borrowed=(Borrowed(role="users", own="user_id", other="user_id", columns=("team_id",)),),
        ),
        "members": Events(role="users", timestamp="created_at", keys=_KEY),
    },
    aggregations={
        "joined": block(
            "Members who joined in a time.",
            "users",
            "count",
            windows=[f"{_JUNIOR}d", f"{_SENIOR}d", "all"],
            source="members",
        ),
        "worked_skills": block(
            "Skills of completed tasks, as many as if all were equally common.",
            "skills",
            "effective",
            column="skill",
            where=COMPLETED,
        ),
        "carrying": block(
            "Members who carry the work, as many as if all carried equally much.",
            "users",
            "effective",
            column="user_id",
            weight="hours",
            where=COMPLETED,
        ),
        "touched": block("Tasks with an event of a member.", "tasks", "distinct", column="task_id"),
        "common": block(
            "Tasks with events of two members.", "tasks", "shared", column="task_id", among="user_id"
        ),
    },
    derived={
        "team_size": feature(
            "joined_all",
            description="Members of the team.",
            unit="users",
            range="[0, inf)",
            formula="number of users of the team with created_at before as_of",
            source=OPEN_NAME + ". Membership has no history in the inputs: it is taken as it is.",
        ),
        "skill_diversity": feature(
            "worked_skills",
            description="How many skills the team's work is spread over.",
            unit="skills",
            range="[1, inf)",
            formula="1 / sum over skills of (share of the members' task_completed events in the window)²; null without "
            "one",
            source=OPEN_NAME + ". The inverse Simpson index: 1 if all is one skill, k if k skills are equally common; "
            "a rare skill adds little, which a mere count of skills would hide.",
        ),
        **dict([
            _experience("junior", f"joined_{_JUNIOR}d", f"up to {_JUNIOR}"),
            _experience("mid", f"joined_{_SENIOR}d - joined_{_JUNIOR}d", f"more than {_JUNIOR}, up to {_SENIOR}"),
            _experience("senior", f"joined_all - joined_{_SENIOR}d", f"more than {_SENIOR}"),
        ]),
        "workload_balance": feature(
            "case when carrying / joined_all >= 0 then least(1, carrying / joined_all) end",
            description="How evenly the finished hours are spread over the members.",
            unit="ratio",
            range="(0, 1]",
            formula="min(1, (sum of h)² / (team_size * sum of h²)); h: hours of each member's task_completed events in "
            "the window; null without hours or members",
            source=OPEN_NAME + ". Jain's fairness index (Jain, Chiu, Hawe 1984): 1 if all did equally much, 1/n if one "
            "of n did everything.",
        ),
        "collaboration_score": feature(
            "common / touched",
            description="Share of the team's tasks on which more than one member worked.",
            unit="ratio",
            range="[0, 1]",
            formula="tasks on which at least two members have events in the window / tasks on which one has; null "
            "without one",
            source=OPEN_NAME + ".",
        ),
    },
)  # fmt: skip
"""What is known of a team."""
