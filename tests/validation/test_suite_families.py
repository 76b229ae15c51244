"""The suite of every kind of rule: stock GX loads it, runs it on pandas and comes to our verdict; a golden file of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import great_expectations as gx
import pyarrow as pa
import pytest
from great_expectations.core.expectation_suite import ExpectationSuite, expectationSuiteSchema
from great_expectations.render.renderer.inline_renderer import InlineRenderer
from great_expectations.render.renderer.page_renderer import ExpectationSuitePageRenderer

from airflow_provider_mlpipe.artifacts.artifact import SUITE, VERDICT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.suite_file import suite_file

AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
OURS = {
    "expect_rows_to_hold": "Every row must have",
    "expect_rows_to_add_up": "The sum of",
    "expect_column_values_to_be_in_dataset": "must stand in column",
    "expect_table_row_count_to_be_usual": "Must have about as many rows",
}


@pytest.fixture(scope="module")
def data() -> pa.Table:
    """Rows that break most of the golden rules, and keep some."""
    return pa.table(
        {
            "user_id": ["u1", "u2", "u2", "u4", None],
            "email": ["a@x.org", "nobody", "", None, "b@x.org"],
            "status": ["active", "gone", "active", "left", "left"],
            "a": [1.0, 5.0, 3.0, None, 2.0],
            "b": [2.0, 4.0, 3.0, 1.0, None],
            "net": [1.0, 2.0, 3.0, 4.0, 5.0],
            "tax": [0.5, 0.5, 0.5, 0.5, 0.5],
            "gross": [1.5, 2.5, 3.5, 4.6, None],
            "start": pa.array(
                [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4, 5)], pa.timestamp("us", "UTC")
            ),
            "end": pa.array([datetime(2026, 1, day, tzinfo=UTC) for day in (2, 1, 3, 5, 5)], pa.timestamp("us", "UTC")),
        }
    )


@pytest.fixture
def rules():
    return dataset_rules(GOLDEN / "every_rule.yaml", "data")


def loaded(document) -> ExpectationSuite:
    return ExpectationSuite(**expectationSuiteSchema.load(document))


def on_pandas(table: pa.Table, suite: ExpectationSuite) -> dict[str, bool]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": table.to_pandas()})
    return {
        each.expectation_config.meta["mlpipe"]["rule_id"]: bool(each.success) for each in batch.validate(suite).results
    }


def test_the_suite_is_the_golden_one(rules):
    """Renew it with: mlpipe suite export every_rule.yaml --dataset data --as-of 2026-01-14T02:00:00Z -o every_rule.json."""
    document, text = suite_file(rules, as_of=AS_OF)
    golden = (GOLDEN / "every_rule.json").read_text()
    assert text.decode().replace(rules.document.name, "every_rule.yaml") == golden.rstrip("\n")
    kinds = {each["meta"]["mlpipe"]["type"] for each in document["expectations"]}
    assert kinds >= {
        "rows", "column", "type", "not_null", "unique", "range", "in_set", "pattern", "length", "pair", "sum", "row",
        "reference", "statistic", "fresh", "row_count", "row_count_anomaly", "columns",
    }  # fmt: skip


def test_stock_gx_on_pandas_says_of_the_exported_suite_what_we_say(rules, publish, data):
    users = publish({"id": ["u1", "u2"]})
    verdict = validate(publish(data), rules, as_of=AS_OF, related={"users": users})
    ours = {
        each["expectation_config"]["meta"]["mlpipe"]["rule_id"]: each["success"]
        for each in json.loads(verdict.artifact.read_beside(VERDICT))["results"]
    }
    suite = loaded(json.loads(verdict.artifact.read_beside(SUITE)))
    theirs = on_pandas(data, suite)
    skipped = {each.rule_id for each in verdict.results if each.status == "skipped"}
    # GX alone looks at all rows where it has no words for a condition; the suite says so of that rule.
    blind = {"data.unique.status"}
    assert {
        each.meta["mlpipe"]["rule_id"] for each in suite.expectations if "gx_ignores_condition" in each.meta["mlpipe"]
    } == blind
    assert {name: theirs[name] for name in ours.keys() - blind} == {name: ours[name] for name in ours.keys() - blind}
    assert theirs.keys() - ours.keys() == skipped == {"data.row_count_anomaly"}
    assert sum(ours.values()) > 10
    assert sum(not held for held in ours.values()) > 15


def test_conditions_are_gxs_own_where_it_has_words_for_them(rules):
    document, _ = suite_file(rules, as_of=AS_OF)
    found = {each["meta"]["mlpipe"]["rule_id"]: each for each in document["expectations"]}
    simple = found["data.range.a"]
    assert simple["type"] == "expect_column_values_to_be_between"
    assert simple["kwargs"]["row_condition"]["type"] == "and"
    either = found["data.in_set.status"]
    assert [each["type"] for each in either["kwargs"]["row_condition"]["conditions"]] == ["comparison", "and"]
    hard = found["data.range.b"]
    assert (hard["type"], hard["kwargs"]["rule"]) == ("expect_rows_to_hold", '"b" >= 2')
    assert hard["kwargs"]["condition"] == "a < b or status like 'l%'"
    assert hard["meta"]["mlpipe"]["instead_of"] == "expect_column_values_to_be_between"
    assert found["data.unique.status"]["meta"]["mlpipe"]["gx_ignores_condition"] is True


def test_our_expectations_have_a_sentence_in_old_and_new_renderers(rules):
    suite = loaded(suite_file(rules, as_of=AS_OF)[0])
    seen = set()
    for each in suite.expectations:
        if each.expectation_type in OURS:
            (content,) = InlineRenderer(render_object=each.configuration).get_rendered_content()
            assert OURS[each.expectation_type] in content.value.template
            seen.add(each.expectation_type)
    assert seen == set(OURS)
    page = json.dumps(ExpectationSuitePageRenderer().render(suite).to_json_dict(), default=str)
    for sentence in OURS.values():
        assert sentence in page


def test_freshness_needs_an_instant(rules):
    with pytest.raises(ConfigError, match="the instant to measure age against"):
        suite_file(rules)
