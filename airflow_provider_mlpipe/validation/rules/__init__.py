"""The rules of a dataset as typed values: YAML in, a list of `Rule` out, each with a stable id and its YAML line.

One module per family: its rules, how the YAML states them, the SQL that decides them, the GX class that says the same.
"""

from __future__ import annotations

from airflow_provider_mlpipe.validation.rules.choices import InSet
from airflow_provider_mlpipe.validation.rules.comparisons import Adds, Compares
from airflow_provider_mlpipe.validation.rules.declaration import rules_of
from airflow_provider_mlpipe.validation.rules.distribution import Drift
from airflow_provider_mlpipe.validation.rules.expressions import RowHolds
from airflow_provider_mlpipe.validation.rules.foreign_keys import RefersTo
from airflow_provider_mlpipe.validation.rules.fresh import Fresh
from airflow_provider_mlpipe.validation.rules.logical import OfType
from airflow_provider_mlpipe.validation.rules.presence import ColumnExists, HasRows, NotNull
from airflow_provider_mlpipe.validation.rules.ranges import InRange
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject, Surroundings
from airflow_provider_mlpipe.validation.rules.statistics import HasStatistic
from airflow_provider_mlpipe.validation.rules.table import HasColumns, HasRowCount, HasUsualRowCount
from airflow_provider_mlpipe.validation.rules.texts import HasLength, Matches
from airflow_provider_mlpipe.validation.rules.uniqueness import Unique

__all__ = [
    "Adds",
    "ColumnExists",
    "Compares",
    "Drift",
    "Expectation",
    "Fresh",
    "HasColumns",
    "HasLength",
    "HasRowCount",
    "HasRows",
    "HasStatistic",
    "HasUsualRowCount",
    "InRange",
    "InSet",
    "Matches",
    "NotNull",
    "OfType",
    "RefersTo",
    "RowHolds",
    "RowRule",
    "Rule",
    "Subject",
    "Surroundings",
    "Unique",
    "rules_of",
]
