"""The stretch of time that a run reads: decided by the run's interval and as_of, never by the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.conversion import timestamp
from airflow_provider_mlpipe.run import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.run import Run

__all__ = ["Window", "window_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Window:
    """[start, end) of a time column.

    Attributes:
        column: by the source's name.
        start: None for everything before the end.
        on_null: what becomes of rows without a time.
        source: the source's name, for messages.
    """

    column: str
    start: datetime | None
    end: datetime
    on_null: Literal["exclude", "include", "fail"]
    source: str = ""

    def as_list(self) -> list[str | None]:
        """Return the bounds in ISO 8601, for a manifest."""
        return [self.start.isoformat() if self.start else None, self.end.isoformat()]

    def check(self, schema: pa.Schema) -> None:
        """Refuse a cursor column that is missing or is not a time.

        Raises:
            SourceRejectedError: there is no such column, or it holds something else.
        """
        import pyarrow as pa

        if self.column not in schema.names:
            raise SourceRejectedError.missing_columns(
                source=self.source, location="its columns", missing=[self.column], available=list(schema.names)
            )
        kind = schema.field(self.column).type
        if not (pa.types.is_temporal(kind) or pa.types.is_null(kind)) or pa.types.is_time(kind):
            raise SourceRejectedError.refused(
                source=self.source,
                location=f"column {self.column!r}",
                problem=f"the cursor column must hold times, it is {kind}",
                hint="Choose another incremental.cursor_column, or convert it in a query.",
            )

    def where(self, column: str, value: Callable[[str, datetime], str]) -> str:
        """Return the window as an SQL condition.

        Args:
            column: the quoted name.
            value: writes a bound as the server takes it, given what it is called (``end``, ``start``) and the moment.
        """
        tests = [f"{column} < {value('end', self.end)}"]
        if self.start is not None:
            tests.append(f"{column} >= {value('start', self.start)}")
        nulls = "" if self.on_null == "exclude" else f" OR {column} IS NULL"
        return f"({' AND '.join(tests)}){nulls}"

    def only(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of `batch` inside the window.

        Raises:
            SourceRejectedError: rows without a time, and on_null is ``fail``.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        values = batch.column(self.column)
        if values.null_count and self.on_null == "fail":
            raise SourceRejectedError.refused(
                source=self.source,
                location=f"column {self.column!r}",
                problem=f"{values.null_count} of {batch.num_rows} rows have no time",
                hint="Set incremental.on_null to include or exclude, or repair the rows.",
            )
        if pa.types.is_null(values.type):
            return batch if self.on_null == "include" else batch.slice(0, 0)
        unit = pa.timestamp("us") if pa.types.is_date(values.type) else values.type
        values = values.cast(unit)
        if values.null_count == 0 and self._holds_all(values):
            return batch
        inside = pc.less(values, self._bound(self.end, unit))
        if self.start is not None:
            inside = pc.and_(inside, pc.greater_equal(values, self._bound(self.start, unit)))
        return batch.filter(pc.fill_null(inside, self.on_null == "include"))

    def _holds_all(self, values: pa.Array) -> bool:
        """Tell from two numbers that nothing is to be cut, as the source did it: the common case."""
        import pyarrow as pa
        import pyarrow.compute as pc

        scale = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(values.type.unit)
        bounds = pc.min_max(values.view(pa.int64())).as_py()
        if scale is None or bounds["min"] is None:
            return False
        low, high = bounds["min"] * scale, bounds["max"] * scale
        return high < _microseconds(self.end) and (self.start is None or low >= _microseconds(self.start))

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row that could not be converted is the window's: also if its time cannot be told."""
        value = row.get(self.column)
        if value is None:
            return self.on_null != "exclude"
        try:
            moment = timestamp(value, aware=True)
        except (ValueError, TypeError):
            return True
        return moment < self.end and (self.start is None or moment >= self.start)

    @staticmethod
    def _bound(moment: datetime, kind: pa.DataType) -> pa.Scalar:
        import pyarrow as pa

        exact = pa.scalar(moment.replace(tzinfo=None), pa.timestamp("us"))
        # A naive column is UTC by convention. Comparing casts both sides to the finer unit.
        return exact if kind.tz is None else exact.cast(pa.timestamp("us", "UTC"))


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def window_of(
    source: Configured[Source],
    run: Run,
    as_of: datetime | None,
    since: Callable[[datetime], datetime | None] | None = None,
) -> Window | None:
    """Return the window of an incremental source, None if it reads everything.

    Args:
        source: the configured source.
        run: who reads.
        as_of: the end; that of the run's interval if None.
        since: says where ``window: watermark`` begins, given the end.

    Raises:
        ConfigError: the source is incremental and nothing says until when, or since when.
    """
    incremental = source.model.incremental
    if incremental is None:
        return None
    interval = run.interval
    if as_of is None and interval is None:
        raise _unbounded(source, "as_of or a data interval is needed to know until when to read")
    end = instant(as_of if as_of is not None else interval.end)  # type: ignore[union-attr]
    start = None
    if incremental.length is not None:
        start = end - incremental.length
    elif incremental.window == "watermark":
        if since is None:
            raise _unbounded(source, "window: watermark needs an artifact root to keep the watermark in")
        start = since(end)
    elif incremental.window == "interval":
        if interval is None or interval.empty:
            raise _unbounded(source, "window: interval needs a data interval that has a length; this run has none")
        start = interval.start - incremental.lookback_length
    return Window(
        column=incremental.cursor_column, start=start, end=end, on_null=incremental.on_null, source=source.name
    )


def _unbounded(source: Configured[Source], problem: str) -> ConfigError:
    return ConfigError.invalid(
        where=source.where("incremental"),
        key="incremental",
        problem=problem,
        hint="Give as_of, use a timetable with data intervals, or set window: watermark or window: 1d.",
    )
