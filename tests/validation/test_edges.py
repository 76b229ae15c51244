"""The table of edges: what each rule says of data that is empty, missing, of the wrong type, or hostile."""
# ruff: noqa: DTZ001 - naive times are among the edges

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts.artifact import SUITE, VERDICT


def statuses(verdict) -> dict[str, str]:
    return {each.rule_id.removeprefix("data."): each.status for each in verdict.results}


def only(verdict, *, without=("rows", "column")) -> dict[str, str]:
    return {name: status for name, status in statuses(verdict).items() if name.split(".")[0] not in without}


# ------------------------------------------------------------------ few or no rows

ALL = {
    "schema": {"k": "string"},
    "required_columns": ["k"],
    "unique_columns": ["k"],
    "categorical_constraints": {"k": ["x"]},
    "range_constraints": {"n": [0, 1]},
    "freshness": {"timestamp_column": "t", "max_age_hours": 1},
}
EMPTY = pa.table(
    {"k": pa.array([], pa.string()), "n": pa.array([], pa.int32()), "t": pa.array([], pa.timestamp("us", "UTC"))}
)


def test_an_empty_table_fails_for_being_empty_and_for_nothing_else(judge):
    verdict = judge(EMPTY, ALL)
    assert [name for name, status in statuses(verdict).items() if status == "failed"] == ["rows"]
    assert statuses(verdict)["fresh.t"] == "skipped"
    assert verdict.counts["rows_validated"] == 0


def test_an_empty_table_may_be_allowed(judge):
    verdict = judge(EMPTY, ALL | {"allow_empty": True})
    assert verdict.passed
    assert "failed" not in statuses(verdict).values()


def test_one_row(judge, as_of):
    good = {"k": ["x"], "n": [1], "t": pa.array([as_of], pa.timestamp("us", "UTC"))}
    assert judge(good, ALL).passed
    assert not judge(good | {"n": [2]}, ALL).passed


def test_a_column_of_nulls_is_only_incomplete_and_stale(judge):
    nulls = {"k": pa.nulls(3, pa.string()), "n": pa.nulls(3, pa.int64()), "t": pa.nulls(3, pa.timestamp("us"))}
    assert {name for name, status in statuses(judge(nulls, ALL)).items() if status == "failed"} == {
        "not_null.k",
        "fresh.t",
    }


def test_a_column_without_a_type_counts_as_one_of_nulls(judge):
    """Arrow's null type: what a reader of JSON or a database makes of a column in which nothing ever stood."""
    untyped = {"k": pa.nulls(3), "n": pa.nulls(3), "t": pa.nulls(3)}
    verdict = judge(untyped, ALL | {"schema": {"k": "string", "n": "int"}})
    assert {name for name, status in statuses(verdict).items() if status != "passed"} == {"not_null.k", "fresh.t"}


# ------------------------------------------------------------------ missing columns


def test_a_missing_column_is_one_failure_and_its_rules_are_skipped(judge, result):
    verdict = judge({"key": ["x"], "n": [1], "t": ["2026-01-14T02:00:00Z"]}, ALL)
    assert {name for name, status in statuses(verdict).items() if status == "failed"} == {"column.k"}
    assert {name for name, status in statuses(verdict).items() if status == "skipped"} == {
        "type.k", "not_null.k", "unique.k", "in_set.k",
    }  # fmt: skip
    assert result(verdict, "column.k").found == "It is missing."
    assert (verdict.counts["total_checks"], verdict.counts["skipped"]) == (6, 4)


def test_a_name_that_is_nearly_there_is_suggested(judge, result):
    verdict = judge({"user_id": ["x"]}, {"required_columns": ["userid"]})
    assert result(verdict, "column.userid").found == "It is missing. Did you mean 'user_id'?"


def test_a_composite_key_with_a_missing_column_is_skipped(judge):
    verdict = judge({"a": [1, 1]}, {"unique_columns": [["a", "gone"]]})
    assert statuses(verdict) == {
        "rows": "passed",
        "column.a": "passed",
        "column.gone": "failed",
        "unique.a+gone": "skipped",
    }


def test_column_names_are_exact(judge):
    assert statuses(judge({"Age": [1]}, {"required_columns": ["age"]}))["column.age"] == "failed"
    both = {"required_columns": ["age"], "range_constraints": {"AGE": [0, 1], "age": [5, 6]}}
    assert set(statuses(judge({"AGE": [1], "age": [5]}, both)).values()) == {"passed"}


# ------------------------------------------------------------------ types


