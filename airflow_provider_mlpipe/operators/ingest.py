"""`SourceIngestOperator`: from a source to a raw artifact."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.waiting import WaitsForSource
from airflow_provider_mlpipe.triggers.errand import configured_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.config import ConfigLike, Configured, Source
    from airflow_provider_mlpipe.ingestion.watermark import Watermark
    from airflow_provider_mlpipe.operators.job import Job
    from airflow_provider_mlpipe.run import Run

__all__ = ["SourceIngestOperator", "asset_state", "watermark_key"]

PROGRESS_SECONDS = 30.0
"""At most one progress line in so many seconds."""


class SourceIngestOperator(WaitsForSource):
    """Read a source and publish its rows as a raw artifact; return the artifact's URI.

    A retry, a clear and a backfill of the same interval land in the same place, and replace what was there as a whole.

    XCom: ``return_value`` (the URI), ``metrics`` (records_read, records_written ...).

    Example::

        users = SourceIngestOperator(task_id="ingest_users", source="user_data", config="ingestion_config.yaml")

    Args:
        source: the source's name in the file (templated).
        config: an ingestion YAML file, or a mapping: of a whole file, or of the source alone (templated). A relative
            path is looked up from the working directory, beside the Dag file, then in ``[mlpipe] config_folder``.
        conn_id: the Airflow connection to read by (templated): a database's, an ``http``, ``aws`` or ``kafka`` one. It
            takes the place of `connection_string` or `conn_id` in the file.
        dataset: the artifact's dataset name, instead of the file's (templated).
        parameters: values of a query's ``:name`` (templated), beside and before those of the file; bound by the server.
            Map over them to read in partitions: ``.partial(...).expand(parameters=[{"region": "eu"}, ...])``. What
            comes after takes the mapped task's ``output`` as one artifact.
        kwargs: `deferrable`, `poke_interval`, `timeout` (see `WaitsForSource`), `as_of`, `artifact_root`,
            `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (
        *WaitsForSource.template_fields, "source", "config", "conn_id", "dataset", "parameters",
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "parameters": "json"}
    ui_color = "#dbeafe"
    _rows: Any = None
    """What a function gave; see `decorators.ingest`."""

    def __init__(
        self,
        *,
        source: str,
        config: ConfigLike,
        conn_id: str | None = None,
        dataset: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.config = config
        self.conn_id = conn_id
        self.dataset = dataset
        self.parameters = parameters

    def run_stage(self, job: Job) -> str:
        """Ingest."""
        from airflow_provider_mlpipe.hooks.connections import mask_secrets, source_connection
        from airflow_provider_mlpipe.ingestion import ingest

        source = self._configured()
        mask_secrets(source.model)
        conn_id = self.conn_id or getattr(source.model, "conn_id", None)  # a dlt resource has none
        connection = source_connection(conn_id, source.model.type) if conn_id else None
        self.wait_for_source(source, connection, job)
        job.trail.reads_source(source, connection)
        artifact = ingest(
            source,
            root=job.root,
            run=job.run,
            as_of=job.as_of,
            connection=connection,
            progress=self._progress(),
            watermark=self._watermark(source, job),
            rows=self._rows,
        )
        metrics = artifact.manifest.metrics
        job.push_metrics(metrics, dataset=artifact.manifest.dataset)
        self.log.info(
            "Ingested %s: %d rows in %.1f s to %s",
            self.source,
            artifact.manifest.rows,
            metrics.get("duration_seconds", 0.0),
            artifact.uri,
        )
        return artifact.uri

    def _configured(self) -> Configured[Source]:
        return configured_source(
            self.find_config(self.config), self.source, self.dataset, self.parameters, where=f"task {self.task_id}"
        )

    def _watermark(self, source: Configured[Source], job: Job) -> Watermark | None:
        """Return where the watermark is: in the state of the task's first outlet asset, else in a file."""
        from airflow_provider_mlpipe.ingestion.watermark import AssetWatermark, FileWatermark, HeldWatermark

        incremental = source.model.incremental
        if incremental is None or incremental.window != "watermark":
            return None
        kept: Watermark = FileWatermark.of(source, job.root, job.run)
        state = asset_state(job.context, self.outlets)
        if state is not None:
            kept = AssetWatermark(state, watermark_key(source.name, job.run), before=kept)
        reason = _no_production(job.context)
        return HeldWatermark(kept, reason) if reason else kept

    def _progress(self) -> Callable[[int], None]:
        last = time.monotonic()

        def report(rows: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PROGRESS_SECONDS:
                last = time.monotonic()
                self.log.info("Ingesting %s: %d rows so far", self.source, rows)

        return report


def watermark_key(source: str, run: Run) -> str:
    """Return the name of a source's watermark in the state of an asset; mapped tasks have one each."""
    return f"mlpipe_watermark/{source}" + ("" if run.map_index < 0 else f"/{run.map_index}")


def asset_state(context: Context, assets: Sequence[Any]) -> Any:  # noqa: ANN401 - Airflow's accessor
    """Return the state of the first asset that has one; None before Airflow 3.3, or without an asset."""
    states: Any = context.get("asset_state_store")
    for asset in assets if states is not None else ():
        try:
            return states[asset]
        except (KeyError, TypeError):  # an alias has no state
            continue
    return None


def _no_production(context: Context) -> str:
    """Return why this run must not move what production goes by; empty if it may.

    A test run shares production's database, and a backfill is about what was read long ago.
    """
    run: Any = context["dag_run"]
    kind = str(getattr(run.run_type, "value", run.run_type))
    if kind == "backfill":
        return "this is a backfill"
    if getattr(run, "triggering_user_name", None) == "dag_test" or run.run_id.startswith("__airflow_temporary_run"):
        return "this is a test run"
    return ""
