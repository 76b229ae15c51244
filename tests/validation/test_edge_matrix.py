"""Every kind of rule on every awkward column: a verdict in a sentence, never a traceback.

What each rule says of which edge is held one by one in test_edges and beside each family; here it is that there is an
answer at all, for every pair, and that it is one of four.
"""
# ruff: noqa: DTZ001 - naive times are among the edges

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts.artifact import REPORT, VERDICT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.config.expectations import CATALOG
from airflow_provider_mlpipe.validation.rules import Rule, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAIVE, AWARE = dt.datetime(2026, 1, 13), dt.datetime(2026, 1, 13, tzinfo=dt.UTC)

EDGES: dict[str, pa.Array] = {
    "empty int": pa.array([], pa.int64()),
    "empty text": pa.array([], pa.string()),
    "one row": pa.array([1]),
    "all null": pa.array([None, None], pa.int64()),
    "no type": pa.nulls(3),
    "text": pa.array(["a", "", None]),
    "text of times": pa.array(["2026-01-13T00:00:00Z", "soon", None]),
    "NaN": pa.array([1.0, math.nan, None]),
    "infinity": pa.array([1.0, math.inf, -math.inf]),
    "decimal": pa.array([Decimal("1.50"), Decimal("-0.25"), None]),
    "wide decimal": pa.array([Decimal(10) ** 30, None], pa.decimal128(38, 4)),
    "nullable int": pa.array([1, None, 3], pa.int32()),
    "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
    "bool": pa.array([True, None, False]),
    "naive time": pa.array([NAIVE, None], pa.timestamp("ns")),
    "aware time": pa.array([AWARE, None], pa.timestamp("ms", "America/New_York")),
    "date": pa.array([NAIVE.date(), None]),
    "clock time": pa.array([dt.time(1, 2), None]),
    "duration": pa.array([dt.timedelta(hours=1), None]),
    "bytes": pa.array([b"\x00", b"\xff", None]),
    "list": pa.array([[1, 2], [], None]),
    "struct": pa.array([{"a": 1}, None, {"a": None}]),
    "map": pa.array([[("x", 1)], None], pa.map_(pa.string(), pa.int64())),
    "dictionary": pa.array(["x", "y", None, "x"]).dictionary_encode(),
}

RULES: dict[str, Any] = {
    "schema": {"c": "int", "other": "int"},
    "schema_strict": True,
    "required_columns": ["c", {"column": "c", "condition": "c is not null", "mostly": 0.5}],
    "unique_columns": ["c", ["c", "other"]],
    "range_constraints": {"c": [0, 2]},
    "categorical_constraints": {"c": [1, "a", True]},
    "patterns": {"c": "^[a-z]"},
    "lengths": {"c": [1, 3]},
    "pairs": ["c >= other"],
    "sums": ["c + other = 3"],
    "row_rules": ["c > 0 or other is null"],
    "statistics": {
        "c": {
            "mean": [0, 1], "median": [0, 1], "std": [0, 1], "sum": [0, 1], "min": [0, 1], "max": [0, 1],
            "distinct": [1, 2], "quantiles": {"0.5": [0, 1]},
        },
    },
    "freshness": {"timestamp_column": "c", "max_age_hours": 48},
    "distribution": {"c": {"reference": {"bins": [0, 1, 2], "weights": [1, 1]}, "min_rows": 1}},
    "row_count": [1, 2],
    "row_count_anomaly": {"min_runs": 2},
    "references": {"c": "others.text", "other": "others.number"},
}  # fmt: skip

BY_NAME: dict[str, Any] = {
    "column": "c", "column_A": "c", "column_B": "other", "column_list": ["c", "other"], "column_set": ["c"],
    "value_set": [1, "a"], "value": 2, "regex": "^[a-z]", "regex_list": ["^a"], "like_pattern": "a%",
    "like_pattern_list": ["a%"], "strftime_format": "%Y", "json_schema": {"type": "object"}, "sum_total": 3,
    "value_pairs_set": [[1, 1], ["a", None]], "threshold": 1, "double_sided": True, "type_": "int", "type_list": ["int"],
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}, "unexpected_rows_query": "SELECT * FROM {batch}",
    "partition_object": {"values": [1, 2], "weights": [0.5, 0.5]}, "max_value": 2,
}  # fmt: skip
EXPECTATIONS = [
    {"type": name, **{key: BY_NAME[key] for key, must in arguments.items() if must or key == "max_value"}}
    for name, arguments in CATALOG.items()
]


OTHERS = {"text": ["a", "b", None], "number": [1, 2, None]}


