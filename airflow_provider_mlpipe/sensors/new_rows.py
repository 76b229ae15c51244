"""`NewRowsSensor`: wait until a database has rows that no run has read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.sensors.source import SourceSensor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.ingestion.arrival import Arrival, Visit
    from airflow_provider_mlpipe.triggers.polling import PollingTrigger

__all__ = ["NewRowsSensor"]


class NewRowsSensor(SourceSensor):
    """Wait until a ``database`` source has rows that `SourceIngestOperator` would read, and that no run has read.

    The source must be ``incremental``. A look is one query for the latest time in the cursor column: beyond the
    watermark with ``window: watermark``, else inside the window of the run. An index on that column makes it cheap; a
    `lookback` does not count, as its rows were there before. Rows without a time do not count either.

    A run reads until its as_of, so a row that is later than that does not count, unless `beyond_as_of` is set. Then
    pass ``return_value["until"]`` on as the as_of of what reads it.

    XCom: ``return_value``: ``source``, ``location``, ``since`` (where new begins), ``newest`` (the latest time),
    ``until`` (just after it).

    Example::

        orders = {"source": "orders", "config": "ingestion_config.yaml"}
        arrived = NewRowsSensor(task_id="arrived", beyond_as_of=True, deferrable=True, **orders)
        arrived >> SourceIngestOperator(task_id="ingest", as_of="{{ ti.xcom_pull('arrived')['until'] }}", **orders)

    Args:
        beyond_as_of: rows at or after the run's as_of count, too. For runs that no interval bounds: what comes while
            they wait comes after they began.
        kwargs: see `SourceSensor`. If the watermark is kept in an asset's state (Airflow 3.3), because the ingesting
            task has that asset in its `outlets`, give the asset in `inlets`.
    """

    awaited = "new rows"

    def __init__(self, *, beyond_as_of: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - the base's arguments
        super().__init__(**kwargs)
        self.beyond_as_of = beyond_as_of

    def look(self, context: Context, visit: Visit) -> Arrival:
        """Ask the database for the newest row."""
        from airflow_provider_mlpipe.ingestion.arrival import new_rows
        from airflow_provider_mlpipe.triggers.mark import Mark

        return new_rows(visit, Mark.of(self._since(context)), beyond_as_of=self.beyond_as_of)

    def trigger(self, context: Context, deadline: float) -> PollingTrigger:
        """Return what looks in the triggerer."""
        from airflow_provider_mlpipe.triggers.sources import NewRowsTrigger

        return NewRowsTrigger(
            **vars(self.errand(context)),
            **self.polling(deadline),
            since=self._since(context),
            beyond_as_of=self.beyond_as_of,
        )

    def still_new(self, context: Context, facts: Mapping[str, Any]) -> bool:
        """Return whether no other run has read the newest row: the triggerer cannot see an asset's state."""
        from airflow_provider_mlpipe.run import instant

        since = self._since(context)
        return since is None or self._newest(facts) >= instant(since)

    @staticmethod
    def _newest(facts: Mapping[str, Any]) -> datetime:
        from airflow_provider_mlpipe.run import instant

        return instant(str(facts["newest"]))

    def _since(self, context: Context) -> str | None:
        """Return the watermark in the state of an asset; None if there is none, and a file keeps it."""
        from airflow_provider_mlpipe.operators.ingest import asset_state, watermark_key
        from airflow_provider_mlpipe.operators.job import run_of

        state = asset_state(context, [*self.inlets, *self.outlets])
        found = None if state is None else state.get(watermark_key(self.source, run_of(context)))
        return None if found is None else str(found)
