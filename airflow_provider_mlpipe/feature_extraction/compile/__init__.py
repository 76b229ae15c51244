"""From a plan to Ibis expressions: the only modules that know Ibis.

Portable operations only, so that one expression means the same on every engine: columns become float64 before
arithmetic, a division by zero is null, counts are int64, a float that is not a finite number (NaN, inf) is null,
windows are half-open, and floats are added exactly (see `exact`), so that a result does not depend on the order of rows
or on the number of threads.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.compile.events import in_window, kept_events, unseen
from airflow_provider_mlpipe.feature_extraction.compile.extent import MOMENT, Extent
from airflow_provider_mlpipe.feature_extraction.compile.own import outcome, stacked, times_in, visible
from airflow_provider_mlpipe.feature_extraction.compile.rows import (
    Conflict,
    conflicts,
    feature_rows,
    keyless,
    left_out,
)
from airflow_provider_mlpipe.feature_extraction.compile.scaling import (
    FILLS,
    METHODS,
    Method,
    Missing,
    centers,
    most_frequent,
    outside,
    scaled,
    spread,
)
from airflow_provider_mlpipe.feature_extraction.compile.sights import seen, sets_of_events
from airflow_provider_mlpipe.feature_extraction.compile.tables import inputs, kept, table_of
from airflow_provider_mlpipe.feature_extraction.compile.windows import events_per_key

__all__ = [
    "FILLS",
    "METHODS",
    "MOMENT",
    "Conflict",
    "Extent",
    "Method",
    "Missing",
    "centers",
    "conflicts",
    "events_per_key",
    "feature_rows",
    "in_window",
    "inputs",
    "kept",
    "kept_events",
    "keyless",
    "left_out",
    "most_frequent",
    "outcome",
    "outside",
    "scaled",
    "seen",
    "sets_of_events",
    "spread",
    "stacked",
    "table_of",
    "times_in",
    "unseen",
    "visible",
]
