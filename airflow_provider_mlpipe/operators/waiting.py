"""Waiting for a source before it is read, in the triggerer: the `deferrable` of `SourceIngestOperator`."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_mlpipe.errors import ConfigError, MlpipeError, Terminal
from airflow_provider_mlpipe.operators.base import StageOperator, airflow_failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.config import ConfigLike, Configured, Source
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.ingestion.arrival import Arrival
    from airflow_provider_mlpipe.operators.job import Job
    from airflow_provider_mlpipe.triggers.sources import SourceTrigger

__all__ = ["AFTER_DEADLINE", "WaitsForSource", "seconds"]

AFTER_DEADLINE = 120.0
"""Seconds after its deadline in which Airflow ends a deferred task itself: only if the triggerer is down."""


class WaitsForSource(StageOperator):
    """A task that may wait for its source before it reads it.

    What is waited for depends on the source's type. An ``api`` is there when it answers the first request: refused,
    timed out, 408, 425, 429 and 5xx are waited for, any other failure ends the task. A ``file`` source is there when
    there are files that the run would read: any that match, or with ``only_new`` some that no run has read. Sources of
    other types are read at once: `NewRowsSensor` waits for rows of a database, Kafka's trigger for messages.

    The first look is taken by the worker. If nothing is there the task is deferred, and holds no worker meanwhile.

    Args:
        deferrable: wait in the triggerer. ``[operators] default_deferrable`` is not heeded: without this the task does
            not wait at all, but takes what is there.
        poke_interval: seconds, or a timedelta, between two looks.
        timeout: seconds, or a timedelta, after which waiting is given up and the task fails without a retry;
            ``[sensors] default_timeout`` if absent, a week. A shorter ``execution_timeout`` counts here as well.
        kwargs: see `MlpipeOperator`.
    """

    source: str
    config: ConfigLike
    conn_id: str | None
    dataset: str | None
    parameters: Mapping[str, Any] | None
    _waited = False

    def __init__(
        self,
        *,
        deferrable: bool = False,
        poke_interval: float | timedelta = 60.0,
        timeout: float | timedelta | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.poke_interval = seconds(poke_interval)
        self.timeout = None if timeout is None else seconds(timeout)

    def wait_for_source(self, source: Configured[Source], connection: Connection | None, job: Job) -> None:
        """Return if the source has something for the run; else defer the task.

        Raises:
            TaskDeferred: nothing is there yet.
            MlpipeError: waiting would change nothing.
        """
        if not self.deferrable or self._waited:
            return
        trigger_class = _trigger_of(source.model.type)
        if trigger_class is None:
            self.log.info("A source of type %s is not waited for, it is read now", source.model.type)
            return
        if self._is_there(source, connection, job):
            return
        trigger = trigger_class(
            **self._errand(job), poke_interval=self.poke_interval, deadline=time.time() + self._patience()
        )
        try:
            trigger.serialize()
        except ConfigError as error:
            self.log.warning("Not deferred, the worker waits: %s", error)
            self._arrived(trigger.wait_here())
            return
        self.log.info("Deferred: waiting for %s", trigger.subject)
        limit = timedelta(seconds=self._patience() + AFTER_DEADLINE)
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, timeout=limit)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> str | dict[str, str]:
        """Read the source, which the trigger says is there.

        Raises:
            AirflowSensorTimeout: nothing came in time.
            AirflowFailException: looking again changes nothing.
            MlpipeError: looking failed for a reason that may pass.
        """
        with airflow_failures():
            self._arrived(event)
        return self.perform(context)

    def _arrived(self, event: Mapping[str, Any] | None) -> None:
        from airflow_provider_mlpipe.triggers.outcome import facts_of

        facts = facts_of(event)
        self._waited = True
        self.log.info("There now: %s", ", ".join(f"{name} {value}" for name, value in facts.items() if name != "paths"))

    def _is_there(self, source: Configured[Source], connection: Connection | None, job: Job) -> bool:
        """Look once; that the other side is not available now is no more than a reason to wait."""
        from airflow_provider_mlpipe.ingestion import Connection
        from airflow_provider_mlpipe.ingestion.arrival import Visit, api_answers, new_objects

        look = api_answers if source.model.type == "api" else new_objects
        visit = Visit(source=source, root=job.root, run=job.run, as_of=job.as_of, connection=connection or Connection())
        try:
            found: Arrival = look(visit)
        except MlpipeError as error:
            if isinstance(error, Terminal):
                raise
            self.log.info("Not there yet: %s", error.message)
            return False
        return found.there

    def _errand(self, job: Job) -> dict[str, Any]:
        """Return what the trigger needs to know; connections by name."""
        return {
            "source": self.source,
            "config": self.find_config(self.config),
            "conn_id": self.conn_id,
            "dataset": self.dataset,
            "parameters": self.parameters,
            "artifact_root": job.root.uri,
            "artifact_conn_id": self.artifact_conn_id,
            "as_of": job.as_of.isoformat(),
            "run": job.run.as_dict(),
        }

    def _patience(self) -> float:
        timeout = conf.getfloat("sensors", "default_timeout") if self.timeout is None else self.timeout
        limit: timedelta | None = self.execution_timeout
        return timeout if limit is None else min(timeout, limit.total_seconds())


def _trigger_of(source_type: str) -> type[SourceTrigger] | None:
    from airflow_provider_mlpipe.triggers.sources import ApiAnswersTrigger, NewObjectsTrigger

    found: dict[str, type[SourceTrigger]] = {"api": ApiAnswersTrigger, "file": NewObjectsTrigger}
    return found.get(source_type)


def seconds(length: float | timedelta) -> float:
    """Return a length of time in seconds.

    >>> seconds(timedelta(minutes=2))
    120.0
    """
    return length.total_seconds() if isinstance(length, timedelta) else float(length)
