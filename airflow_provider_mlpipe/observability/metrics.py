"""The metric registry: every number that the package reports, with its meaning.

The same names stand in manifests, in XCom, in Airflow's metrics (below ``mlpipe.``) and in the documentation. A metric
that is not in this file cannot be reported: `Metrics` refuses it.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["REGISTRY", "Metric", "Metrics", "Stopwatch"]

Kind = Literal["gauge", "timer"]
Stage = Literal["ingest", "validate", "extract", "materialize", "train", "any"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number: its name, what it counts, in what unit, and which stage reports it."""

    name: str
    stage: Stage
    unit: str
    meaning: str
    kind: Kind = "gauge"


_ALL = (
    Metric(name="records_read", stage="ingest", unit="rows", meaning="Rows that the source gave."),
    Metric(name="records_written", stage="ingest", unit="rows", meaning="Rows in the published artifact."),
    Metric(name="records_failed", stage="ingest", unit="rows", meaning="Rows that could not be read as the schema "
           "says; they are in the quarantine with a reason."),
    Metric(name="duplicates_dropped", stage="ingest", unit="rows", meaning="Rows that gave way to a later row of the "
           "same key."),
    Metric(name="bytes_processed", stage="ingest", unit="bytes", meaning="Size in memory of the rows read, as Arrow."),
    Metric(name="error_rate", stage="ingest", unit="ratio", meaning="records_failed / records_read; 0 without rows."),
    Metric(name="requests", stage="ingest", unit="requests", meaning="HTTP requests answered."),
    Metric(name="pages", stage="ingest", unit="pages", meaning="Pages of a REST endpoint that were read."),
    Metric(name="retries", stage="ingest", unit="requests", meaning="HTTP requests that had to be repeated."),
    Metric(name="offsets_read", stage="ingest", unit="offsets", meaning="Offsets of a topic's plan that were read; "
           "there is not a message at each."),
    Metric(name="lag", stage="ingest", unit="offsets", meaning="Offsets of a topic that were there when the run was "
           "planned and are left to later runs."),
    Metric(name="total_checks", stage="validate", unit="rules", meaning="Rules that were judged."),
    Metric(name="passed", stage="validate", unit="rules", meaning="Rules that held."),
    Metric(name="failed", stage="validate", unit="rules", meaning="Rules that did not hold, of any severity."),
    Metric(name="errors", stage="validate", unit="rules", meaning="Failed rules of severity ERROR."),
    Metric(name="warnings", stage="validate", unit="rules", meaning="Failed rules of severity WARNING."),
    Metric(name="skipped", stage="validate", unit="rules", meaning="Rules that could not apply, e.g. to a column that "
           "is missing."),
    Metric(name="rows_validated", stage="validate", unit="rows", meaning="Rows of the judged artifact."),
    Metric(name="rows_quarantined", stage="validate", unit="rows", meaning="Rows taken out because they break a rule "
           "of on_failure: quarantine."),
    Metric(name="rejected", stage="validate", unit="artifacts", meaning="1 if the data may not be passed on: a rule of "
           "severity ERROR failed, and no quarantine took the rows out."),
    Metric(name="drift_failed", stage="validate", unit="rules", meaning="Failed rules on the distribution of a column "
           "(drift)."),
    Metric(name="freshness_failed", stage="validate", unit="rules", meaning="Failed rules on how old the newest data "
           "is (freshness)."),
    Metric(name="row_count_failed", stage="validate", unit="rules", meaning="Failed rules on the number of rows, "
           "row_count_anomaly among them."),
    Metric(name="entities", stage="extract", unit="entities", meaning="Entities with a feature row."),
    Metric(name="features", stage="extract", unit="features", meaning="Features computed per entity."),
    Metric(name="events_read", stage="extract", unit="rows", meaning="Events of the input artifacts."),
    Metric(name="missing_values", stage="extract", unit="values", meaning="Nulls among the feature values."),
    Metric(name="missing_rate", stage="extract", unit="ratio", meaning="missing_values / (entities x features); 0 "
           "without rows."),
    Metric(name="moments", stage="extract", unit="moments", meaning="Moments (as_of) that were computed; 1 for a daily "
           "run."),
    Metric(name="events_used", stage="extract", unit="rows", meaning="Events inside the longest window of a moment; "
           "counted once per moment."),
    Metric(name="events_later", stage="extract", unit="rows", meaning="Events at or after the last moment's end of "
           "windows; not seen."),
    Metric(name="events_without_time", stage="extract", unit="rows", meaning="Events without a time; not seen."),
    Metric(name="time_violations", stage="extract", unit="rows", meaning="Entities with an event from outside of a "
           "window among those counted; always 0, for anything else is refused."),
    Metric(name="cache_hits", stage="extract", unit="artifacts", meaning="1 if an earlier result was reused, as "
           "inputs, definition and moment were the same."),
    Metric(name="values_imputed", stage="extract", unit="values", meaning="Nulls that a fitted value or 0 stands for "
           "in the normalised set."),
    Metric(name="rows_dropped", stage="extract", unit="rows", meaning="Rows left out of the normalised set for a null "
           "(handle_missing: drop)."),
    Metric(name="values_out_of_range", stage="extract", unit="values", meaning="Values beyond the least and greatest "
           "that the fitted state has seen."),
    Metric(name="events_null_key", stage="extract", unit="rows", meaning="Events of the longest window without an "
           "entity key; left out."),
    Metric(name="events_unknown_entity", stage="extract", unit="rows", meaning="Events of the longest window whose "
           "entity is not among the entities; left out."),
    Metric(name="entities_null_key", stage="extract", unit="rows", meaning="Rows of the entities without a key; left "
           "out."),
    Metric(name="rows_materialized", stage="materialize", unit="rows", meaning="Feature rows written online."),
    Metric(name="rows_skipped", stage="materialize", unit="rows", meaning="Feature rows left out because "
           "newer ones are online."),
    Metric(name="rows_removed", stage="materialize", unit="rows", meaning="Entities that a rollback took away, because "
           "its artifact does not hold them."),
    Metric(name="gate_overridden", stage="materialize", unit="runs", meaning="1 if require_validation: "
           "false let through what the gate would have refused."),
    Metric(name="rows_read_back", stage="materialize", unit="rows", meaning="Entities read back from the online store "
           "and compared."),
    Metric(name="mismatches", stage="materialize", unit="rows", meaning="Entities whose online values differ from the "
           "artifact's."),
    Metric(name="online_lag_seconds", stage="materialize", unit="seconds", meaning="Wall clock at the end of the run "
           "minus the newest event_timestamp of the artifact; absent if none of its rows went online. To be watched: "
           "it decides nothing, and a backfill's is large."),
    Metric(name="labels", stage="train", unit="rows", meaning="Rows of the labels, and so of the training set."),
    Metric(name="labels_without_features", stage="train", unit="rows", meaning="Labels that found features in no "
           "view; they are in the training set, with nulls."),
    Metric(name="labels_without_key", stage="train", unit="rows", meaning="Labels with a null in an entity key."),
    Metric(name="labels_without_time", stage="train", unit="rows", meaning="Labels without a time."),
    Metric(name="pit_violations", stage="train", unit="rows", meaning="Labels with a feature from after them, or older "
           "than its TTL; always 0, for anything else is refused."),
    Metric(name="last_success_timestamp", stage="any", unit="seconds since 1970", meaning="Wall clock at the end of "
           "the task's last success, a backfill's too. In Airflow's metrics only."),
    Metric(name="last_success_as_of", stage="any", unit="seconds since 1970", meaning="The moment (as_of) that the "
           "task's last success was about: a scheduled run's is the end of its data interval. In Airflow's metrics "
           "only."),
    Metric(name="duration_seconds", stage="any", unit="seconds", meaning="Wall time of the stage.", kind="timer"),
    Metric(name="cpu_seconds", stage="any", unit="seconds", meaning="CPU time of the stage, user and system, this "
           "process and its children."),
    Metric(name="peak_rss_bytes", stage="any", unit="bytes", meaning="Peak resident memory of the process so far."),
)  # fmt: skip

REGISTRY: dict[str, Metric] = {metric.name: metric for metric in _ALL}


class Metrics(dict[str, Any]):
    """Values by metric name; a name that the registry does not hold is refused.

    >>> Metrics(records_read=3)["records_read"]
    3
    """

    def __init__(self, **values: float) -> None:
        super().__init__()
        for name, value in values.items():
            self[name] = value

    def __setitem__(self, name: str, value: float) -> None:
        """Set a value of a registered metric."""
        if name not in REGISTRY:
            raise KeyError(f"{name!r} is not in the metric registry (observability/metrics.py)")
        super().__setitem__(name, value)


class Stopwatch:
    """Measures a stage from its creation: wall time, CPU time, peak memory."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = _cpu_seconds()

    def readings(self) -> dict[str, float]:
        """Return duration_seconds, cpu_seconds and peak_rss_bytes up to now."""
        return {
            "duration_seconds": round(time.monotonic() - self._wall, 3),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
