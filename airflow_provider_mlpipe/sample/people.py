"""Who works: projects, teams and users, with the habits that decide when and how much they do."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

__all__ = ["SKILLS", "Person", "Project", "Team", "User", "people", "projects", "teams"]

SKILLS = ("backend", "frontend", "database", "devops", "docs")

_PROJECTS = ("atlas", "borealis", "cobalt", "delta")
_ODD_TEAMS = {("borealis", "frontend"): "borealis-oberfläche", ("delta", "docs"): "delta-документация"}
_GIVEN = (
    "Ada", "Amélie", "Björn", "Chidi", "Dalia", "Émile", "Fatima", "Grace", "Hiroshi", "Ingrid", "João", "Katarzyna",
    "Linus", "Mei", "Noël", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Thandiwe", "Ulrike", "Víctor", "Wanjiru",
    "Xin", "Yusuf", "Zoë",
)  # fmt: skip
_FAMILY = (
    "Almeida", "Bauer", "Castillo", "Dubois", "Eriksen", "Fischer", "García", "Hansen", "Ito", "Jansen", "Kowalska",
    "Lindqvist", "Müller", "Nakamura", "Okafor", "Petrov", "Quispe", "Rossi", "Şahin", "Tanaka", "Umar", "Varga",
    "Weiß", "Yüksel", "Zhou",
)  # fmt: skip
_OFFSETS = (-8, -5, 0, 1, 1, 2, 5.5, 9)
_MAILBOXES = ("example.org", "example.com", "mail.example.net")
_JOINS_PER_DAY = 2
"""A morning and an afternoon join: never 24 hours without one."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A row of ``projects``."""

    project_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Team:
    """A row of ``teams``."""

    team_id: str
    project_id: str
    skill: str


@dataclass(frozen=True, kw_only=True)
class User:
    """A row of ``users``. The key and the address may be absent or twice once the data is broken on purpose."""

    user_id: str
    email: str | None
    age: int | None
    status: str
    team_id: str | None
    weekly_capacity_hours: float | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user and what no table says: how active, in which time zone, good at what.

    Attributes:
        weight: share of the work, relative to others; 0 for a user who never does anything.
        offset: hours ahead of UTC.
    """

    user: User
    weight: float
    offset: float
    skill: str
    project_id: str


def projects(start: datetime) -> list[Project]:
    """Return the projects, all older than the history."""
    return [
        Project(project_id=name, created_at=start - timedelta(days=200 + 190 * age, hours=-9))
        for age, name in enumerate(_PROJECTS)
    ]


def teams() -> list[Team]:
    """Return one team per project and skill, two of them with names outside ASCII."""
    return [
        Team(team_id=_ODD_TEAMS.get((project, skill), f"{project}-{skill}"), project_id=project, skill=skill)
        for project in _PROJECTS
        for skill in SKILLS
        # A small project has no database team, so that not every pair of project and skill exists.
        if (project, skill) != ("delta", "database")
    ]


def people(rng: Random, number: int, start: datetime, end: datetime) -> list[Person]:
    """Return `number` people in the order in which they joined.

    At least a third joined before `start`. The others join twice a day while there are enough of them (three users
    per day of history), so that the newest user is never older than 24 hours.
    """
    joined = _joins(rng, number, start, end)
    ranks = list(range(number))
    rng.shuffle(ranks)
    groups = teams()
    taken: set[str] = set()
    found = []
    for position, moment in enumerate(joined):
        team = rng.choice(groups)
        # Zipf's law: few do most. The first user always works, so that a sample of one has events.
        idle = position > 0 and rng.random() < 0.08
        user = User(
            user_id=f"u_{position + 1:04d}",
            email=_address(rng, taken),
            age=None if rng.random() < 0.05 else min(71, max(18, round(rng.gauss(35, 9)))),
            status=rng.choices(("active", "inactive", "pending"), (84, 10, 6))[0],
            team_id=None if rng.random() < 0.04 else team.team_id,
            weekly_capacity_hours=None if rng.random() < 0.03 else rng.choice((20.0, 32.0, 40.0, 40.0, 40.0)),
            created_at=moment,
        )
        weight = 0.0 if idle else 1 / (ranks[position] + 3)
        person = Person(
            user=user, weight=weight, offset=rng.choice(_OFFSETS), skill=team.skill, project_id=team.project_id
        )
        found.append(person)
    return found


def _joins(rng: Random, number: int, start: datetime, end: datetime) -> list[datetime]:
    days = (end - start).days
    slots = days * _JOINS_PER_DAY
    during = min(slots, number - (number + 2) // 3)
    moments = [start - timedelta(days=1 + 700 * rng.random() ** 2) for _ in range(number - during)]
    for join in range(during):
        # Spread over all slots, the last one included.
        slot = (join + 1) * slots // during - 1
        day, half = divmod(slot, _JOINS_PER_DAY)
        hour = (7, 14)[half] + 4 * rng.random()
        moments.append(start + timedelta(days=day, hours=hour))
    return sorted(moment.replace(microsecond=0) for moment in moments)


def _address(rng: Random, taken: set[str]) -> str:
    local = f"{rng.choice(_GIVEN)}.{rng.choice(_FAMILY)}".lower()
    if rng.random() < 0.7:  # most systems ask for ASCII, some do not
        local = unicodedata.normalize("NFKD", local.replace("ø", "o").replace("ß", "ss"))
        local = local.encode("ascii", "ignore").decode()
    address = f"{local}@{rng.choice(_MAILBOXES)}"
    number = 2
    while address in taken:
        address = f"{local}{number}@{address.partition('@')[2]}"
        number += 1
    taken.add(address)
    return address