@pytest.mark.parametrize(
    ("array", "logical"),
    [
        (pa.array(["x"], pa.large_string()), "string"),
        (pa.array(["x"]).dictionary_encode(), "string"),
        (pa.array([1], pa.uint8()), "int"),
        (pa.array([2**64 - 1], pa.uint64()), "int"),
        (pa.array([1.5], pa.float32()), "float"),
        (pa.array([True]), "bool"),
        (pa.array([1], pa.timestamp("ns")), "timestamp"),
        (pa.array([1], pa.timestamp("s", "Europe/Berlin")), "timestamp"),
        (pa.array([dt.date(2020, 1, 1)]), "date"),
        (pa.array([Decimal("1.10")]), "decimal"),
        (pa.array([b"x"]), "binary"),
        (pa.array([[1]]), "list"),
        (pa.array([{"a": 1}]), "struct"),
    ],
)
def test_a_logical_type_is_any_width_of_it_and_nothing_else(array, logical, judge):
    kinds = ("string", "int", "float", "bool", "timestamp", "date", "decimal", "binary", "list", "struct")
    for kind in kinds:
        expected = "passed" if kind == logical else "failed"
        assert statuses(judge({"c": array}, {"schema": {"c": kind}}))["type.c"] == expected, kind


NUMERIC = {
    "int8": pa.array([0, 1, None], pa.int8()),
    "uint64": pa.array([0, 1, None], pa.uint64()),
    "float32": pa.array([0.0, 1.0, None], pa.float32()),
    "float64 with NaN": pa.array([0.0, 1.0, math.nan]),
    "decimal": pa.array([Decimal("0.00"), Decimal("1.00"), None]),
    "wide decimal": pa.array([Decimal(0), Decimal(1), None], pa.decimal128(38, 18)),
    "bool": pa.array([False, True, None]),
}


@pytest.mark.parametrize("name", NUMERIC)
def test_ranges_and_lists_of_numbers_work_for_every_numeric_type(name, judge, result):
    array = NUMERIC[name]
    assert only(judge({"n": array}, {"range_constraints": {"n": [0, 1]}})) == {"range.n": "passed"}
    assert only(judge({"n": array}, {"range_constraints": {"n": [-(10**12), 10**30]}})) == {"range.n": "passed"}
    outside = result(judge({"n": array}, {"range_constraints": {"n": [0.5, 1]}}), "range.n")
    assert (outside.status, outside.unexpected, outside.checked) == ("failed", 1, 2)
    truth = [False, True] if name == "bool" else [0, 1]
    assert only(judge({"n": array}, {"categorical_constraints": {"n": truth}})) == {"in_set.n": "passed"}
    strange = result(
        judge({"n": array}, {"categorical_constraints": {"n": [*truth[1:], "0", None, 2**70]}}), "in_set.n"
    )
    assert (strange.status, strange.unexpected) == ("failed", 1)


def test_big_integers_are_compared_exactly(judge, result):
    edge = 2**53
    table = {"n": pa.array([edge, edge + 1], pa.int64())}
    assert result(judge(table, {"range_constraints": {"n": [0, edge]}}), "range.n").unexpected == 1
    assert result(judge(table, {"categorical_constraints": {"n": [edge]}}), "in_set.n").unexpected == 1


def test_infinity_counts_and_nan_is_null(judge, result):
    table = {"x": [1.0, math.inf, -math.inf, math.nan, None]}
    verdict = judge(table, {"required_columns": ["x"], "range_constraints": {"x": [0, 10]}, "unique_columns": ["x"]})
    assert result(verdict, "not_null.x").unexpected == 2
    span = result(verdict, "range.x")
    assert (span.unexpected, span.checked) == (2, 3)
    assert {sample.values["x"] for sample in span.samples} == {"Infinity", "-Infinity"}
    assert result(verdict, "unique.x").passed


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
@pytest.mark.parametrize("values", [[0.0, 1.0, math.nan], [math.nan] * 3, [1.0, math.nan, None], [math.inf, math.nan]])
def test_nan_is_null_whatever_the_parquet_footer_says(values, kind, judge, result):
    """Footers leave NaN out of their extremes, from which DuckDB concludes that there is none."""
    present = [value for value in values if value is not None and not math.isnan(value)]
    rules = {
        "required_columns": ["x"], "range_constraints": {"x": [0, 0.5]}, "unique_columns": ["k", "x"],
        "categorical_constraints": {"x": [1]},
    }  # fmt: skip
    verdict = judge({"k": list(range(len(values))), "x": pa.array(values, kind)}, rules)
    holes = result(verdict, "not_null.x")
    assert (holes.unexpected, len(holes.samples)) == (len(values) - len(present),) * 2
    assert [result(verdict, name).checked for name in ("range.x", "unique.x", "in_set.x")] == [len(present)] * 3
    assert result(verdict, "range.x").unexpected == sum(value > 0.5 for value in present)
    assert result(verdict, "in_set.x").unexpected == sum(value != 1 for value in present)
    (column,) = [each for each in verdict.artifact.verdict()["columns"] if each["name"] == "x"]
    assert (column["nulls"], column["distinct"]) == (len(values) - len(present), len(set(present)))


