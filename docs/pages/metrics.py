"""docs/reference/metrics.md, from the metric registry."""

from __future__ import annotations

from airflow_provider_mlpipe.observability import REGISTRY
from pages.markdown import code, table

__all__ = ["page"]

STAGES = {
    "ingest": "Ingest",
    "validate": "Validate",
    "extract": "Extract features",
    "materialize": "Materialise",
    "train": "Training sets",
    "any": "Every stage",
}


def page() -> str:
    """Return the page: one table per stage."""
    unknown = {metric.stage for metric in REGISTRY.values()} - set(STAGES)
    if unknown:
        raise KeyError(f"no heading for the stages {unknown}: add them to docs/pages/metrics.py")
    parts = [
        "# Metrics\n",
        (
            "The same names stand in an artifact's manifest (`metrics`), in XCom (key `metrics`), in the output of "
            "`mlpipe` and, below `mlpipe.`, in Airflow's metrics.\n"
        ),
    ]
    for stage, heading in STAGES.items():
        rows = [
            (code(metric.name), metric.unit, metric.kind, metric.meaning)
            for metric in REGISTRY.values()
            if metric.stage == stage
        ]
        if rows:
            parts += [f"## {heading}\n", table(("Metric", "Unit", "Kind", "Meaning"), rows)]
    return "\n".join(parts)
