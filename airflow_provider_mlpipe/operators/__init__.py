"""The Airflow face of the stages.

Importing this costs no more than importing Airflow itself: each operator comes when it is asked for, and what a stage
needs (pyarrow, DuckDB, Great Expectations, Feast ...) comes when a task executes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_mlpipe.operators.assets import artifact_of
    from airflow_provider_mlpipe.operators.extract import ExtractFeaturesOperator
    from airflow_provider_mlpipe.operators.feast_apply import FeastApplyOperator
    from airflow_provider_mlpipe.operators.feast_push import FeastPushOperator
    from airflow_provider_mlpipe.operators.ingest import SourceIngestOperator
    from airflow_provider_mlpipe.operators.materialize import FeastMaterializeOperator
    from airflow_provider_mlpipe.operators.merge import MergeFeaturesOperator
    from airflow_provider_mlpipe.operators.pipelines import pipeline
    from airflow_provider_mlpipe.operators.retrying import retry_policy
    from airflow_provider_mlpipe.operators.training_set import FeastTrainingSetOperator
    from airflow_provider_mlpipe.operators.validate import ValidateOperator

__all__ = [
    "ExtractFeaturesOperator",
    "FeastApplyOperator",
    "FeastMaterializeOperator",
    "FeastPushOperator",
    "FeastTrainingSetOperator",
    "MergeFeaturesOperator",
    "SourceIngestOperator",
    "ValidateOperator",
    "artifact_of",
    "pipeline",
    "retry_policy",
]

_HOMES = {
    "ExtractFeaturesOperator": "extract",
    "FeastApplyOperator": "feast_apply",
    "FeastMaterializeOperator": "materialize",
    "FeastPushOperator": "feast_push",
    "FeastTrainingSetOperator": "training_set",
    "MergeFeaturesOperator": "merge",
    "SourceIngestOperator": "ingest",
    "ValidateOperator": "validate",
    "artifact_of": "assets",
    "pipeline": "pipelines",
    "retry_policy": "retrying",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the classes above
    """Import an operator when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
