"""`NewObjectsSensor`: wait until there are files that the run would read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.sensors.source import SourceSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.ingestion.arrival import Arrival, Visit
    from airflow_provider_mlpipe.triggers.polling import PollingTrigger

__all__ = ["NewObjectsSensor"]


class NewObjectsSensor(SourceSensor):
    """Wait until a ``file`` source, on disk or in a bucket, has something that `SourceIngestOperator` would read.

    With ``only_new`` that is a file that no run has read in this version, by path and ETag (time and size on disk), as
    the manifests of the published artifacts say; a run that published before has nothing to wait for. Without it any
    file that the path means will do. A folder that is not there yet is waited for; a bucket that is not there, or may
    not be listed, fails the task at once.

    A file counts as soon as it is listed. In a bucket it is complete then; on disk, write it under a name that the path
    does not match, and rename it.

    XCom: ``return_value``: ``source``, ``location``, ``objects`` (how many), ``bytes``, ``paths`` (the first 20).

    Example::

        NewObjectsSensor(task_id="arrived", source="events", config="ingestion_config.yaml", deferrable=True)

    Args:
        kwargs: see `SourceSensor`.
    """

    awaited = "new objects"

    def look(self, context: Context, visit: Visit) -> Arrival:  # noqa: ARG002 - the base's
        """List what is there, and leave out what was read."""
        from airflow_provider_mlpipe.ingestion.arrival import new_objects

        return new_objects(visit)

    def trigger(self, context: Context, deadline: float) -> PollingTrigger:
        """Return what looks in the triggerer."""
        from airflow_provider_mlpipe.triggers.sources import NewObjectsTrigger

        return NewObjectsTrigger(**vars(self.errand(context)), **self.polling(deadline))
