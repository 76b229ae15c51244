"""`FeastTrainingSetOperator`: labels with the features that were known at their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.base import StageOperator
from airflow_provider_mlpipe.operators.feast_base import FeastOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["FeastTrainingSetOperator"]


class FeastTrainingSetOperator(FeastOperator, StageOperator):
    """Join labels with the accumulated features of one or several views, point in time; return the artifact's URI.

    Each label gets, per view, the newest feature row of its entity that is not later than the label, within the view's
    TTL. Rows out are rows in: a label without features keeps its row, with nulls. Features later than the run's `as_of`
    are not seen, so that a backfill finds what the run would have found. The artifact's ``_pit_proof.json`` says what
    was joined.

    XCom: ``return_value`` (the training set's URI), ``proof`` (the URI of the proof), ``fingerprint`` (of the content,
    for whoever records what a model was trained on), ``metrics`` (labels, labels_without_features, pit_violations ...).

    Example::

        FeastTrainingSetOperator(
            task_id="training_set",
            labels=outcomes.output,
            features=["user_profile_features:skill_score_backend", "user_profile_features:current_workload_hours"],
            config="feature_config.yaml",
            dataset="late_tasks",
            event_timestamp="created_at",
        )

    Args:
        labels: rows with the views' entity keys and a time: an artifact's URI, or the path of a parquet or CSV file
            (templated).
        features: ``view:feature`` references, or the name of a feature service (templated).
        dataset: the training set's dataset name (templated).
        event_timestamp: the labels' column of times (templated).
        full_feature_names: name the columns ``view__feature``, for two views with a feature of one name.
        kwargs: `config`, `feast_conn_id`, `store` (where Feast is; see `FeastOperator`), `as_of`, `artifact_root`,
            `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (
        *FeastOperator.template_fields,
        "labels",
        "features",
        "dataset",
        "event_timestamp",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = FeastOperator.template_fields_renderers | {"features": "json"}
    ui_color = "#ffe4e6"

    def __init__(
        self,
        *,
        labels: ArtifactUri,
        features: Sequence[str] | str,
        dataset: str = "training_set",
        event_timestamp: str = "event_timestamp",
        full_feature_names: bool = False,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.labels = labels
        self.features = features
        self.dataset = dataset
        self.event_timestamp = event_timestamp
        self.full_feature_names = full_feature_names

    def run_stage(self, job: Job) -> str:
        """Build the training set."""
        from airflow_provider_mlpipe.feature_store.training import PROOF, training_set

        store = self.feature_store()
        job.trail.looks_into(store, job.root)
        artifact = training_set(
            str(self.labels),
            store=store,
            root=job.root,
            run=job.run,
            features=self.features,
            dataset=self.dataset,
            event_timestamp=self.event_timestamp,
            full_feature_names=self.full_feature_names,
            as_of=job.as_of,
            engine=job.engine,
        )
        metrics = artifact.manifest.metrics
        job.push_metrics(metrics, dataset=self.dataset)
        job.push("proof", f"{artifact.uri}/{PROOF}")
        job.push("fingerprint", artifact.fingerprint)
        self.log.info(
            "Training set %s: %d labels, %d of them without features, in %.1f s to %s",
            self.dataset,
            metrics.get("labels", 0),
            metrics.get("labels_without_features", 0),
            metrics.get("duration_seconds", 0.0),
            artifact.uri,
        )
        return artifact.uri
