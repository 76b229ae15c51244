"""One extraction: what to compute, as of when, and where to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Description

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.artifacts.manifest import Input
    from airflow_provider_mlpipe.config import Configured, FeatureSet
    from airflow_provider_mlpipe.engines import EngineSettings
    from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
    from airflow_provider_mlpipe.feature_extraction.moments import Moments
    from airflow_provider_mlpipe.feature_extraction.plan import Plan
    from airflow_provider_mlpipe.run import Run

__all__ = ["HISTORY", "STAGE", "Job"]

STAGE = "features"
"""The stage's name in the addresses of its artifacts of one moment."""

HISTORY = "history"
"""The same for artifacts of many moments, which must not be taken for those of a day."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every step of one extraction has to know."""

    features: Configured[FeatureSet]
    plan: Plan
    root: Storage
    run: Run
    moments: Moments
    engine: EngineSettings | None = None
    chunk: Chunk | None = None

    @property
    def as_of(self) -> datetime:
        """The moment; of many the last."""
        return self.moments.last

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which rows are ordered: a history is its days, one after the other."""
        entity = self.plan.domain.entity
        return ("event_timestamp", entity) if self.moments.many else (entity,)

    @property
    def stage(self) -> str:
        """The stage's name in addresses; the parts of a chunked run lie apart, so that none is taken for a whole."""
        stage = HISTORY if self.moments.many else STAGE
        return stage if self.chunk is None else f"{stage}-chunks"

    def description(self, dataset: str, inputs: tuple[Input, ...], details: dict[str, Any]) -> Description:
        """Return how an artifact of this job introduces itself."""
        return Description(
            dataset=dataset,
            stage=self.stage,
            run=self.run,
            config_hash=self.features.document.text_hash,
            inputs=inputs,
            details=details,
        )
