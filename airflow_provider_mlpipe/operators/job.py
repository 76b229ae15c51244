"""One execution of an operator: from Airflow's context to what a stage takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.lineage.trail import Trail
from airflow_provider_mlpipe.run import Interval, Run, instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_mlpipe.artifacts import Artifact, S3Options, Storage
    from airflow_provider_mlpipe.engines import DuckDBSettings

    ArtifactUri = str | XComArg | Sequence[str]
    """An artifact's address, the output of the task that will return it, or the addresses that mapped tasks return:
    what these published counts as one artifact."""

__all__ = ["Job", "as_of_of", "run_of"]

log = logging.getLogger(__name__)

_NOTHING = {"", "None", "null"}
"""What a template makes of a value that is not there."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every stage needs to know when a task executes.

    Attributes:
        run: the identity and the interval, from which an artifact's place follows.
        as_of: the moment that the run is about, in UTC.
        root: the artifact root.
        engine: what the embedded engine may take.
        context: Airflow's context of the task.
        trail: what is read and written, for OpenLineage.
        measured: stage and dataset of the metrics that were sent.
    """

    run: Run
    as_of: datetime
    root: Storage
    engine: DuckDBSettings
    context: Context
    trail: Trail = field(default_factory=Trail)
    measured: set[tuple[str, str]] = field(default_factory=set)

    @property
    def options(self) -> S3Options:
        """How to reach the artifact root if it is a bucket."""
        return self.root.options

    def open(self, uri: ArtifactUri) -> Artifact:
        """Open an artifact that an earlier task returned; Airflow has put the URI in place of an XComArg by now."""
        from airflow_provider_mlpipe.artifacts import Artifact

        if not isinstance(uri, str) and isinstance(uri, Iterable):  # Airflow's lazy sequence is no Sequence
            return self._gathered(uri)
        return self._read(Artifact.open(str(uri), self.options))

    def adopt(self, uri: ArtifactUri, dataset: str) -> Artifact:
        """Open an artifact, or make one of files that no task published; `dataset` is what it is called then."""
        from airflow_provider_mlpipe.artifacts import Artifact
        from airflow_provider_mlpipe.errors import ArtifactNotFoundError
        from airflow_provider_mlpipe.ingestion import adopt

        if not isinstance(uri, str) and isinstance(uri, Iterable):
            return self._gathered(uri)
        try:
            return self._read(Artifact.open(str(uri), self.options))
        except ArtifactNotFoundError:
            if not dataset:
                raise
        return self._read(adopt(str(uri), dataset=dataset, root=self.root, run=self.run))

    def _read(self, artifact: Artifact) -> Artifact:
        self.trail.reads(artifact)
        return artifact

    def _gathered(self, uris: Iterable[str | None]) -> Artifact:
        """Return what mapped tasks published, as one; those that were skipped returned nothing."""
        from airflow_provider_mlpipe.artifacts import Artifact
        from airflow_provider_mlpipe.ingestion import gather

        parts = [Artifact.open(str(uri), self.options) for uri in uris if uri is not None]
        return self._read(gather(parts, root=self.root, run=self.run))

    def push(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Push a small value to XCom under a key of its own."""
        self.context["ti"].xcom_push(key=key, value=value)

    def push_metrics(self, metrics: Mapping[str, Any], *, dataset: str) -> None:
        """Push what the stage measured, by the names of the metric registry, as ``metrics``, and emit it."""
        self.push("metrics", dict(metrics))
        self.emit_metrics(metrics, dataset=dataset)

    def emit_metrics(self, metrics: Mapping[str, Any], *, dataset: str) -> None:
        """Send what the stage measured of a dataset to where Airflow sends its own metrics."""
        from airflow_provider_mlpipe.operators import telemetry

        stage = telemetry.stage_of(metrics)
        self.measured.add((stage, dataset))
        telemetry.emit(metrics, stage=stage, dataset=dataset, run=self.run)

    def emit_success(self) -> None:
        """Say of all that metrics were sent of when this was, and what it was about; nothing says it of a failure."""
        from airflow_provider_mlpipe.operators import telemetry

        success = {"last_success_timestamp": int(time.time()), "last_success_as_of": int(self.as_of.timestamp())}
        for stage, dataset in sorted(self.measured):
            telemetry.emit(success, stage=stage, dataset=dataset, run=self.run)


def run_of(context: Context) -> Run:
    """Return who runs, and the interval that the run covers, from Airflow's context."""
    ti = context["ti"]
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    return Run(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        interval=Interval(start=start, end=end) if start and end else None,
        partition_key=str(context.get("partition_key") or ""),
    )


def as_of_of(context: Context, run: Run, given: str | datetime | None) -> datetime:
    """Return the moment that the run is about.

    That is `given`, else the end of the data interval, else the date of the run's partition. A run without all that, or
    with an interval of no length (what Airflow 3 makes of a bare cron string such as ``@daily``), is about its logical
    date, or, triggered without one, about the moment it was triggered for; this is said in the log.

    Raises:
        ConfigError: `given` is not a time.
    """
    if given is not None and str(given).strip() not in _NOTHING:
        return instant(given)
    if run.interval is not None and not run.interval.empty:
        return run.interval.end
    partition_date: Any = context.get("partition_date")
    if partition_date:
        log.info("This run is about partition %s (as_of=%s).", run.partition_key, instant(partition_date).isoformat())
        return instant(partition_date)
    logical_date = context.get("logical_date")
    moment = instant(logical_date or context["dag_run"].run_after)
    log.info(
        "This run has %s, so it is about its %s (as_of=%s) and its artifacts lie under %s. "
        "For windows that follow one another, schedule the Dag with CronDataIntervalTimetable.",
        "no data interval" if run.interval is None else "a data interval of no length",
        "logical date" if logical_date else "run_after",
        moment.isoformat(),
        run.partition,
    )
    return moment
