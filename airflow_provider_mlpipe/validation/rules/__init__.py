"""The rules of a dataset as typed values: YAML in, a list of `Rule` out, each with a stable id and its YAML line.

One module per family: its rules, how the YAML states them, the SQL that decides them, the GX class that says the same.
"""

from __future__ import annotations

from airflow_provider_mlpipe.validation.rules.choices import InSet
from airflow_provider_mlpipe.validation.rules.declaration import rules_of
from airflow_provider_mlpipe.validation.rules.distribution import Drift
from airflow_provider_mlpipe.validation.rules.fresh import Fresh
from airflow_provider_mlpipe.validation.rules.logical import OfType
from airflow_provider_mlpipe.validation.rules.presence import ColumnExists, HasRows, NotNull
from airflow_provider_mlpipe.validation.rules.ranges import InRange
from airflow_provider_mlpipe.validation.rules.rows import RowRule
from airflow_provider_mlpipe.validation.rules.rule import Expectation, Rule, Subject
from airflow_provider_mlpipe.validation.rules.uniqueness import Unique

__all__ = [
    "ColumnExists",
    "Drift",
    "Expectation",
    "Fresh",
    "HasRows",
    "InRange",
    "InSet",
    "NotNull",
    "OfType",
    "RowRule",
    "Rule",
    "Subject",
    "Unique",
    "rules_of",
]