def test_an_open_range_holds_infinity(judge):
    rules = {"range_constraints": {"x": {"min": 0, "max": math.inf}}}
    verdict = judge({"x": [1.0, math.inf]}, rules)
    assert verdict.passed
    json.loads(verdict.artifact.read_beside(SUITE), parse_constant=pytest.fail)


CANNOT = {
    "range of text": ({"c": ["a"]}, {"range_constraints": {"c": [0, 1]}}, "range.c", "numbers"),
    "range of numbers in times": ({"c": [1]}, {"range_constraints": {"c": ["2020-01-01", None]}}, "range.c", "times"),
    "range of a list": ({"c": [[1]]}, {"range_constraints": {"c": [0, 1]}}, "range.c", "type list"),
    "list of a struct": ({"c": [{"a": 1}]}, {"categorical_constraints": {"c": [1]}}, "in_set.c", "type struct"),
    "list of bytes": ({"c": [b"a"]}, {"categorical_constraints": {"c": ["a"]}}, "in_set.c", "type binary"),
    "age of a number": ({"c": [1]}, {"freshness": {"timestamp_column": "c", "max_age_hours": 1}}, "fresh.c", "not a time"),
    "age of text": ({"c": ["x"]}, {"freshness": {"timestamp_column": "c", "max_age_hours": 1}}, "fresh.c", "no text"),
}  # fmt: skip


@pytest.mark.parametrize("case", CANNOT)
def test_a_rule_that_cannot_run_is_an_error_in_one_sentence_and_blocks(case, judge, result):
    table, rules, rule_id, reason = CANNOT[case]
    (key,) = rules
    lenient = {key: {name: _lenient(rule) for name, rule in rules[key].items()} if key != "freshness" else rules[key]}
    verdict = judge(table, lenient)
    found = result(verdict, rule_id)
    assert (found.status, found.severity, verdict.passed) == ("error", "ERROR", False)
    assert reason in found.found
    assert found.found.endswith(".")
    assert "\n" not in found.found
    document = json.loads(verdict.artifact.read_beside(VERDICT))
    (theirs,) = [each for each in document["results"] if each["exception_info"]["raised_exception"]]
    assert theirs["success"] is False
    assert "Traceback" not in json.dumps(document)


def _lenient(rule):
    """Say the rule with severity INFO: that it cannot run blocks all the same."""
    return (
        {"values": rule, "severity": "INFO"} if len(rule) == 1 else {"min": rule[0], "max": rule[1], "severity": "INFO"}
    )


# ------------------------------------------------------------------ time

FRESH = {"freshness": {"timestamp_column": "t", "max_age_hours": 24, "max_future_hours": 1}}


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("array", "status"),
    [
        (pa.array([utc(2026, 1, 13, 2)], pa.timestamp("us", "UTC")), "passed"),  # exactly the limit
        (pa.array([utc(2026, 1, 13, 1, 59, 59)], pa.timestamp("us", "UTC")), "failed"),
        (pa.array([utc(2026, 1, 14, 3)], pa.timestamp("us", "UTC")), "passed"),
        (pa.array([utc(2026, 1, 14, 3, 0, 1)], pa.timestamp("us", "UTC")), "failed"),  # too far in the future
        (pa.array([dt.datetime(2026, 1, 13, 2)], pa.timestamp("ns")), "passed"),  # naive is UTC
        (pa.array([dt.datetime(2026, 1, 13, 1)], pa.timestamp("s")), "failed"),
        (pa.array([utc(2026, 1, 13, 2)], pa.timestamp("ms", "America/New_York")), "passed"),
        (pa.array([dt.date(2026, 1, 14)]), "passed"),
        (pa.array([dt.date(2026, 1, 13)]), "failed"),  # a date is its midnight
        (pa.array(["2026-01-13T04:00:00+02:00"]), "passed"),
        (pa.array(["2026-01-13 02:00:00", "not a time"]), "passed"),
        (pa.array(["2026-01-13"]), "failed"),
        (pa.array(["infinity"]), "failed"),
        (pa.array([None, None], pa.timestamp("us")), "failed"),
        (pa.array([None], pa.string()), "failed"),
    ],
)
def test_freshness_of_every_kind_of_time(array, status, judge):
    assert statuses(judge({"t": array}, FRESH))["fresh.t"] == status


