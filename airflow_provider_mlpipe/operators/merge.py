"""`MergeFeaturesOperator`: the whole of what mapped tasks extracted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.base import StageOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.operators.job import Job

__all__ = ["MergeFeaturesOperator"]


class MergeFeaturesOperator(StageOperator):
    """Put the chunks of a feature set together; return the URI of the artifact that one run would have made.

    XCom: as for `ExtractFeaturesOperator`. A normalised set is made here, of the whole.

    Example::

        parts = ExtractFeaturesOperator.partial(
            task_id="extract",
            feature_set="user_features",
            config="feature_config.yaml",
            inputs={"users": users.output, "activity": activity.output},
        ).expand(chunk=[{"index": n, "of": 4} for n in range(4)])
        features = MergeFeaturesOperator(
            task_id="merge", feature_set="user_features", config="feature_config.yaml", chunks=parts.output
        )

    Args:
        feature_set: the set's name in the file (templated).
        config: a feature YAML file or mapping (templated).
        chunks: the URIs of all chunks, in any order (templated).
        kwargs: `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes. The moment is
            that of the chunks.
    """

    template_fields: Sequence[str] = (*StageOperator.template_fields, "feature_set", "config", "chunks")
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "chunks": "json"}
    ui_color = "#dcfce7"

    def __init__(
        self,
        *,
        feature_set: str,
        config: ConfigLike,
        chunks: Any,  # noqa: ANN401 - URIs, or the XComArg that becomes them
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.feature_set = feature_set
        self.config = config
        self.chunks = chunks

    def run_stage(self, job: Job) -> str:
        """Merge."""
        from airflow_provider_mlpipe import config
        from airflow_provider_mlpipe.feature_extraction import merge_chunks

        merged = merge_chunks(
            config.feature_set(self.find_config(self.config), self.feature_set),
            [job.open(uri) for uri in list(self.chunks)],
            root=job.root,
            run=job.run,
            engine=job.engine,
        )
        job.push_metrics(merged.metrics, dataset=merged.artifact.manifest.dataset)
        job.trail.writes(merged.normalized)
        if merged.normalized is not None:
            job.push("normalized", merged.normalized.uri)
        self.log.info("Merged %s: %d rows to %s", self.feature_set, merged.artifact.manifest.rows, merged.artifact.uri)
        return str(merged.artifact.uri)
