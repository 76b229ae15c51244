"""The oracle: on any table, the scan's verdict is what stock Great Expectations says on pandas, rule by rule.

Tables are drawn from a seed; times are aware, as GX cannot compare naive ones with a bound. Compared are success and every number of the result, for the types that are GX's own.
"""

from __future__ import annotations

import json
import math
import random
from typing import Any

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pytest
from great_expectations.core.expectation_suite import ExpectationSuite, expectationSuiteSchema

from airflow_provider_mlpipe.artifacts.artifact import SUITE, VERDICT

NUMBERS = (
    "element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent",
    "unexpected_percent_total", "unexpected_percent_nonmissing",
)  # fmt: skip
SEEDS = 16
RULES = {
    "required_columns": ["i", "f", "s", {"column": "t", "mostly": 0.8}, "gone"],
    "unique_columns": ["i", "f", "s", "t", ["s", "b"], ["i", "f", "s"]],
    "range_constraints": {
        "i": [-5, 5],
        "f": {"min": 0.0, "mostly": 0.7},
        "b": [0, 0],
        "t": ["2020-01-05", "2020-01-20T12:00:00"],
    },
    "categorical_constraints": {
        "s": {"values": ["a", "b", "", "ä"], "mostly": 0.5},
        "i": [1, 2.0, 3, "4"],
        "f": [1, 0.5, -2.0],
        "b": [True],
    },
}


def drawn(seed: int) -> pa.Table:
    """Return a table with nulls, NaN, infinities, duplicates, empty and non-ASCII text, in shares that vary by seed."""
    rnd = random.Random(seed)
    rows = rnd.choice([0, 1, 2, 3, 20, 60])
    holes = rnd.choice([0.0, 0.1, 0.5, 1.0])
    width = rnd.choice([2, 8, 1000])

    def column(draw: Any) -> list[Any]:
        return [None if rnd.random() < holes else draw() for _ in range(rows)]

    floats = [0.5, -2.0, 1.0, 0.0, -0.0, math.inf, -math.inf, math.nan]
    return pa.table(
        {
            "i": pa.array(column(lambda: rnd.randint(-width, width)), pa.int64()),
            "f": pa.array(column(lambda: rnd.choice([*floats, rnd.uniform(-width, width)])), pa.float64()),
            "s": pa.array(
                column(lambda: rnd.choice(["a", "b", "", "ä", "A", " a", str(rnd.randint(0, width))])), pa.string()
            ),
            "b": pa.array(column(lambda: rnd.random() < 0.5), pa.bool_()),
            "t": pa.array(
                column(lambda: pd.Timestamp("2020-01-01", tz="UTC") + pd.Timedelta(hours=rnd.randint(0, 40 * width))),
                pa.timestamp("us", "UTC"),
            ),
        }
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_scan_agrees_with_stock_gx_on_pandas(seed, judge):
    table = drawn(seed)
    verdict = judge(table, RULES)
    suite = ExpectationSuite(**expectationSuiteSchema.load(json.loads(verdict.artifact.read_beside(SUITE))))
    suite.expectations = [each for each in suite.expectations if getattr(each, "column", "") != "gone"]
    theirs = by_rule(on_pandas(table, suite))
    ours = by_rule(json.loads(verdict.artifact.read_beside(VERDICT))["results"])
    assert ours.keys() - theirs.keys() == {"data.column.gone"}
    for rule_id, their in theirs.items():
        assert ours[rule_id]["success"] == their["success"], (rule_id, ours[rule_id], their)
        for name in NUMBERS:
            assert ours[rule_id]["result"].get(name) == pytest.approx(their["result"].get(name)), (rule_id, name)


def on_pandas(table: pa.Table, suite: ExpectationSuite) -> list[dict[str, Any]]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    # Nullable types, as plain numpy has no integers and booleans with nulls; NaN is a null on both sides.
    frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get)
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    return [each.to_json_dict() for each in batch.validate(suite, result_format="SUMMARY").results]


def by_rule(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["expectation_config"]["meta"]["mlpipe"]["rule_id"]: each for each in results}


def test_the_draws_cover_passes_and_failures_of_every_rule(judge):
    """The comparison would say little if all seeds gave the same verdicts."""
    seen: dict[str, set[bool]] = {}
    for seed in range(SEEDS):
        for each in judge(drawn(seed), RULES).results:
            seen.setdefault(each.rule_id, set()).add(each.passed)
    assert {rule for rule, outcomes in seen.items() if len(outcomes) == 1 and "gone" not in rule} <= {
        f"data.column.{name}" for name in "ifsbt"
    }