@pytest.fixture
def others(publish):
    """The dataset that rules refer to."""
    return {"others": publish(OTHERS)}


def table(edge: str) -> pa.Table:
    values = EDGES[edge]
    return pa.table({"c": values, "other": pa.array([1] * len(values), pa.int64())})


def check(verdict, edge: str) -> None:
    """Hold that each rule has an answer in one line, and that nothing of it is a traceback."""
    for each in verdict.results:
        assert each.status in {"passed", "failed", "skipped", "error"}
        assert "\n" not in each.found, (edge, each.rule_id)
        assert each.found.endswith(".") or not each.found, (edge, each.rule_id, each.found)
        if each.status in {"skipped", "error"}:
            assert len(each.found) > len("Skipped: ."), (edge, each.rule_id)
    written = verdict.artifact.read_beside(VERDICT).decode()
    json.loads(written, parse_constant=pytest.fail)
    for page in (written, verdict.artifact.read_beside(REPORT).decode()):
        assert "Traceback" not in page
        assert "<class" not in page


@pytest.mark.parametrize("edge", EDGES)
def test_every_rule_of_ours_has_an_answer(edge, judge, others):
    check(judge(table(edge), RULES, related=others), edge)


@pytest.mark.parametrize("edge", EDGES)
def test_every_edge_may_be_referred_to(edge, judge, publish):
    """The awkward column stands in the other dataset."""
    rules = {"references": {"number": "others.c", "text": "others.c"}}
    check(judge(OTHERS, rules, related={"others": publish(table(edge))}), edge)


@pytest.mark.slow  # stock Great Expectations costs a second for each edge
@pytest.mark.parametrize("edge", EDGES)
def test_every_core_expectation_has_an_answer(edge, judge):
    check(judge(table(edge), {"expectations": EXPECTATIONS}), edge)


@pytest.mark.parametrize("edge", ["NaN", "no type", "struct", "empty int"])
def test_every_expectation_of_the_scan_has_an_answer(edge, judge):
    check(judge(table(edge), {"expectations": [each for each in EXPECTATIONS if each["type"] not in SLOW]}), edge)


SLOW = {
    name for name in CATALOG if any(word in name for word in ("parseable", "json", "strftime", "_type", "creasing"))
}


@pytest.mark.parametrize("stated", [RULES, {"expectations": EXPECTATIONS}], ids=["ours", "by name"])
def test_on_a_missing_column_everything_is_skipped_but_its_existence(stated, judge, others):
    verdict = judge({"other": [1, 2]}, stated, related=others)
    check(verdict, "missing")
    about = [each for each in verdict.results if "c" in each.columns]
    assert {each.status for each in about if each.kind not in {"column", "columns"}} == {"skipped"}
    assert [each.status for each in about if each.kind == "column"] == ["failed"]


def test_no_kind_of_rule_is_forgotten(as_of):
    stated = {**RULES, "expectations": EXPECTATIONS}
    found = {rule.kind for rule in rules_of(dataset_rules({"data": stated}, "data"), as_of)}
    assert found == set(kinds(Rule)) - {Rule.kind}


def kinds(family: type[Rule]) -> Iterator[str]:
    yield family.kind
    for derived in family.__subclasses__():
        yield from kinds(derived)


# ------------------------------------------------------------------ very large


@pytest.mark.slow
def test_two_thousand_columns(judge):
    names = [f"c{number}" for number in range(2000)]
    wide: Mapping[str, Any] = {name: [1, 2, None] for name in names}
    verdict = judge(wide, {"required_columns": names[:50], "range_constraints": {name: [0, 1] for name in names[-50:]}})
    assert verdict.counts["failed"] == 100
    assert len(verdict.artifact.verdict()["columns"]) == 2000


@pytest.mark.slow
def test_texts_of_a_hundred_megabytes(judge, result):
    texts = pa.array(["x" * 100_000_000, "y", None], pa.large_string())
    rules = {
        "schema": {"c": "string"}, "required_columns": ["c"], "unique_columns": ["c"], "lengths": {"c": [1, 10]},
        "patterns": {"c": "^y"}, "categorical_constraints": {"c": ["y"]}, "statistics": {"c": {"distinct": [1, 2]}},
    }  # fmt: skip
    verdict = judge({"c": texts}, rules)
    check(verdict, "100 MB")
    assert result(verdict, "length.c").unexpected == 1
    assert len(verdict.artifact.read_beside(VERDICT)) < 1_000_000
    assert len(verdict.artifact.read_beside(REPORT)) < 300_000
