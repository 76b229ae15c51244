"""The suite is Great Expectations' own: stock GX loads it, runs it on pandas and renders it."""

from __future__ import annotations

import json
import logging

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations.core.expectation_suite import ExpectationSuite, expectationSuiteSchema
from great_expectations.render.renderer.inline_renderer import InlineRenderer

from airflow_provider_mlpipe.artifacts.artifact import SUITE, VERDICT

RULES = {
    "schema": {"id": "int", "at": "timestamp"},
    "required_columns": [{"column": "id", "note": "the key"}],
    "unique_columns": ["id", ["id", "kind"]],
    "range_constraints": {"id": {"min": 0, "max": 9, "severity": "WARNING"}, "at": ["2020-01-01", None]},
    "categorical_constraints": {"kind": {"values": ["a", "b"], "severity": "INFO"}},
    "freshness": {"timestamp_column": "at", "max_age_hours": 24},
    "distribution": {
        "kind": {"reference": {"values": ["a", "b"], "weights": [0.5, 0.5]}, "min_rows": 1},
        "id": {"reference": {"bins": [0, 3, 9], "weights": [0.5, 0.5]}, "method": "ks", "min_rows": 1},
    },
}
OURS = {"expect_column_logical_type_to_be", "expect_column_to_be_fresh", "expect_column_drift_to_be_at_most"}


@pytest.fixture
def frame():
    return pd.DataFrame({"id": [1, 2, 3, 4], "kind": list("abab"), "at": pd.to_datetime(["2026-01-13T12:00:00Z"] * 4)})


@pytest.fixture
def suite_file(judge, frame):
    import pyarrow as pa

    verdict = judge(pa.Table.from_pandas(frame, preserve_index=False), RULES)
    assert verdict.passed, verdict.summary()
    return json.loads(verdict.artifact.read_beside(SUITE)), json.loads(verdict.artifact.read_beside(VERDICT))


def loaded(document) -> ExpectationSuite:
    return ExpectationSuite(**expectationSuiteSchema.load(document))


def test_gx_loads_the_suite_with_severity_notes_and_where_each_rule_stands(suite_file):
    suite = loaded(suite_file[0])
    assert len(suite.expectations) == len(suite_file[0]["expectations"])
    by_id = {each.meta["mlpipe"]["rule_id"]: each for each in suite.expectations}
    span = by_id["data.range.id"]
    assert (span.severity.value, span.min_value, span.max_value) == ("warning", 0, 9)
    assert span.notes == "`id` is between 0 and 9."
    assert span.meta["mlpipe"] == {"rule_id": "data.range.id", "type": "range", "where": "validation config"}
    assert by_id["data.in_set.kind"].severity.value == "info"
    assert by_id["data.not_null.id"].meta["mlpipe"]["note"] == "the key"
    assert by_id["data.unique.id+kind"].ignore_row_if == "any_value_is_missing"


def test_gx_without_our_classes_keeps_all_others(suite_file, caplog):
    """What a machine without this package sees: the unknown types are left out, and nothing fails."""
    document = suite_file[0]
    for each in document["expectations"]:
        if each["type"] in OURS:
            each["type"] += "_unknown"
    with caplog.at_level(logging.CRITICAL):
        suite = loaded(document)
    kept = {each.expectation_type for each in suite.expectations}
    assert {"expect_column_values_to_be_between", "expect_compound_columns_to_be_unique"} <= kept
    assert len(suite.expectations) == sum(not each["type"].endswith("_unknown") for each in document["expectations"])


def test_stock_gx_runs_the_whole_suite_on_pandas_and_agrees(suite_file, frame):
    suite = loaded(suite_file[0])
    asset = gx.get_context(mode="ephemeral").data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    outcome = batch.validate(suite)
    assert {r.expectation_config.meta["mlpipe"]["rule_id"]: r.success for r in outcome.results} == {
        r["expectation_config"]["meta"]["mlpipe"]["rule_id"]: r["success"] for r in suite_file[1]["results"]
    }
    stale = frame.assign(at=frame["at"] - pd.Timedelta(days=3), kind="a", id=["1", "2", "3", "x"])
    outcome = asset.get_batch_definition("b").get_batch({"dataframe": stale}).validate(suite)
    failed = {r.expectation_config.type for r in outcome.results if not r.success}
    assert failed >= OURS


def test_our_expectations_have_a_sentence_in_gx_renderers(suite_file):
    from great_expectations.render.renderer.page_renderer import ExpectationSuitePageRenderer

    suite = loaded(suite_file[0])
    for each in suite.expectations:
        if each.expectation_type in OURS:
            (content,) = InlineRenderer(render_object=each.configuration).get_rendered_content()
            assert content.value.template.startswith("$column must"), each.expectation_type
    page = json.dumps(ExpectationSuitePageRenderer().render(suite).to_json_dict(), default=str)
    for sentence in ("must be of type", "hours older than", "from its reference distribution"):
        assert sentence in page


def test_the_result_is_gx_readable(suite_file):
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema

    document = suite_file[1]
    meta = document["meta"]
    read = ExpectationSuiteValidationResultSchema().load({**document, "meta": dict(meta)})
    assert read["success"] is True
    assert len(read["results"]) == meta["mlpipe"]["counts"]["total_checks"]
