"""The moments that features are computed as of: one for a daily run, many for a training history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, duration, instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Moments"]

_MOST = 10_000
"""More moments than this are taken for a slip of the unit."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Moments at equal distances, in UTC: a day is 24 hours, whatever clocks on walls do.

    Attributes:
        first: the first of them.
        every: the distance between two; zero for a single one.
        count: how many there are.
    """

    first: datetime
    every: timedelta = timedelta(0)
    count: int = 1

    @classmethod
    def at(cls, as_of: datetime | str) -> Moments:
        """Return one moment."""
        return cls(first=instant(as_of))

    @classmethod
    def between(cls, start: datetime | str, end: datetime | str, every: str | timedelta) -> Moments:
        """Return start, start + every ... before end.

        Raises:
            ConfigError: there is none, there are too many, or a time or length cannot be read.
        """
        start, end = instant(start), instant(end)
        step = every if isinstance(every, timedelta) else duration(every)
        if step <= timedelta(0) or step % timedelta(seconds=1):
            raise ConfigError.invalid(
                where="as_of", key="every", problem="must be longer than zero, in whole seconds", value=str(every)
            )
        count = -((start - end) // step)
        if not 0 < count <= _MOST:
            problem = f"{count} moments in one run are more than {_MOST}" if count > 0 else "holds no moment"
            raise ConfigError.invalid(
                where="as_of",
                key="as_of",
                problem=problem,
                value=f"[{start.isoformat()}, {end.isoformat()}) every {every}",
                hint="start comes before end, and end itself is not among the moments.",
            )
        return cls(first=start, every=step, count=count)

    @classmethod
    def of(cls, given: datetime | str | Moments | Mapping[str, Any]) -> Moments:
        """Return what an argument says: a moment, or ``{start, end, every}``, where every is ``1d`` unless given.

        Raises:
            ConfigError: it says something else.
        """
        if isinstance(given, Moments):
            return given
        if isinstance(given, (str, datetime)):
            return cls.at(given)
        unknown = sorted(set(given) - {"start", "end", "every"})
        if unknown or not {"start", "end"} <= set(given):
            raise ConfigError.invalid(
                where="as_of",
                key="as_of",
                problem=f"has {', '.join(map(repr, given)) or 'nothing'}, but takes start, end and every",
                hint="Write {start: 2026-01-01, end: 2026-02-01, every: 1d}.",
            )
        return cls.between(given["start"], given["end"], given.get("every") or "1d")

    def split(self, size: int) -> Iterator[Moments]:
        """Yield them in groups of at most so many, the first ones first."""
        for start in range(0, self.count, size):
            yield replace(self, first=self.first + self.every * start, count=min(size, self.count - start))

    def __iter__(self) -> Iterator[datetime]:
        """Yield them, the first one first."""
        return (self.first + self.every * number for number in range(self.count))

    @property
    def many(self) -> bool:
        """Whether this is a history, be it of one moment only."""
        return bool(self.every)

    @property
    def last(self) -> datetime:
        """The last of them."""
        return self.first + self.every * (self.count - 1)

    @property
    def interval(self) -> Interval:
        """From the first to one step after the last: what the artifact of a history is named after."""
        return Interval(start=self.first, end=self.last + self.every)

    def as_dict(self) -> dict[str, Any]:
        """Return the range for a manifest."""
        return {
            "start": self.first.isoformat(),
            "end": self.interval.end.isoformat(),
            "every_seconds": int(self.every.total_seconds()),
            "count": self.count,
        }
