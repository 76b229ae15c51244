"""Great Expectations' core expectations by their own names: what is refused, what runs where, and what it says."""

from __future__ import annotations

import inspect
import subprocess
import sys

import great_expectations.expectations as gxe
import pandas as pd
import pyarrow as pa
import pytest
from great_expectations.expectations.expectation import Expectation
from great_expectations.util import camel_to_snake

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.config.expectations import CATALOG, REFUSED
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.gx import stock
from airflow_provider_mlpipe.validation.gx.aggregates import quantile_ranks
from airflow_provider_mlpipe.validation.rules import rules_of

COMMON = {
    "batch_id", "catch_exceptions", "condition_parser", "description", "id", "library_metadata", "meta", "notes",
    "rendered_content", "result_format", "row_condition", "severity", "windows",
}  # fmt: skip
STRICTER = {
    "expect_column_kl_divergence_to_be_less_than", "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_match_regex", "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
}  # fmt: skip
"""Where GX has a default for an argument without which the expectation makes no sense; here it must be given."""


@pytest.mark.parametrize("how", ["nearest", "lower", "higher", "midpoint"])
def test_a_quantile_falls_where_pandas_has_it(how):
    """Ties and all: hundredths of up to sixty values."""
    shares = [percent / 100 for percent in range(101)]
    for count in range(1, 61):
        seen = pd.Series(range(count)).quantile(shares, interpolation=how).tolist()
        assert [sum(quantile_ranks(share, count, how)) / 2 for share in shares] == seen, count


def core() -> dict[str, type[Expectation]]:
    named = inspect.getmembers(gxe, inspect.isclass)
    return {
        camel_to_snake(name): each for name, each in named if issubclass(each, Expectation) and each is not Expectation
    }


def test_the_catalogue_is_what_great_expectations_has():
    theirs = core()
    assert CATALOG.keys() | REFUSED.keys() == theirs.keys()
    for name, arguments in CATALOG.items():
        fields = {key: field for key, field in theirs[name].__fields__.items() if key not in COMMON}
        assert arguments.keys() == fields.keys(), name
        needed = {key for key, must in arguments.items() if must}
        assert {key for key, field in fields.items() if field.required} <= needed
        if name not in STRICTER:
            assert {key for key, field in fields.items() if field.required} == needed, name


# ------------------------------------------------------------------ what is refused, and where

REFUSALS = {
    "type: expect_column_mean_to_be_betwen, column: a": ["no core expectation", "expect_column_mean_to_be_between"],
    "type: expect_column_mean_to_be_between, column: a, min_valu: 1": ["min_valu", "min_value"],
    "type: expect_column_mean_to_be_between, min_value: 1": ["needs column"],
    "type: ExpectColumnMeanToBeBetween, column: a": ["min_value, max_value or both"],
    "type: ExpectColumnMeanToBeBetween, column: a, min_value: 2, max_value: 1": ["greater than max_value"],
    "type: ExpectColumnMaxToBeBetween, column: a, min_value: soon": ["'soon'", "neither a number nor"],
    "type: expect_column_values_to_be_in_set, column: a, value_set: x": ["value_set is a list"],
    "type: expect_column_values_to_be_unique, column: a, mostly: 2": ["mostly is a share"],
    "type: expect_multicolumn_values_to_be_unique, column: a, column_list: [a]": ["itself cannot run it", "unique_col"],
    "type: expect_table_row_count_to_equal_other_table, other_table_name: x": ["second table"],
    "type: expect_column_values_to_be_unique, column: a, row_condition: 'b > 1'": ["`condition`"],
    "column: a": ["'type' is missing"],
    "type: unexpected_rows_expectation, unexpected_rows_query: SELECT 1": ["{batch}"],
    "type: unexpected_rows_expectation, unexpected_rows_query: 'SELECT * FROM {batch}, other'": ["may only read"],
    "type: unexpected_rows_expectation, unexpected_rows_query: \"SELECT * FROM {batch}, read_csv('x')\"": ["only read"],
    "type: unexpected_rows_expectation, unexpected_rows_query: 'SELECT * FROM {batch} WHERE t < now()'": ["backfill"],
    "type: unexpected_rows_expectation, unexpected_rows_query: 'DELETE FROM {batch}'": ["one SELECT"],
}


