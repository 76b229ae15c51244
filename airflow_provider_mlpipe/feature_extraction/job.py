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
    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.feature_extraction.plan import Plan
    from airflow_provider_mlpipe.run import Run

__all__ = ["STAGE", "Job"]

STAGE = "features"
"""The stage's name in the addresses of its artifacts."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every step of one extraction has to know."""

    features: Configured[FeatureSet]
    plan: Plan
    root: Storage
    run: Run
    as_of: datetime
    engine: DuckDBSettings | None = None

    def description(self, dataset: str, inputs: tuple[Input, ...], details: dict[str, Any]) -> Description:
        """Return how an artifact of this job introduces itself."""
        return Description(
            dataset=dataset,
            stage=STAGE,
            run=self.run,
            config_hash=self.features.document.text_hash,
            inputs=inputs,
            details=details,
        )
