"""`FeastApplyOperator`: tell Feast of a feature artifact's view, and put nothing online."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.operators.base import StageOperator
from airflow_provider_mlpipe.operators.feast_base import FeastOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["FeastApplyOperator"]


class FeastApplyOperator(FeastOperator, StageOperator):
    """Register entity, source, feature view and service of a feature artifact in Feast, without materializing.

    Unlike ``feast apply`` it removes nothing from the registry, keeps what Feast knows of earlier materializations, and
    does nothing if there is nothing new. Returns the artifact's URI. (`FeastMaterializeOperator` registers by itself.)

    XCom: ``return_value`` (the feature artifact's URI), ``view`` and ``service`` (their names in Feast).

    Example::

        FeastApplyOperator(task_id="apply", artifact=features.output, feast_conn_id="feast_default")

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
        """Register."""
        from airflow_provider_mlpipe.feature_store import register

        artifact = job.open(self.artifact)
        store = self.feature_store()
        done = register(artifact, store, root=job.root)
        job.trail.serves(done.view, artifact, store, job.root)
        job.push("view", done.view)
        job.push("service", done.service)
        self.log.info("Feast knows %s with %d features, from %s", done.view, len(done.features), artifact.uri)
        return artifact.uri