@pytest.mark.parametrize("stated", REFUSALS)
def test_what_cannot_work_is_refused_where_it_stands(stated, yaml_file, as_of):
    path = yaml_file(f"data:\n  expectations:\n    - {{type: expect_column_to_exist, column: a}}\n    - {{{stated}}}\n")
    with pytest.raises(ConfigError) as caught:
        rules_of(dataset_rules(path, "data"), as_of)
    assert "validation_config.yaml:4" in str(caught.value)
    for words in REFUSALS[stated]:
        assert words in str(caught.value)


def test_an_argument_of_a_wrong_type_is_refused_where_it_stands(judge):
    with pytest.raises(ConfigError, match=r"expectations\.value: value is not a valid integer"):
        judge({"a": [1]}, {"expectations": [{"type": "expect_table_row_count_to_equal", "value": "x"}]})


def test_reading_expectations_imports_neither_great_expectations_nor_pandas():
    code = """
import sys
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.validation.rules import rules_of
stated = [{"type": "expect_column_mean_to_be_between", "column": "a", "min_value": 1}]
rules_of(dataset_rules({"data": {"expectations": stated}}, "data"), __import__("datetime").datetime(2026, 1, 1))
assert not {"great_expectations", "pandas", "duckdb", "pyarrow"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------ what runs, and what it says

TABLE = pa.table(
    {
        "k": ["p", "q", "r", "s"],
        "hours": [1.0, 9.0, 30.0, None],
        "skill": ["backend", "docs", "docs", None],
        "note": ['{"a": 1}', "x", "[]", None],
    }
)


def one(judge, result, **expectation):
    kind, columns = (
        expectation["type"],
        [expectation[key] for key in ("column", "column_A", "column_B") if key in expectation],
    )
    verdict = judge(TABLE, {"unique_columns": ["k"], "expectations": [expectation]})
    return result(verdict, ".".join([kind, *(["+".join(columns)] if columns else [])]))


def test_an_aggregate_from_the_scan(judge, result):
    found = one(
        judge, result, type="expect_column_mean_to_be_between", column="hours", min_value=1, max_value=9,
        severity="WARNING", owner="data@example.org",
    )  # fmt: skip
    assert (found.status, found.severity, found.owner) == ("failed", "WARNING", "data@example.org")
    assert found.text == "`hours`: Column mean to be between (min_value 1, max_value 9)."
    assert found.found == "It is 13.3333."


def test_rows_from_the_scan_have_samples_with_their_key(judge, result):
    found = one(judge, result, type="expect_column_values_to_be_in_set", column="skill", value_set=["backend"])
    assert (found.unexpected, found.checked) == (2, 3)
    assert [sample.as_dict() for sample in found.samples] == [
        {"values": {"skill": "docs"}, "key": {"k": "q"}},
        {"values": {"skill": "docs"}, "key": {"k": "r"}},
    ]


def test_what_sql_does_not_say_runs_on_stock_gx(judge, result):
    found = one(judge, result, type="expect_column_values_to_be_json_parseable", column="note")
    assert (found.status, found.unexpected, found.checked) == ("failed", 1, 3)
    assert [sample.values for sample in found.samples] == [{"note": "x"}]


def test_a_condition_holds_on_pandas_as_in_the_scan(judge, result):
    for kind in ("expect_column_values_to_be_json_parseable", "expect_column_values_to_not_be_null"):
        found = one(judge, result, type=kind, column="note", condition="hours > 5")
        assert found.checked == 2, kind


def test_regular_expressions_that_the_engine_cannot_read_run_on_stock_gx(judge, result):
    found = one(judge, result, type="expect_column_values_to_match_regex", column="skill", regex="^(?!docs)")
    assert (found.status, found.unexpected, found.checked) == ("failed", 2, 3)


def test_the_order_of_rows_is_theirs(judge, result):
    assert one(judge, result, type="expect_column_values_to_be_increasing", column="hours").passed
    assert one(judge, result, type="expect_column_values_to_be_decreasing", column="hours").unexpected == 2


def test_what_only_databases_can_run_elsewhere_runs_here(judge, result):
    found = one(
        judge, result, type="unexpected_rows_expectation",
        unexpected_rows_query='WITH long AS (SELECT * FROM {batch} WHERE hours > 8) SELECT "k", hours FROM long;',
    )  # fmt: skip
    assert (found.status, found.found) == ("failed", "It finds 2.")
    assert [sample.values for sample in found.samples] == [{"k": "q", "hours": 9.0}, {"k": "r", "hours": 30.0}]
    liked = one(judge, result, type="expect_column_values_to_match_like_pattern", column="skill", like_pattern="d%")
    assert (liked.unexpected, liked.checked) == (1, 3)


def test_a_query_that_does_not_fit_the_data_is_an_error_in_one_sentence(judge, result):
    found = one(
        judge, result, type="unexpected_rows_expectation", unexpected_rows_query="SELECT gone FROM {batch}",
        severity="INFO",
    )  # fmt: skip
    assert (found.status, found.severity) == ("error", "ERROR")
    assert "gone" in found.found
    assert "\n" not in found.found


def test_a_missing_column_is_one_failure_and_the_expectation_is_skipped(judge):
    verdict = judge(TABLE, {"expectations": [{"type": "expect_column_values_to_be_unique", "column": "gone"}]})
    assert {each.rule_id: each.status for each in verdict.results} == {
        "data.rows": "passed",
        "data.column.gone": "failed",
        "data.expect_column_values_to_be_unique.gone": "skipped",
    }


def test_too_many_values_for_pandas_are_an_error_that_says_so(judge, result, monkeypatch):
    monkeypatch.setattr(stock, "MAX_VALUES", 3)
    found = one(judge, result, type="expect_column_values_to_be_json_parseable", column="note")
    assert found.status == "error"
    assert "4 rows of 1 columns in memory; the limit is 3 values" in found.found


# ------------------------------------------------------------------ engine: gx


def test_engine_gx_gives_the_same_verdict_with_the_samples_of_the_scan(publish, as_of):
    stated = {
        "schema": {"hours": "float"}, "required_columns": ["skill", "gone"], "unique_columns": ["k"],
        "range_constraints": {"hours": [0, 24]}, "categorical_constraints": {"skill": ["docs"]},
        "expectations": [{"type": "expect_column_mean_to_be_between", "column": "hours", "max_value": 9, "condition": "k < 'r'"}],
    }  # fmt: skip
    artifact = publish(TABLE)
    scan = validate(artifact, dataset_rules({"data": stated}, "data"), as_of=as_of)
    theirs = validate(artifact, dataset_rules({"data": stated | {"engine": "gx"}}, "data"), as_of=as_of)
    asked = validate(artifact, dataset_rules({"data": stated}, "data"), as_of=as_of, runner="gx")
    assert theirs.results == scan.results == asked.results
    assert {each.status for each in theirs.results} == {"passed", "failed", "skipped"}


def test_engine_gx_on_more_than_pandas_can_hold_is_refused_before_it_starts(publish, as_of, monkeypatch):
    monkeypatch.setattr(stock, "MAX_VALUES", 3)
    with pytest.raises(ConfigError, match="the limit is 3 values"):
        validate(publish(TABLE), dataset_rules({"data": {"engine": "gx"}}, "data"), as_of=as_of)
