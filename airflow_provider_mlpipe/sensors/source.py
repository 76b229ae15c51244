"""What the sensors of sources have in common: which source, and what a look at it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_mlpipe.operators.base import MlpipeOperator, airflow_failures
from airflow_provider_mlpipe.sensors.deferral import DeferrableSensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.ingestion.arrival import Arrival, Visit
    from airflow_provider_mlpipe.triggers.errand import Errand

__all__ = ["SourceSensor"]


class SourceSensor(MlpipeOperator, DeferrableSensor):
    """The base of the sensors that wait for a source.

    They take what `SourceIngestOperator` takes, so nothing of the source is said twice.

    Args:
        source: the source's name in the file (templated).
        config: an ingestion YAML file, or a mapping: of a whole file, or of the source alone (templated). Deferred, the
            triggerer must find the file where the worker found it, and have the environment variables it names.
        conn_id: the Airflow connection, in place of the file's (templated).
        dataset: the artifact's dataset name, instead of the file's (templated).
        parameters: values of a query's ``:name`` (templated).
        kwargs: `deferrable`, `transient_retries` (see `DeferrableSensor`), `as_of`, `artifact_root`,
            `artifact_conn_id` (see `MlpipeOperator`) and what every sensor takes.
    """

    template_fields: Sequence[str] = (
        *MlpipeOperator.template_fields, "source", "config", "conn_id", "dataset", "parameters",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "parameters": "json"}
    ui_color = "#dbeafe"
    awaited: ClassVar[str]
    """What it waits for, in the plural."""

    def __init__(
        self,
        *,
        source: str,
        config: ConfigLike,
        conn_id: str | None = None,
        dataset: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the bases' arguments
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.config = config
        self.conn_id = conn_id
        self.dataset = dataset
        self.parameters = parameters

    @abstractmethod
    def look(self, context: Context, visit: Visit) -> Arrival:
        """Look at the source."""

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once.

        Raises:
            AirflowFailException: looking again would change nothing; the cause is chained.
            MlpipeError: a retry may help.
        """
        with airflow_failures():
            found = self.look(context, self.errand(context).visit())
        if not found.there:
            self.log.info("There are no %s of source %r yet", self.awaited, self.source)
        return PokeReturnValue(is_done=found.there, xcom_value=dict(found.facts) if found.there else None)

    def errand(self, context: Context) -> Errand:
        """Return what a look needs to know, secrets by name only."""
        from airflow_provider_mlpipe.triggers.errand import Errand

        job = self._job(context)
        return Errand(
            source=self.source,
            config=self.find_config(self.config),
            conn_id=self.conn_id,
            dataset=self.dataset,
            parameters=self.parameters,
            artifact_root=job.root.uri,
            artifact_conn_id=self.artifact_conn_id,
            as_of=job.as_of.isoformat(),
            run=job.run.as_dict(),
        )
