"""When a run is about, and who runs it: the time and the identity that artifacts are named after."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_provider_mlpipe.errors import ConfigError

__all__ = ["Interval", "Run", "duration", "instant"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_STAMP = "%Y%m%dT%H%M%SZ"


def instant(value: str | date | datetime) -> datetime:
    """Return `value` as an aware UTC datetime; a naive value is taken as UTC.

    >>> instant("2026-01-15")
    datetime.datetime(2026, 1, 15, 0, 0, tzinfo=datetime.timezone.utc)

    Raises:
        ConfigError: the text is not an ISO 8601 date or time.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ConfigError.invalid(
                where="as_of",
                key="time",
                problem="not an ISO 8601 date or time",
                value=repr(value),
                hint="Write 2026-01-15 or 2026-01-15T02:00:00Z.",
            ) from error
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    # Airflow hands out pendulum datetimes: rebuild them as plain ones so that they pickle and compare as such.
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.combine(value.date(), value.time(), tzinfo=UTC)


def duration(text: str) -> timedelta:
    """Return the length of time that ``7d``, ``24h``, ``30m``, ``2w`` or ``90s`` says.

    >>> duration("7d")
    datetime.timedelta(days=7)

    Raises:
        ConfigError: the text is none of these.
    """
    match = re.fullmatch(r"\s*(\d+)\s*([smhdw])\s*", text)
    if match is None:
        raise ConfigError.invalid(
            where="duration",
            key="length",
            problem="not a number with one of the units s, m, h, d, w",
            value=repr(text),
            hint="Write 7d, 24h or 30m.",
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A half-open stretch of time [start, end), in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", instant(self.start))
        object.__setattr__(self, "end", instant(self.end))
        if self.end < self.start:
            raise ConfigError.invalid(
                where="interval", key="end", problem=f"lies before start {self.start.isoformat()}",
                value=self.end.isoformat(),
            )  # fmt: skip

    @property
    def empty(self) -> bool:
        """Whether it has no length, as the intervals of Airflow's cron trigger timetables."""
        return self.start == self.end

    @property
    def partition(self) -> str:
        """The folder name of artifacts of this interval."""
        return f"{self.start.strftime(_STAMP)}-{self.end.strftime(_STAMP)}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Who computes: recorded in manifests, and the source of an artifact's place and attempt name.

    Outside Airflow the defaults stand. `interval` is None when nothing bounds the run in time. `partition_key` is what
    a partitioned Dag (Airflow 3.3) calls the part of the data that the run is about.
    """

    dag_id: str = "local"
    task_id: str = "local"
    run_id: str = "manual"
    map_index: int = -1
    try_number: int = 1
    interval: Interval | None = None
    partition_key: str = ""

    @property
    def partition(self) -> str:
        """The folder that this run's artifacts go to: the same for every try, clear and backfill of one interval."""
        if self.interval is not None and not self.interval.empty:
            name = self.interval.partition
        elif self.partition_key:
            name = "key-" + _plain(self.partition_key)
        else:
            name = "run-" + re.sub(r"[^\w.\-+]", "_", self.run_id)
        return name if self.map_index < 0 else f"{name}-m{self.map_index:04d}"

    def as_dict(self) -> dict[str, Any]:
        """Return the run as JSON-ready values, for a manifest."""
        return {
            "dag_id": self.dag_id,
            "task_id": self.task_id,
            "run_id": self.run_id,
            "map_index": self.map_index,
            "try_number": self.try_number,
            "interval": None
            if self.interval is None
            else [self.interval.start.isoformat(), self.interval.end.isoformat()],
        } | ({"partition_key": self.partition_key} if self.partition_key else {})


def _plain(key: str) -> str:
    """Return a key as part of a folder's name; one that has to be spelled differently gets a digest of itself.

    >>> _plain("2026-01-13T00:00:00"), _plain("eu"), _plain("eu/7")
    ('2026-01-13T000000', 'eu', 'eu_7-dad3f9b9')
    """
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", key):
        return key.replace(":", "")
    plain = re.sub(r"[^\w.\-+]", "_", key, flags=re.ASCII)
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return plain if plain == key else f"{plain[:80]}-{digest}"
