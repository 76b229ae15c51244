"""The oracle: on any table, the scan's verdict is what stock Great Expectations says on pandas, rule by rule.

Compared are success, every count and every observed value. Where the two differ on purpose, the rule or the value is not
drawn here but listed in docs/how-to/great-expectations.md, and a test of its own holds the difference.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.config.expectations import CATALOG
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.gx.stock import find_on_pandas
from airflow_provider_mlpipe.validation.judgement import judge_all
from airflow_provider_mlpipe.validation.rules import Rule, rules_of
from airflow_provider_mlpipe.validation.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = ("element_count", "unexpected_count", "missing_count", "unexpected_percent", "missing_percent")
AS_OF = instant("2026-01-14T02:00:00Z")

# ------------------------------------------------------------------ every rule of ours that GX's own classes express

RULES: dict[str, Any] = {
    "allow_empty": False,
    "required_columns": ["i", "f", {"column": "s", "condition": "i > 0"}, {"column": "t", "mostly": 0.8}],
    "unique_columns": ["i", "f", "s", "t", ["s", "b"], ["i", "f", "s"]],
    "range_constraints": {
        "i": [-5, 5],
        "f": {"min": 0.0, "mostly": 0.7},
        "d": [0, 1.5],
        "b": [0, 0],
        "t": ["2020-01-05", "2020-01-20T12:00:00"],
    },
    "categorical_constraints": {
        "s": {"values": ["a", "b", "", "ä"], "mostly": 0.5},
        "i": [1, 2.0, 3, "4"],
        "f": [1, 0.5, -2.0],
        "b": [True],
    },
    "patterns": {"s": "^[a-c]"},
    "lengths": {"s": [1, 2]},
    "pairs": ["i >= f", {"pair": "i = j", "mostly": 0.5}, "t < t2"],
    "sums": ["i + j = 3", {"sum": "f + i = 1", "tolerance": 0.5}],
    "row_rules": ["i + j < 4", {"rule": "s <> 'a' or b", "nulls": "fail"}],
    "statistics": {
        "i": {
            "mean": [-1, 1],
            "median": [-1, 1],
            "min": [-6, None],
            "max": [None, 4],
            "std": [0, 5],
            "sum": [-5, 5],
            "distinct": [2, 5],
            "quantiles": {"0.5": [-1, 1], "0.9": {"max": 2, "condition": "j >= 0"}},
        },
        "t": {"max": ["2020-01-02", None]},
    },
    "row_count": [2, 20],
}

# ------------------------------------------------------------------ every core expectation


def of(type_: str, **arguments: Any) -> dict[str, Any]:
    return {"type": type_, **arguments}


EXPECTATIONS = [
    of("expect_column_distinct_values_to_be_in_set", column="s", value_set=["a", "b", "", "ä"]),
    of("expect_column_distinct_values_to_contain_set", column="i", value_set=[0, 1]),
    of("expect_column_distinct_values_to_equal_set", column="b", value_set=[True, False]),
    of("expect_column_max_to_be_between", column="f", max_value=4, strict_max=True),
    of("expect_column_max_to_be_between", column="t", min_value="2020-01-02", max_value="2020-02-01"),
    of("expect_column_mean_to_be_between", column="i", min_value=-1, max_value=1),
    of("expect_column_median_to_be_between", column="f", min_value=-1, max_value=1),
    of("expect_column_min_to_be_between", column="i", min_value=-6),
    of("expect_column_most_common_value_to_be_in_set", column="s", value_set=["a", "b"]),
    of("expect_column_most_common_value_to_be_in_set", column="i", value_set=[0, 1], ties_okay=True),
    of("expect_column_pair_values_a_to_be_greater_than_b", column_A="i", column_B="f", or_equal=True),
    of("expect_column_pair_values_a_to_be_greater_than_b", column_A="i", column_B="j", mostly=0.5,
       ignore_row_if="either_value_is_missing"),
    of("expect_column_pair_values_to_be_equal", column_A="i", column_B="j", ignore_row_if="neither"),
    of("expect_column_pair_values_to_be_in_set", column_A="s", column_B="b",
       value_pairs_set=[["a", True], ["b", False], ["", None]]),
    of("expect_column_proportion_of_non_null_values_to_be_between", column="f", min_value=0.6),
    of("expect_column_proportion_of_unique_values_to_be_between", column="i", min_value=0.4),
    of("expect_column_quantile_values_to_be_between", column="i",
       quantile_ranges={"quantiles": [0.1, 0.5, 0.9], "value_ranges": [[None, 0], [-2, 2], [0, None]]}),
    of("expect_column_quantile_values_to_be_between", column="j", allow_relative_error="linear",
       quantile_ranges={"quantiles": [0.3], "value_ranges": [[-2, 2]]}),
    of("expect_column_quantile_values_to_be_between", column="i", allow_relative_error="midpoint",
       quantile_ranges={"quantiles": [0.3], "value_ranges": [[-2, 2]]}),
    of("expect_column_stdev_to_be_between", column="i", min_value=1, max_value=5),
    of("expect_column_sum_to_be_between", column="i", min_value=-5, max_value=5),
    of("expect_column_to_exist", column="f", column_index=1),
    of("expect_column_unique_value_count_to_be_between", column="s", min_value=2, max_value=5),
    of("expect_column_value_lengths_to_be_between", column="s", min_value=1, strict_min=True),
    of("expect_column_value_lengths_to_equal", column="s", value=1, mostly=0.5),
    of("expect_column_value_z_scores_to_be_less_than", column="i", threshold=1.2, double_sided=True),
    of("expect_column_value_z_scores_to_be_less_than", column="f", threshold=1.2, double_sided=False),
    of("expect_column_values_to_be_between", column="f", min_value=-2, max_value=2, strict_max=True),
    of("expect_column_values_to_be_between", column="t", min_value="2020-01-03", strict_min=True),
    of("expect_column_values_to_be_in_set", column="i", value_set=[0, 1, 2]),
    of("expect_column_values_to_be_null", column="f", mostly=0.3),
    of("expect_column_values_to_be_unique", column="i"),
    of("expect_column_values_to_match_regex", column="s", regex="^[a-c]"),
    of("expect_column_values_to_match_regex_list", column="s", regex_list=["^a", "b$"], match_on="all"),
    of("expect_column_values_to_not_be_in_set", column="s", value_set=["a", "b"]),
    of("expect_column_values_to_not_be_null", column="i", mostly=0.7),
    of("expect_column_values_to_not_match_regex", column="s", regex="[0-9]"),
    of("expect_column_values_to_not_match_regex_list", column="s", regex_list=["^a", "ä"]),
    of("expect_compound_columns_to_be_unique", column_list=["i", "s"]),
    of("expect_compound_columns_to_be_unique", column_list=["b", "s"], ignore_row_if="never"),
    of("expect_multicolumn_sum_to_equal", column_list=["i", "j"], sum_total=3),
    of("expect_multicolumn_values_to_be_equal", column_list=["i", "j"]),
    of("expect_select_column_values_to_be_unique_within_record", column_list=["i", "j", "f"]),
    of("expect_table_column_count_to_be_between", min_value=1, max_value=9),
    of("expect_table_column_count_to_equal", value=8),
    of("expect_table_columns_to_match_ordered_list", column_list=["i", "f"]),
    of("expect_table_columns_to_match_set", column_set=["i", "f"], exact_match=False),
    of("expect_table_row_count_to_be_between", min_value=2, max_value=20),
    of("expect_table_row_count_to_equal", value=3),
]  # fmt: skip
"""Each that the scan answers itself. A test below holds that none is forgotten."""

ON_PANDAS_ANYHOW = {
    "expect_column_kl_divergence_to_be_less_than", "expect_column_type_to_be", "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_dateutil_parseable", "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_increasing", "expect_column_values_to_be_json_parseable",
    "expect_column_values_to_be_of_type", "expect_column_values_to_match_json_schema",
    "expect_column_values_to_match_strftime_format", "expect_column_values_to_not_be_outliers",
}  # fmt: skip
"""What runs on stock Great Expectations in any case: there is nothing to compare."""

ON_SQL_ONLY = {
    "expect_column_values_to_match_like_pattern", "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern", "expect_column_values_to_not_match_like_pattern_list",
    "unexpected_rows_expectation",
}  # fmt: skip
"""What Great Expectations has for SQL databases only: there is nothing to compare with."""


def rare(some: st.SearchStrategy[Any], holes: bool) -> st.SearchStrategy[Any]:
    return st.one_of(some, some, st.none()) if holes else some


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw rows with nulls, NaN, infinities, duplicates, empty and non-ASCII text."""
    holes, wide = draw(st.booleans()), draw(st.booleans())
    numbers = st.integers(-1000, 1000) if wide else st.integers(-3, 3)
    floats = st.sampled_from([0.5, -2.0, 1.0, 0.0, -0.0, 3.75, math.inf, -math.inf, math.nan])
    if draw(st.booleans()):  # without infinities there is more to compute
        floats = st.sampled_from([0.5, -2.0, 1.0, 0.0, 3.75, 2.0, math.nan])
    instants = st.integers(0, 40 * 24).map(
        lambda hours: dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
    )
    columns = {
        "i": (numbers, pa.int64()),
        "f": (floats, pa.float64()),
        "s": (st.sampled_from(["a", "b", "", "ä", "A", " a", "b1", "cab"]), pa.string()),
        "b": (st.booleans(), pa.bool_()),
        "t": (instants, pa.timestamp("us", "UTC")),
        "t2": (instants, pa.timestamp("ns")),
        "j": (numbers, pa.int32()),
        "d": (st.sampled_from([Decimal("0.00"), Decimal("1.50"), Decimal("-0.25")]), pa.decimal128(9, 2)),
    }
    rows = draw(st.sampled_from([0, 1, 2, 3, 12, 30]))
    drawn = {
        name: pa.array(draw(st.lists(rare(values, holes), min_size=rows, max_size=rows)), kind)
        for name, (values, kind) in columns.items()
    }
    return pa.table(drawn)


