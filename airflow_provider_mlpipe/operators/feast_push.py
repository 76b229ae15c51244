"""`FeastPushOperator`: put an artifact's rows into a feature view that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.operators.base import StageOperator
from airflow_provider_mlpipe.operators.feast_base import FeastOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["FeastPushOperator"]


class FeastPushOperator(FeastOperator, StageOperator):
    """Push rows between materializations: what a stream has collected, a correction of a few entities.

    The view must be registered. Newer rows online stay, as with `FeastMaterializeOperator`, and an artifact whose
    inputs have no passed verdict is refused. The registry's list of materialized intervals stays as it is. Returns the
    artifact's URI.

    XCom: ``return_value`` (the artifact's URI), ``view``, ``metrics`` (rows_materialized, rows_skipped ...).

    Example::

        FeastPushOperator(task_id="push", view="user_profile_features", artifact=corrected.output)

    Args:
        view: the feature view (templated).
        artifact: the artifact's URI; its columns are the view's key and features, and event_timestamp (templated).
        to: ``online``, ``offline`` or ``online_and_offline`` (templated).
        kwargs: `config`, `feast_conn_id`, `store` (where Feast is; see `FeastOperator`), `as_of`, `artifact_root`,
            `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (*FeastOperator.template_fields, "view", "artifact", "to")

    def __init__(
        self,
        *,
        view: str,
        artifact: ArtifactUri,
        to: Literal["online", "offline", "online_and_offline"] = "online_and_offline",
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.view = view
        self.artifact = artifact
        self.to = to

    def run_stage(self, job: Job) -> str:
        """Push."""
        from airflow_provider_mlpipe.feature_store import push

        artifact = job.open(self.artifact)
        store = self.feature_store()
        done = push(self.view, artifact, store, root=job.root, to=self.to)
        job.trail.serves(done.view, artifact, store, job.root)
        job.push_metrics(done.metrics, dataset=done.view)
        job.push("view", done.view)
        self.log.info(
            "Pushed to %s: %d entities online, %d kept their newer rows, %d rows offline; from %s",
            done.view,
            done.rows,
            done.rows_skipped,
            done.rows_offline,
            artifact.uri,
        )
        return artifact.uri
