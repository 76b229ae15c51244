"""What a computation extends over: one moment, or many at once, and all entities or a chunk of them.

For one moment, the ends of windows are constants, which engines compare row groups with. For many, every event is
joined to each moment whose windows it lies in, and the moment becomes one more key; the aggregations are the same. So
the inputs are read once, however many moments there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.compile.chunks import chunked
from airflow_provider_mlpipe.feature_extraction.compile.terms import bound, moment
from airflow_provider_mlpipe.feature_extraction.moments import Moments

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
    from airflow_provider_mlpipe.feature_extraction.plan import Plan

__all__ = ["MOMENT", "Extent"]

MOMENT = "km"
"""The internal name of a row's moment; it begins like a key, as it is one."""

_NUMBER = "moment_number"


class Extent:
    """Moments and entities of one computation.

    Args:
        plan: tells the delay.
        as_of: one moment or many.
        chunk: the entities; all if None.
    """

    def __init__(self, plan: Plan, as_of: datetime | Moments, chunk: Chunk | None = None) -> None:
        self.moments = Moments.of(as_of)
        self.chunk = chunk
        self._delay = plan.delay

    @property
    def many(self) -> bool:
        """Whether rows have a moment each."""
        return self.moments.many

    @property
    def keys(self) -> list[str]:
        """The key columns that say which moment a row belongs to."""
        return [MOMENT] if self.many else []

    def outer(self, length: timedelta) -> tuple[datetime, datetime]:
        """Return [start, end) of all windows of a length together."""
        return self.moments.first - self._delay - length, self.moments.last - self._delay

    def as_of(self, table: Any) -> Any:  # noqa: ANN401 - ibis has no types
        """Return the moment of a table's rows."""
        return table[MOMENT] if self.many else moment(self.moments.last)

    def end(self, table: Any, time: str | None = None) -> Any:  # noqa: ANN401
        """Return where windows of a table's rows end, to be compared with `clean` times or with the column `time`."""
        return self._before(table, self._delay, time)

    def start(self, table: Any, length: timedelta, time: str | None = None) -> Any:  # noqa: ANN401
        """Return where a window of a length begins, to be compared like `end`."""
        return self._before(table, self._delay + length, time)

    def entities(self, table: Any, key: str) -> Any:  # noqa: ANN401
        """Return the rows of the chunk's entities."""
        return chunked(table, key, self.chunk)

    def spread(self, table: Any) -> Any:  # noqa: ANN401
        """Return every row once per moment."""
        import ibis

        return self._at(table, ibis.literal(0, "int64"), ibis.literal(self.moments.count, "int64"))

    def watched(self, rows: Any, time: str, longest: timedelta) -> Any:  # noqa: ANN401
        """Return every event once per moment whose longest window it lies in."""
        import ibis

        if not self.many:
            return rows
        every = int(self.moments.every.total_seconds())
        first, _ = self.outer(longest)
        # In whole seconds, and therefore a moment too many at either end: what is too much goes afterwards.
        since = rows[time].truncate("s").epoch_seconds().cast("int64") - int(first.timestamp())
        length = int(longest.total_seconds())
        low = ((since - length - 2) / float(every)).floor().cast("int64")
        high = ((since + 2) / float(every)).floor().cast("int64") + 1
        low, high = ibis.greatest(low, 0), ibis.least(high, self.moments.count)
        found = self._at(rows, low, high)
        return found.filter(found[time] < self.end(found), found[time] >= self.start(found, longest))

    def _at(self, table: Any, low: Any, high: Any) -> Any:  # noqa: ANN401
        """Return every row once per moment number in [low, high)."""
        import ibis

        if not self.many:
            return table
        numbered = table.mutate(**{_NUMBER: ibis.range(low, high).unnest()})
        seconds = (numbered[_NUMBER] * int(self.moments.every.total_seconds())).as_interval("s")
        return numbered.mutate(**{MOMENT: moment(self.moments.first) + seconds}).drop(_NUMBER)

    def _before(self, table: Any, length: timedelta, time: str | None = None) -> Any:  # noqa: ANN401
        import ibis

        if not self.many:
            when = self.moments.last - length
            return moment(when) if time is None else bound(when, table[time])
        return table[MOMENT] - ibis.interval(seconds=int(length.total_seconds()))