def compared(table: pa.Table, stated: dict[str, Any]) -> tuple[list[str], dict[str, set[bool]]]:
    """Judge by both; return how they differ, and what each rule's outcome was."""
    rules = rules_of(dataset_rules({"data": stated}, "data"), AS_OF)
    with DuckDBEngine.open() as engine:
        frame = Frame.of_table(engine, table)
        findings = Scan(frame, rules).findings
        settled = [rule for rule in rules if findings[rule.rule_id].result is None]
        asked = [rule for rule in settled if not findings[rule.rule_id].skipped]
        ours = judge_all(frame, rules, findings, "data").evaluated
        theirs = find_on_pandas(frame, asked, list(frame.names))
    by_id = {each.expectation_config.meta["mlpipe"]["rule_id"]: each.to_json_dict() for each in ours}
    found, outcomes = [], {}
    for rule in asked:
        our, their = by_id[rule.rule_id], theirs[rule.rule_id]
        outcomes[rule.rule_id] = {our["success"]}
        if their.problem or findings[rule.rule_id].problem:
            if bool(their.problem) != bool(findings[rule.rule_id].problem):
                found.append(f"{rule.rule_id}: {their.problem!r} against {findings[rule.rule_id].problem!r}")
            continue
        found += differences(rule.rule_id, our, their.result.to_json_dict())
    return found, outcomes


