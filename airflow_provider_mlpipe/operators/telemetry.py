"""Airflow's metrics: what a stage measured, as gauges of its last run.

Gauges and not counters: every task is a process of its own, whose counters would start at zero and be exported as sums
since then, so that a backend would see the same small number again and again instead of growth. A gauge says what the
newest run measured, which is also what people compare and alert on.
"""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.run import Run

__all__ = ["PREFIX", "emit", "stage_of"]

log = logging.getLogger(__name__)

PREFIX = "mlpipe"
"""What the names begin with, behind the prefix that Airflow is configured with."""

_ODD = re.compile(r"[^\w.\-]", re.ASCII)


def stage_of(metrics: Mapping[str, Any]) -> str:
    """Return the stage that reports such metrics; ``any`` if all of them are of any stage.

    >>> stage_of({"duration_seconds": 1.0, "records_read": 3})
    'ingest'
    """
    from airflow_provider_mlpipe.observability import REGISTRY

    stages = (REGISTRY[name].stage for name in metrics if name in REGISTRY)
    return next((stage for stage in stages if stage != "any"), "any")


def emit(metrics: Mapping[str, Any], *, stage: str, dataset: str, run: Run) -> None:
    """Send ``mlpipe.<stage>.<metric>`` to whatever Airflow sends its own metrics to: StatsD, OpenTelemetry, nothing.

    The tags are `dataset`, ``dag_id`` and ``task_id``, and of a mapped task ``map_index``: else the one that ends last
    would stand for all. Airflow bounds it by ``[core] max_map_length``. Nothing bounds the runs, so they are no tag.

    Args:
        metrics: values by the names of the metric registry; anything else is left out.
        stage: that measured, see `stage_of`.
        dataset: the artifact's dataset name, the feature set's or the feature view's.
        run: of the task.
    """
    from airflow.providers.common.compat.sdk import Stats

    from airflow_provider_mlpipe.observability import REGISTRY

    tags = {"dataset": dataset, "dag_id": run.dag_id, "task_id": run.task_id}
    if run.map_index >= 0:
        tags["map_index"] = str(run.map_index)
    # An InfluxDB-style tag with a comma in it would be refused, with an error in the log for every metric.
    tags = {name: _ODD.sub("_", text) for name, text in tags.items()}
    for name, value in metrics.items():
        if name not in REGISTRY or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        try:
            Stats.gauge(f"{PREFIX}.{stage}.{name}", value, tags=tags)
        except Exception:  # a backend that fails must not fail a task whose work is done
            log.warning("Metrics were not sent: %s.%s.%s and what follows", PREFIX, stage, name, exc_info=True)
            return
