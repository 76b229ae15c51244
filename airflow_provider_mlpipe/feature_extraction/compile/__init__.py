"""From a plan to Ibis expressions: the only modules that know Ibis.

Portable operations only, so that one expression means the same on every engine: columns become float64 before
arithmetic, a division by zero is null, counts are int64, a float that is not a finite number (NaN, inf) is null,
windows are half-open, and floats are added exactly (see `exact`), so that a result does not depend on the order of rows
or on the number of threads.
"""

from __future__ import annotations

from airflow_provider_mlpipe.feature_extraction.compile.scaling import Missing, centers, scaled, spread
from airflow_provider_mlpipe.feature_extraction.compile.tables import inputs, kept, table_of
from airflow_provider_mlpipe.feature_extraction.compile.windows import (
    conflicts,
    events_per_entity,
    feature_rows,
    left_out,
)

__all__ = [
    "Missing",
    "centers",
    "conflicts",
    "events_per_entity",
    "feature_rows",
    "inputs",
    "kept",
    "left_out",
    "scaled",
    "spread",
    "table_of",
]
