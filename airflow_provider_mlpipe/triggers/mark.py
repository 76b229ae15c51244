"""A watermark that a trigger was told: where it is kept can be read by a worker only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Mark"]


@dataclass(frozen=True)
class Mark:
    """A watermark that stays where it is."""

    moment: datetime

    @classmethod
    def of(cls, since: str | None) -> Mark | None:
        """Return the watermark; None if it stands where a trigger can read it."""
        return None if since is None else cls(instant(since))

    def read(self) -> datetime | None:
        """Return the moment."""
        return self.moment

    def write(self, moment: datetime) -> None:
        """Do nothing: a look moves no watermark."""
