"""`ExtractFeaturesOperator`: from validated artifacts to features, point in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.base import StageOperator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.feature_extraction import Extraction
    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job

__all__ = ["ExtractFeaturesOperator"]


class ExtractFeaturesOperator(StageOperator):
    """Compute a feature set from its inputs as of the end of the interval; return the feature artifact's URI.

    XCom: ``return_value`` (the URI of the raw features, which are what goes online), ``normalized`` (the URI of the
    scaled ones, if the set asks for them), ``metrics`` (entities, features, missing_values ...).

    Example::

        features = ExtractFeaturesOperator(
            task_id="extract",
            feature_set="user_features",
            config="feature_config.yaml",
            inputs={"users": users.output, "activity": activity.output},
        )

    Args:
        feature_set: the set's name in the file (templated).
        config: a feature YAML file or mapping (templated); see `SourceIngestOperator` for relative paths.
        engine: what computes, ``duckdb`` or ``spark`` (templated); what the set names if absent, and without that
            ``[mlpipe] engine``.
        spark: which Spark, where ``[mlpipe] spark_...`` does not say it: ``master``, ``memory``, ``conf``, ``scratch``
            (templated). A Spark session that the process already has is used whatever stands here.
        inputs: artifact URIs by role, ``users`` and ``activity`` for user features (templated).
        as_of: the moment, see `MlpipeOperator`; or ``{"start": ..., "end": ..., "every": "1d"}`` for a history: the
            features as of start, start + every ... before end, computed in one pass and published as one artifact
            (templated).
        chunk: ``{"index": 0, "of": 4}`` for the entities of one of four equal parts (templated). With
            ``.partial(...).expand(chunk=[...])`` mapped tasks compute the parts, and `MergeFeaturesOperator` makes the
            whole of them.
        kwargs: `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (
        *StageOperator.template_fields,
        "feature_set",
        "config",
        "inputs",
        "engine",
        "spark",
        "as_of_range",
        "chunk",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml", "inputs": "json", "spark": "json"}
    ui_color = "#dcfce7"

    def __init__(
        self,
        *,
        feature_set: str,
        config: ConfigLike,
        inputs: Mapping[str, ArtifactUri],
        engine: str | None = None,
        spark: Mapping[str, Any] | None = None,
        as_of: str | datetime | Mapping[str, Any] | None = None,
        chunk: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(as_of=None if isinstance(as_of, Mapping) else as_of, **kwargs)
        self.as_of_range = as_of if isinstance(as_of, Mapping) else None
        self.chunk = chunk
        self.feature_set = feature_set
        self.config = config
        self.inputs = inputs
        self.engine = engine
        self.spark = spark

    def run_stage(self, job: Job) -> str:
        """Extract."""
        extraction = self._extraction(job)
        artifact = extraction.artifact
        job.push_metrics(extraction.metrics, dataset=artifact.manifest.dataset)
        job.trail.writes(extraction.normalized)
        if extraction.normalized is not None:
            job.push("normalized", extraction.normalized.uri)
        self.log.info(
            "Extracted %s as of %s: %d entities x %d features in %.1f s to %s",
            self.feature_set,
            artifact.manifest.details["as_of"],
            artifact.manifest.rows,
            extraction.metrics.get("features", 0),
            extraction.metrics.get("duration_seconds", 0.0),
            artifact.uri,
        )
        return str(artifact.uri)

    def _extraction(self, job: Job) -> Extraction:
        from airflow_provider_mlpipe import config
        from airflow_provider_mlpipe.feature_extraction import Chunk, Moments, extract
        from airflow_provider_mlpipe.hooks.settings import engine_named

        features = config.feature_set(self.find_config(self.config), self.feature_set)
        return extract(
            features,
            {role: job.open(uri) for role, uri in self.inputs.items()},
            root=job.root,
            run=job.run,
            as_of=job.as_of if self.as_of_range is None else Moments.of(self.as_of_range),
            chunk=Chunk.given(self.chunk),
            engine=engine_named(self.engine, features.model.engine, spark_overrides=self.spark, s3=job.options),
        )
