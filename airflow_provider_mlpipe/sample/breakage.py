"""Flaws put in on purpose: the harmless ones that every sample has, and those that must stop a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.sample.people import User
    from airflow_provider_mlpipe.sample.work import Event

__all__ = ["BREAKS", "Rows", "break_rows", "known_breaks", "unknown_statuses"]

BREAKS = {
    "duplicate-key": "two users appear twice, with another e-mail address",
    "null-email": "three users have no e-mail address",
    "age-200": "two users are 200 years old",
    "stale-activity": "no activity in the second half of the time",
    "missing-column": "the table users has no column age",
}
"""What `break_rows` can do, by name."""

_ODD_STATUSES = ("archived", "on_leave", "Active")


@dataclass
class Rows:
    """The rows that may be broken.

    Attributes:
        users: sorted by created_at, so that the first ones are there at every as_of.
        without: columns of ``users`` that are left out.
    """

    users: list[User]
    events: list[Event]
    without: frozenset[str] = frozenset()


def known_breaks(names: Sequence[str]) -> None:
    """Check the names.

    Raises:
        ConfigError: one of them is not in `BREAKS`.
    """
    for name in names:
        if name not in BREAKS:
            raise ConfigError.unknown_name(where="sample", kind="flaw", name=name, known=BREAKS)


def unknown_statuses(users: Sequence[User]) -> list[User]:
    """Give about one user in a hundred, at least one, a status that no rule knows."""
    number = max(1, len(users) // 100)
    odd = {position * 7 % len(users): _ODD_STATUSES[position % 3] for position in range(1, number + 1)}
    return [replace(user, status=odd.get(position, user.status)) for position, user in enumerate(users)]


def break_rows(rows: Rows, names: Sequence[str], start: datetime, end: datetime) -> None:
    """Put the named flaws into `rows`, at places that every as_of sees."""
    if "duplicate-key" in names:
        twins = [replace(user, email=f"{user.user_id}@twin.example.org") for user in rows.users[:2]]
        rows.users = sorted([*rows.users, *twins], key=lambda user: user.created_at)
    if "null-email" in names:
        rows.users = _changed(rows.users, range(2, 5), email=None)
    if "age-200" in names:
        rows.users = _changed(rows.users, range(3, 5), age=200)
    if "stale-activity" in names:
        middle = start + (end - start) / 2
        rows.events = [event for event in rows.events if event.occurred_at < middle]
    if "missing-column" in names:
        rows.without = frozenset({"age"})


def _changed(users: list[User], positions: range, **values: object) -> list[User]:
    return [
        replace(user, **values) if position in positions else user  # type: ignore[arg-type]
        for position, user in enumerate(users)
    ]
