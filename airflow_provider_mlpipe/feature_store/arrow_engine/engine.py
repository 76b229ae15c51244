"""The compute engine as Feast wants it: a class whose name ends in Engine, and its configuration beside it."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Literal

from feast.infra.common.materialization_job import MaterializationJobStatus
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.feature_builder import LocalFeatureBuilder
from feast.infra.compute_engines.local.job import LocalMaterializationJob

from airflow_provider_mlpipe.feature_store.arrow_engine.scope import Layout, why_not, writer_of
from airflow_provider_mlpipe.feature_store.arrow_engine.window import Window
from airflow_provider_mlpipe.feature_store.translation import quiet

if TYPE_CHECKING:
    from feast.infra.common.materialization_job import MaterializationTask
    from feast.infra.registry.base_registry import BaseRegistry

__all__ = ["ArrowComputeEngine", "ArrowComputeEngineConfig"]

_log = logging.getLogger(__name__)


class ArrowComputeEngineConfig(LocalComputeEngineConfig):  # type: ignore[misc]  # feast has no types
    """What Feast reads of ``batch_engine``."""

    type: Literal["airflow_provider_mlpipe.feature_store.arrow_engine.engine.ArrowComputeEngine"] = (
        "airflow_provider_mlpipe.feature_store.arrow_engine.engine.ArrowComputeEngine"
    )


class ArrowComputeEngine(LocalComputeEngine):  # type: ignore[misc]  # feast has no types
    """Feast's local engine, whose materialisation is done from Arrow columns where `scope` knows how.

    What is online afterwards is the same, byte for byte. Historical retrieval is Feast's own.
    """

    def _materialize_one(
        self,
        registry: BaseRegistry,
        task: MaterializationTask,
        **kwargs: Any,  # noqa: ANN401 - Feast's signature
    ) -> LocalMaterializationJob:
        name = task.feature_view.name
        try:
            with quiet():
                reason = self._attempt(registry, task)
        except Exception as error:  # noqa: BLE001 - handed over as Feast's engine does; it is raised outside
            job_id = f"{name}-{task.start_time}-{task.end_time}"
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.ERROR, error=error)
        if reason:
            _log.info("%s is materialised by Feast's own engine, not by Arrow: %s", name, reason)
            return super()._materialize_one(registry, task, **kwargs)
        job_id = f"{name}-{task.start_time}-{task.end_time}"
        return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _attempt(self, registry: BaseRegistry, task: MaterializationTask) -> str:
        """Materialise, or return why not, in which case nothing was written."""
        config, view = self.repo_config, task.feature_view
        found = writer_of(self.online_store)
        if found is None:
            kind = type(self.online_store)
            return f"it does not know the online store {kind.__module__}.{kind.__qualname__}"
        writer_class = getattr(importlib.import_module(found[0]), found[1])
        reason = why_not(task, config) or writer_class.why_not(config)
        if reason:
            return reason
        layout = Layout.of(view)
        context = self.get_execution_context(registry, task)
        columns = LocalFeatureBuilder(registry, task, backend=self._get_backend(context)).get_column_info(view)
        window = Window.of(task, columns, context, layout)
        if window is None:
            return "the offline store does not answer with a DuckDB table"
        reason = window.why_not()
        if reason:
            return reason
        writer = writer_class(layout, config, self.online_store)
        for batch in window.batches(writer.batch_rows, in_key_order=writer.in_key_order):
            writer.write(batch)
        return ""
