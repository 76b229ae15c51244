"""Sensitive columns: their values stay in the data, wherever people read what was said about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts.artifact import REPORT, SUITE, VERDICT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError, DataRejectedError
from airflow_provider_mlpipe.reporting.junit import junit
from airflow_provider_mlpipe.reporting.markdown import markdown
from airflow_provider_mlpipe.validation import validate

YAML = """\
data:
  sensitive: [email, born, salary]
  required_columns: [email, {column: phone, condition: "email <> 'allowed-7@secret.org'"}]
  unique_columns: [email, [email, team]]
  range_constraints:
    age: [0, 120]
    salary: {min: 0, max: 100000}
    born: {min: "1900-01-01", severity: WARNING}
  categorical_constraints:
    email: [allowed-7@secret.org]
  patterns: {email: "^[a-z]+$"}
  lengths: {email: [1, 3]}
  pairs: ["age < salary", "salary < age"]
  row_rules: ["email <> 'allowed-7@secret.org' and age < 1"]
  statistics:
    salary: {mean: [0, 1], max: [0, 1], quantiles: {"0.5": [0, 1]}}
  expectations:
    - {type: expect_column_values_to_be_in_set, column: email, value_set: [allowed-7@secret.org]}
    - {type: expect_column_distinct_values_to_be_in_set, column: email, value_set: [allowed-7@secret.org]}
    - {type: expect_column_most_common_value_to_be_in_set, column: salary, value_set: [31415.5]}
    - {type: expect_column_max_to_be_between, column: born, max_value: "1850-01-01"}
    - {type: expect_column_pair_values_to_be_equal, column_A: email, column_B: phone}
    - {type: expect_compound_columns_to_be_unique, column_list: [email, team]}
  freshness: {timestamp_column: born, max_age_hours: 1}
  distribution:
    team: {reference: {values: [a, b], weights: [0.5, 0.5]}, min_rows: 1, threshold: 0.01}
    email: {reference: {values: [allowed-7@secret.org], weights: [1.0]}, min_rows: 1}
    salary: {reference: {bins: [0, 31415.5, 100000], weights: [0.5, 0.5]}, min_rows: 1, threshold: 0.01}
"""
SECRETS = ("secret.org", "1871", "987654", "31415")
"""Each stands in every value of a sensitive column, or in its reference."""


def people() -> pa.Table:
    emails = [f"p{number}@secret.org" for number in range(7)] + ["p1@secret.org", None]
    return pa.table(
        {
            "email": emails,
            "team": ["a"] * 9,
            "age": [20, 200, *[30] * 7],
            "phone": [None, *["1"] * 8],
            "salary": [987654.0 + number for number in range(9)],
            "born": pa.array(
                [datetime(1871, 5, 1 + number, tzinfo=UTC) for number in range(9)], pa.timestamp("us", "UTC")
            ),
        }
    )


def test_no_value_of_a_sensitive_column_is_in_any_output(publish, yaml_file, as_of, caplog):
    artifact = publish(people())
    with caplog.at_level("DEBUG"):
        verdict = validate(artifact, dataset_rules(yaml_file(YAML), "data"), as_of=as_of)
    summary = artifact.verdict()
    with pytest.raises(DataRejectedError) as caught:
        verdict.raise_if_blocked()
    outputs = {name: artifact.read_beside(name).decode() for name in (SUITE, REPORT, VERDICT)}
    outputs |= {path.name: path.read_text() for path in Path(artifact.uri).iterdir() if path.suffix != ".parquet"}
    outputs |= {
        "log": caplog.text,
        "summary": verdict.summary(),
        "exception": str(caught.value) + json.dumps(caught.value.as_dict()),
        "markdown": markdown(summary),
        "junit": junit([summary]),
    }
    leaks = {(name, secret) for name, text in outputs.items() for secret in SECRETS if secret in text}
    assert not leaks
    # It is masked, not left out: rows are still found by what is not sensitive, and counts are told.
    assert "***" in outputs["summary"]
    failed = {result.rule_id: result for result in verdict.results if result.failed}
    assert failed["data.unique.email"].unexpected == 2
    assert failed["data.unique.email"].samples[0].values == {"email": "***"}
    assert failed["data.range.age"].samples[0].values == {"age": 200}
    assert failed["data.range.age"].samples[0].key == {"email": "***"}
    assert failed["data.unique.email+team"].samples[0].values == {"email": "***", "team": "a"}
    assert failed["data.in_set.email"].text == "`email` is one of ***."
    columns = {column["name"]: column for column in summary["columns"]}
    assert (columns["email"]["distinct"], columns["email"]["low"]) == (7, None)
    assert columns["team"]["low"] == "a"


def test_without_it_the_values_are_told(publish, yaml_file, as_of):
    """The test above would fail if nothing were masked."""
    artifact = publish(people())
    told = YAML.replace("sensitive: [email, born, salary]", "sensitive: []")
    verdict = validate(artifact, dataset_rules(yaml_file(told), "data"), as_of=as_of)
    assert not [result for result in verdict.results if result.status == "error"]
    outputs = [artifact.read_beside(name).decode() for name in (SUITE, REPORT, VERDICT)]
    outputs += [verdict.summary(), markdown(artifact.verdict()), junit([artifact.verdict()])]
    assert all("secret.org" in text for text in outputs)
    assert all(any(secret in text for text in outputs) for secret in SECRETS)


def test_masked_documents_are_still_great_expectations(publish, yaml_file, as_of):
    from great_expectations.core import ExpectationSuite
    from great_expectations.core.expectation_suite import expectationSuiteSchema

    artifact = publish(people())
    validate(artifact, dataset_rules(yaml_file(YAML), "data"), as_of=as_of)
    document = json.loads(artifact.read_beside(SUITE))
    loaded = ExpectationSuite(**expectationSuiteSchema.load(document))
    assert len(loaded.expectations) == len(document["expectations"])


def test_a_rule_that_cannot_run_does_not_quote_values(publish, as_of):
    table = pa.table({"email": ["a@secret.org"], "hours": ["many"]})
    rules = {"sensitive": ["email"], "range_constraints": {"email": [0, 1], "hours": [0, 1]}}
    artifact = publish(table)
    verdict = validate(artifact, dataset_rules({"data": rules}, "data"), as_of=as_of)
    assert {result.rule_id for result in verdict.results if result.status == "error"} == {
        "data.range.email",
        "data.range.hours",
    }
    assert "secret.org" not in verdict.summary() + artifact.read_beside(VERDICT).decode()


def test_a_misspelt_sensitive_column_masks_nothing_so_it_is_refused(publish, as_of):
    artifact = publish(people())
    with pytest.raises(ConfigError, match="no column 'emial'. Did you mean 'email'"):
        validate(artifact, dataset_rules({"data": {"sensitive": ["emial"]}}, "data"), as_of=as_of)
    assert artifact.verdict() is None
    dropped_on_purpose = dataset_rules({"data": {"sensitive": ["social_security_number"]}}, "data")
    assert validate(artifact, dropped_on_purpose, as_of=as_of).passed


def test_the_notebook_api_masks_too():
    from airflow_provider_mlpipe.validation.data_validator import DataValidator

    validator = DataValidator()
    _, results = validator.validate_all(people(), {"sensitive": ["email"], "unique_columns": ["email"]})
    assert "secret.org" not in validator.generate_report() + repr(results)
