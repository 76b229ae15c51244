"""Putting the sample together."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.sample import files
from airflow_provider_mlpipe.sample.breakage import Rows, break_rows, known_breaks, unknown_statuses
from airflow_provider_mlpipe.sample.people import people, projects, teams
from airflow_provider_mlpipe.sample.work import work

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Sample", "write"]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was written, and where.

    Attributes:
        database: the SQLite file.
        pages: the API's answers, in order.
        events: gzipped CSV with the rows of ``activity``.
        lines: the tasks as JSON lines.
        parquet: the tasks as parquet.
        rows: number of rows by table.
        start: the first moment of the history.
        end: the first moment after it; any as_of from ``start + 24h`` to here finds fresh data.
    """

    folder: Path
    database: Path
    pages: tuple[Path, ...]
    events: Path
    lines: Path
    parquet: Path
    rows: dict[str, int]
    start: datetime
    end: datetime

    @property
    def url(self) -> str:
        """The database's SQLAlchemy URL."""
        return f"sqlite:///{self.database.absolute()}"


def write(
    folder: str | Path,
    *,
    seed: int = 7,
    users: int = 300,
    days: int = 60,
    until: date = date(2026, 1, 31),
    broken: Sequence[str] = (),
) -> Sample:
    """Write a project tracker's data into `folder`; the same arguments give the same bytes.

    Args:
        folder: made if absent; files of an earlier sample are replaced.
        seed: what to draw from.
        users: how many there are at the end. With at least three per day of history, somebody joins every 24 hours.
        days: length of the history.
        until: its last day, included.
        broken: flaws that must stop a pipeline, names of `BREAKS`.

    Raises:
        ConfigError: an unknown flaw, or fewer than 5 users or 2 days.
    """
    known_breaks(broken)
    for name, value, least in (("users", users, 5), ("days", days, 2)):
        if value < least:
            raise ConfigError.invalid(where="sample", key=name, problem=f"at least {least}", value=str(value))
    end = datetime.combine(until, time(), tzinfo=UTC) + timedelta(days=1)
    start = end - timedelta(days=days)
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    tables, without = _tables(rng, users, start, end, broken)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    database, csv = place / "tracker.db", place / "events.csv.gz"
    files.write_database(database, tables, without={"users": without})
    files.write_events(csv, tables["activity"])
    pages = files.write_api(place / "api", tables["tasks"], rng)
    lines, parquet = files.write_tasks(place, tables["tasks"])
    return Sample(
        folder=place, database=database, pages=tuple(pages), events=csv, lines=lines, parquet=parquet,
        rows={name: len(found) for name, found in tables.items()}, start=start, end=end,
    )  # fmt: skip


def _tables(
    rng: random.Random, users: int, start: datetime, end: datetime, broken: Sequence[str]
) -> tuple[dict[str, Sequence[Any]], frozenset[str]]:
    """Return the rows of each table, and the columns of ``users`` that are left out."""
    crew = people(rng, users, start, end)
    tasks, events = work(rng, crew, start, end)
    rows = Rows(users=unknown_statuses([person.user for person in crew]), events=events)
    break_rows(rows, broken, start, end)
    tables: dict[str, Sequence[Any]] = {
        "users": rows.users,
        "activity": rows.events,
        "tasks": tasks,
        "teams": teams(),
        "projects": projects(start),
    }
    return tables, rows.without