def differences(rule_id: str, our: dict[str, Any], their: dict[str, Any]) -> list[str]:
    said = []
    if our["success"] != their["success"]:
        said.append(f"{rule_id}: success {our['success']} against {their['success']}")
    for name in (*COUNTS, "observed_value"):
        mine, other = our["result"].get(name), their["result"].get(name)
        if not alike(mine, other):
            said.append(f"{rule_id}: {name} {mine!r} against {other!r}")
    return said


def alike(mine: Any, other: Any) -> bool:
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(alike(mine[name], other[name]) for name in mine)
    if isinstance(mine, list) and isinstance(other, list):
        return len(mine) == len(other) and all(map(alike, mine, other))
    if mine is None or other is None:
        return {mine, other} <= {None, "NaT"}
    if isinstance(mine, (int, float)) and isinstance(other, (int, float)):
        return mine == pytest.approx(other, nan_ok=True)
    return mine == other or str(mine) == str(other)


few = settings(
    max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # an example takes a second, and a difference names its rule: shrinking is not worth it
)  # fmt: skip
many = settings(few, max_examples=25)


@few
@given(tables())
def test_the_scan_agrees_with_stock_gx_on_pandas(table):
    assert compared(table, RULES)[0] == []


@few
@given(tables())
def test_the_scan_agrees_on_expectations_by_their_own_names(table):
    assert compared(table, {"expectations": EXPECTATIONS})[0] == []


@pytest.mark.slow
@pytest.mark.parametrize("stated", [RULES, {"expectations": EXPECTATIONS}], ids=["ours", "by name"])
def test_the_scan_agrees_on_many_tables_and_nearly_every_rule_both_holds_and_fails(stated):
    """The comparison would say little if all tables gave the same verdicts."""
    seen: dict[str, set[bool]] = {}

    @many
    @given(tables())
    def judge(table: pa.Table) -> None:
        found, outcomes = compared(table, stated)
        assert found == []
        for rule_id, outcome in outcomes.items():
            seen.setdefault(rule_id, set()).update(outcome)

    judge()
    always = {rule_id for rule_id, outcomes in seen.items() if len(outcomes) == 1}
    lopsided = [each for each in always if not each.startswith(("data.column.", "data.expect_table_col", *FIXED))]
    assert len(lopsided) <= len(seen) / 10, lopsided


FIXED = ("data.expect_column_to_exist",)


def test_every_core_expectation_is_compared_or_said_not_to_be():
    compared_ = {each["type"] for each in EXPECTATIONS}
    assert compared_ | ON_PANDAS_ANYHOW | ON_SQL_ONLY == set(CATALOG)
    assert not compared_ & (ON_PANDAS_ANYHOW | ON_SQL_ONLY)


def test_every_kind_of_rule_is_compared_or_ours_alone():
    compared_ = {rule.kind for rule in rules_of(dataset_rules({"data": RULES}, "data"), AS_OF)}
    assert compared_ | OURS_ALONE == set(kinds(Rule)) - {Rule.kind}
    assert not compared_ & OURS_ALONE - {"row"}


OURS_ALONE = {"type", "fresh", "drift", "reference", "row_count_anomaly", "columns", "expectation"}
"""What Great Expectations has no class for (tests of their own hold them), and its own by name, which are above."""


def kinds(family: type[Rule]) -> Iterator[str]:
    """Yield the kind of a class of rules and of all that derive from it."""
    yield family.kind
    for derived in family.__subclasses__():
        yield from kinds(derived)
