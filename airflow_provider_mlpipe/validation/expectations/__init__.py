"""Our own Great Expectations classes: what GX has no expectation for, or none for files and frames.

Importing this package imports Great Expectations (seconds of CPU) and registers the classes, after which a suite that
holds them loads and runs anywhere, on pandas too::

    import airflow_provider_mlpipe.validation.expectations
    suite = ExpectationSuite(**expectationSuiteSchema.load(json.load(open("_suite.json"))))

Without that import Great Expectations leaves them out of the suite and keeps the rest.
"""

from __future__ import annotations

from airflow_provider_mlpipe.validation.expectations.columns import (
    DRIFT,
    LOGICAL_TYPE,
    NEWEST,
    ExpectColumnDriftToBeAtMost,
    ExpectColumnLogicalTypeToBe,
    ExpectColumnToBeFresh,
)
from airflow_provider_mlpipe.validation.expectations.rows import (
    ExpectColumnValuesToBeInDataset,
    ExpectRowsToAddUp,
    ExpectRowsToHold,
)
from airflow_provider_mlpipe.validation.expectations.tables import ExpectTableRowCountToBeUsual

__all__ = [
    "DRIFT",
    "LOGICAL_TYPE",
    "NEWEST",
    "ExpectColumnDriftToBeAtMost",
    "ExpectColumnLogicalTypeToBe",
    "ExpectColumnToBeFresh",
    "ExpectColumnValuesToBeInDataset",
    "ExpectRowsToAddUp",
    "ExpectRowsToHold",
    "ExpectTableRowCountToBeUsual",
]