def test_freshness_says_how_old_and_what_it_could_not_read(judge, result):
    found = result(judge({"t": ["2026-01-12T02:00:00Z", "x", "y"]}, FRESH), "fresh.t")
    assert found.found == "It is of 2026-01-12 02:00 UTC, 48.0 h older. 2 texts are not times and were left out."


@pytest.mark.parametrize(
    "array",
    [
        pa.array([utc(2020, 1, 1), utc(2020, 6, 1), utc(2021, 1, 1)], pa.timestamp("us", "UTC")),
        pa.array([dt.datetime(2020, 1, 1), dt.datetime(2020, 6, 1), dt.datetime(2021, 1, 1)], pa.timestamp("ns")),
        pa.array([dt.date(2020, 1, 1), dt.date(2020, 6, 1), dt.date(2021, 1, 1)]),
    ],
)
def test_ranges_and_lists_of_times(array, judge, result):
    rules = {
        "range_constraints": {"t": ["2020-01-01", "2020-12-31T23:59:59Z"]},
        "categorical_constraints": {"t": ["2020-01-01T00:00:00Z", "2021-01-01", "never"]},
    }
    verdict = judge({"t": array}, rules)
    assert result(verdict, "range.t").unexpected == 1
    assert result(verdict, "range.t").samples[0].values["t"].startswith("2021-01-01")
    assert result(verdict, "in_set.t").samples[0].values["t"].startswith("2020-06-01")


# ------------------------------------------------------------------ keys


def test_rows_with_a_null_in_the_key_do_not_count(judge, result):
    table = {"a": [1, 1, None, None, 1], "b": ["x", None, "x", "x", "x"]}
    found = result(judge(table, {"unique_columns": [["a", "b"]]}), "unique.a+b")
    assert (found.unexpected, found.checked) == (2, 2)
    assert [sample.as_dict() for sample in found.samples] == [{"values": {"a": 1, "b": "x"}, "key": {}, "rows": 2}]


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2], [1, 2], [3]],
        [{"a": 1}, {"a": 1}, {"a": 2}],
        [b"\x00", b"\x00", b"\xff"],
        [0.0, -0.0, 1.0],
        [Decimal("1.0"), Decimal("1.0"), Decimal("2.0")],
        [dt.date(2020, 1, 1), dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
    ],
)
def test_keys_of_any_type(values, judge, result):
    found = result(judge({"k": values}, {"unique_columns": ["k"]}), "unique.k")
    assert (found.unexpected, found.checked) == (2, 3)


def test_a_sample_names_the_row_by_its_key_and_most_frequent_values_come_first(judge, result):
    table = {"k": [3, 1, 2, 4], "c": ["bad", "bad", "worse", "ok"]}
    found = result(judge(table, {"unique_columns": ["k"], "categorical_constraints": {"c": ["ok"]}}), "in_set.c")
    assert [sample.as_dict() for sample in found.samples] == [
        {"values": {"c": "bad"}, "key": {"k": 1}, "rows": 2},
        {"values": {"c": "worse"}, "key": {"k": 2}, "rows": 1},
    ]


# ------------------------------------------------------------------ mostly


def test_mostly_is_a_share_of_the_values_that_are_there(judge, result):
    table = {"n": [1] * 9 + [99] + [None] * 10}
    for mostly, status in ((0.9, "passed"), (0.91, "failed")):
        found = result(judge(table, {"range_constraints": {"n": {"max": 9, "mostly": mostly}}}), "range.n")
        assert (found.status, found.unexpected, found.checked) == (status, 1, 10)
        assert len(found.samples) == (status == "failed")


def test_rows_that_look_the_same_are_one_sample(judge, result):
    """Without a key nobody could tell them apart; the count says how many there are."""
    span = result(judge({"age": [31, 31, 31, 40, 2]}, {"range_constraints": {"age": [0, 30]}}), "range.age")
    assert (span.unexpected, [sample.values["age"] for sample in span.samples]) == (4, [31, 40])
