"""`FeastMaterializeOperator`: from a feature artifact to Feast's online store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.base import MlpipeOperator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.config import ConfigLike, FeatureStore
    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["FeastMaterializeOperator"]

_SECTION = "feature_store"


class FeastMaterializeOperator(MlpipeOperator):
    """Put a feature artifact online, if everything that it was computed from has passed validation.

    Feast's definitions are made from the artifact, so no feature repository needs to be written. What was written is
    read back and compared. Returns the artifact's URI, like every stage.

    XCom: ``return_value`` (the feature artifact's URI), ``view`` (the Feast feature view that serves it), ``metrics``
    (rows_materialized, rows_read_back, mismatches ...).

    Example::

        FeastMaterializeOperator(task_id="materialize", artifact=features.output, config="feature_config.yaml")

    Args:
        artifact: the feature artifact's URI (templated).
        config: a feature YAML file or mapping, whose ``feature_store`` section says where Feast is (templated); Feast
            lives below the artifact root if absent. See `SourceIngestOperator` for relative paths.
        store: settings that take the place of those of the section, by key (templated).
        kwargs: `as_of`, `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (*MlpipeOperator.template_fields, "artifact", "config", "store")
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "store": "yaml"}
    ui_color = "#ede9fe"

    def __init__(
        self,
        *,
        artifact: ArtifactUri,
        config: ConfigLike | None = None,
        store: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.artifact = artifact
        self.config = config
        self.store = store

    def run_stage(self, job: Job) -> str:
        """Materialize."""
        from airflow_provider_mlpipe.feature_store import materialize

        artifact = job.open(self.artifact)
        done = materialize(artifact, self._store(), root=job.root)
        job.push_metrics(done.metrics)
        job.push("view", done.view)
        if done.skipped:
            self.log.warning("Nothing was put online for %s: %s", done.view, done.skipped)
        else:
            self.log.info(
                "Materialized %s: %d rows in %.1f s, %d read back, %d differ; from %s",
                done.view,
                done.rows,
                done.metrics.get("duration_seconds", 0.0),
                done.rows_read_back,
                done.mismatches,
                artifact.uri,
            )
        return artifact.uri

    def _store(self) -> FeatureStore:
        from airflow_provider_mlpipe.config import document_of, feature_store

        config = {} if self.config is None else self.find_config(self.config)
        if self.store:
            section = document_of(config).data.get(_SECTION) or {}
            config = {_SECTION: {**section, **self.store}}
        return feature_store(config).model
