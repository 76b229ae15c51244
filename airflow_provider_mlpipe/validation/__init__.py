"""Does the data hold what its rules say? Rules from YAML, one scan, Great Expectations' judgement, a verdict.

Importing this package is light; Great Expectations is imported when `validate` judges.
"""

from __future__ import annotations

from airflow_provider_mlpipe.validation.sifting import Sifting, raise_if_any_blocked, sift, sift_all
from airflow_provider_mlpipe.validation.stage import validate
from airflow_provider_mlpipe.validation.verdict import RuleResult, Verdict

__all__ = ["RuleResult", "Sifting", "Verdict", "raise_if_any_blocked", "sift", "sift_all", "validate"]
