"""The suite of a dataset as a file for Great Expectations, without any data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.documents import as_json
from airflow_provider_mlpipe.validation.library import load_great_expectations
from airflow_provider_mlpipe.validation.rules import Fresh, rules_of

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_mlpipe.config import Configured, DatasetRules

__all__ = ["suite_file"]


def suite_file(rules: Configured[DatasetRules], *, as_of: datetime | None = None) -> tuple[dict[str, Any], bytes]:
    """Return the suite of a dataset's rules, as values and as the JSON that Great Expectations loads.

    Args:
        rules: the dataset's rules, as `config.dataset_rules` returns them.
        as_of: what freshness is measured against.

    Raises:
        ConfigError: a rule that no data could make sense of, or a freshness rule and no `as_of`.
    """
    listed = rules_of(rules, instant("1970-01-01") if as_of is None else instant(as_of))
    if as_of is None and any(isinstance(rule, Fresh) for rule in listed):
        raise ConfigError.invalid(
            where=rules.where("freshness"), key="freshness", problem="a suite holds the instant to measure age against",
            hint="Give --as-of TIME: the end of the interval whose data the suite shall judge.",
        )  # fmt: skip
    load_great_expectations()
    from airflow_provider_mlpipe.validation.suite import suite_of

    document: dict[str, Any] = suite_of(rules.name, listed).to_json_dict()
    return document, as_json(document)
