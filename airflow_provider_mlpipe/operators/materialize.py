"""`FeastMaterializeOperator`: from a feature artifact to Feast's online store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.operators.base import StageOperator
from airflow_provider_mlpipe.operators.feast_base import FeastOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["FeastMaterializeOperator"]


class FeastMaterializeOperator(FeastOperator, StageOperator):
    """Put a feature artifact online, if everything that it was computed from has passed validation.

    Feast's definitions are made from the artifact, so no feature repository needs to be written. What was written is
    read back and compared. Returns the artifact's URI, like every stage.

    XCom: ``return_value`` (the feature artifact's URI), ``view`` (the Feast feature view that serves it), ``metrics``
    (rows_materialized, rows_read_back, mismatches ...).

    Example::

        FeastMaterializeOperator(task_id="materialize", artifact=features.output, config="feature_config.yaml")

    Args:
        artifact: the feature artifact's URI (templated).
        kwargs: `config`, `feast_conn_id`, `store` (where Feast is; see `FeastOperator`), `as_of`, `artifact_root`,
            `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (*FeastOperator.template_fields, "artifact")

    def __init__(
        self,
        *,
        artifact: ArtifactUri,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.artifact = artifact

    def run_stage(self, job: Job) -> str:
        """Materialize."""
        from airflow_provider_mlpipe.feature_store import materialize

        artifact = job.open(self.artifact)
        store = self.feature_store()
        done = materialize(artifact, store, root=job.root)
        job.trail.serves(done.view, artifact, store, job.root)
        job.push_metrics(done.metrics, dataset=done.view)
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
