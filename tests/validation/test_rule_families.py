"""Every kind of rule: what passes, what fails and how many, with which samples; mostly, conditions, nulls, no rows."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.offenders import offending
from airflow_provider_mlpipe.validation.rules import rules_of
from airflow_provider_mlpipe.validation.stage import judge_frame

AS_OF = dt.datetime(2026, 1, 14, 2, tzinfo=dt.UTC)


def day(number: int | None) -> dt.datetime | None:
    return None if number is None else dt.datetime(2026, 1, number, tzinfo=dt.UTC)


TABLE = pa.table(
    {
        "id": ["r1", "r2", "r3", "r4", "r5", "r6"],
        "group": ["x", "x", "x", "y", "y", None],
        "email": ["a@x.org", "b@x.org", "nobody", "", None, "ä@x.org"],
        "a": [1, 5, 3, None, 2, None],
        "b": [2, 4, 3, 1, None, None],
        "net": [1.0, 2.0, math.nan, 4.0, 0.1, 6.0],
        "tax": [0.5, 0.5, 0.5, 0.5, 0.2, 0.5],
        "gross": [1.5, 2.5, 3.5, 4.6, 0.3, None],
        "start": pa.array([day(n) for n in (1, 2, 3, 4, None, 6)], pa.timestamp("us", "UTC")),
        "end": pa.array([day(n) for n in (2, 1, 3, None, 5, 7)], pa.timestamp("us")),
        "price": pa.array([Decimal(n) for n in ("0.10", "0.20", "0.30", "1.00", "2.00", "3.00")]),
    }
)

# (rules, id) -> (status, checked, unexpected, the samples' values)
ROWS = {
    "pattern": ({"patterns": {"email": r"^\S+@\S+\.org$"}}, "pattern.email", "failed", 5, 2, {"", "nobody"}),
    "pattern anywhere": ({"patterns": {"email": "@"}}, "pattern.email", "failed", 5, 2, {"", "nobody"}),
    "pattern, mostly": ({"patterns": {"email": {"regex": "@", "mostly": 0.6}}}, "pattern.email", "passed", 5, 2, set()),
    "pattern, condition": (
        {"patterns": {"email": {"regex": "@", "condition": '"group" = \'x\''}}},
        "pattern.email", "failed", 3, 1, {"nobody"},
    ),
    "length": ({"lengths": {"email": [1, 6]}}, "length.email", "failed", 5, 4, {"", "a@x.org", "b@x.org", "ä@x.org"}),
    "length counts characters": ({"lengths": {"email": [None, 7]}}, "length.email", "passed", 5, 0, set()),
    "length, one side": ({"lengths": {"email": {"min": 1}}}, "length.email", "failed", 5, 1, {""}),
    "pair": ({"pairs": ["a <= b"]}, "pair.a<=b", "failed", 3, 1, {(5, 4)}),
    "pair, strict": ({"pairs": ["a < b"]}, "pair.a<b", "failed", 3, 2, {(5, 4), (3, 3)}),
    "pair, equal": ({"pairs": ["a = b"]}, "pair.a=b", "failed", 3, 2, {(1, 2), (5, 4)}),
    "pair, greater": ({"pairs": ["a > b"]}, "pair.a>b", "failed", 3, 2, {(1, 2), (3, 3)}),
    "pair, nulls fail": (
        {"pairs": [{"pair": "a <= b", "nulls": "fail"}]}, "pair.a<=b", "failed", 5, 3, {(5, 4), (None, 1), (2, None)},
    ),
    "pair, mostly": ({"pairs": [{"pair": "a <= b", "mostly": 0.6}]}, "pair.a<=b", "passed", 3, 1, set()),
    "pair of times, one naive": (
        {"pairs": ["start <= end"]}, "pair.start<=end", "failed", 4, 1, {("2026-01-02T00:00:00Z", "2026-01-01T00:00:00")},
    ),
    "pair of decimal and float": ({"pairs": ["price <= gross"]}, "pair.price<=gross", "failed", 5, 1, {("2.00", 0.3)}),
    "sum": ({"sums": ["net + tax = gross"]}, "sum.net+tax", "failed", 4, 2, {(4.0, 0.5, 4.6), (0.1, 0.2, 0.3)}),
    "sum, tolerance": (
        {"sums": [{"sum": "net + tax = gross", "tolerance": 0.01}]}, "sum.net+tax", "failed", 4, 1, {(4.0, 0.5, 4.6)},
    ),
    "sum of whole numbers": ({"sums": ["a + b = 6"]}, "sum.a+b", "failed", 3, 2, {(1, 2), (5, 4)}),
    "sum, nulls fail": (
        {"sums": [{"sum": "a + b = 6", "nulls": "fail"}]}, "sum.a+b", "failed", 5, 4,
        {(1, 2), (5, 4), (None, 1), (2, None)},
    ),
    "row": ({"row_rules": ["a * 2 > b"]}, "row.a * 2 > b", "failed", 3, 1, {(1, 2)}),
    "row, named": (
        {"row_rules": [{"name": "doubled", "rule": "a * 2 > b", "mostly": 0.5}]}, "row.doubled", "passed", 3, 1, set(),
    ),
    "row, nulls fail": (
        {"row_rules": [{"rule": "a > 1", "nulls": "fail"}]}, "row.a > 1", "failed", 6, 3, {1, None},
    ),
    "row, condition": (
        {"row_rules": [{"rule": "a > 1", "condition": "b > 1"}]}, "row.a > 1", "failed", 3, 1, {(1, 2)},
    ),
    "range, condition": (
        {"range_constraints": {"a": {"min": 3, "condition": '"group" = \'x\''}}}, "range.a", "failed", 3, 1, {(1, "x")},
    ),
    "range settled by its extremes, condition": (
        {"range_constraints": {"a": {"min": 0, "condition": "b is not null"}}}, "range.a", "passed", 3, 0, set(),
    ),
    "set, condition": (
        {"categorical_constraints": {"group": {"values": ["x"], "condition": "b >= 1"}}},
        "in_set.group", "failed", 4, 1, {"y"},
    ),
    "not null, condition": (
        {"required_columns": [{"column": "a", "condition": "\"group\" = 'y'"}]},
        "not_null.a", "failed", 2, 1, {(None, "y")},
    ),
    "key": ({"unique_columns": ["group"]}, "unique.group", "failed", 5, 5, {"x", "y"}),
    "key, condition": (
        {"unique_columns": [{"columns": ["group"], "condition": "a >= 2"}]}, "unique.group", "failed", 3, 2, {"x"},
    ),
    "composite key, condition": (
        {"unique_columns": [{"columns": ["group", "tax"], "condition": "b <= 4"}]},
        "unique.group+tax", "failed", 4, 3, {("x", 0.5)},
    ),
    "a condition that selects nothing": (
        {"range_constraints": {"a": {"min": 9, "condition": "b > 99"}}}, "range.a", "passed", 0, 0, set(),
    ),
}  # fmt: skip


@pytest.fixture
def scanned():
    """Judge a table in memory: the same scan and judgement as of an artifact, without its files."""

    def judged(table, rules):
        listed = rules_of(dataset_rules({"data": rules}, "data"), AS_OF)
        with DuckDBEngine.open() as engine:
            judgement, _ = judge_frame(Frame.of_table(engine, pa.table(table)), listed, "data")
        return {each.rule_id.removeprefix("data."): each for each in judgement.results}

    return judged


def shown(sample) -> object:
    values = tuple(sample.values.values())
    return values[0] if len(values) == 1 else values


@pytest.mark.parametrize("case", ROWS)
def test_rules_on_rows(case, scanned):
    rules, rule_id, status, checked, unexpected, samples = ROWS[case]
    found = scanned(TABLE, rules)[rule_id]
    assert (found.status, found.checked, found.unexpected) == (status, checked, unexpected), found.found
    assert {shown(each) for each in found.samples} == samples


@pytest.mark.parametrize("case", ROWS)
def test_the_offenders_of_a_rule_are_the_rows_that_it_counted(case):
    rules, rule_id, _, _, unexpected, _ = ROWS[case]
    (rule,) = [
        each for each in rules_of(dataset_rules({"d": rules}, "d"), AS_OF) if each.rule_id == f"d.{rule_id}"
    ]  # fmt: skip
    with DuckDBEngine.open() as engine:
        frame = Frame.of_table(engine, TABLE)
        sql, parameters = offending(frame, rule)
        counts = frame.query(
            f"SELECT count(*) FILTER (WHERE {sql}), count(*) FILTER (WHERE NOT {sql}) FROM {{rows}}", parameters * 2
        )
    assert counts == [(unexpected, TABLE.num_rows - unexpected)]


NUMBERS = pa.table({"n": pa.array([1, 2, 3, 4, None]), "f": [1.0, math.nan, 2.0, 4.0, None], "g": list("aabbb"),
                    "t": pa.array([day(n) for n in (1, 2, 3, 4, 5)], pa.timestamp("us", "UTC")),
                    "d": pa.array([Decimal("1.5"), Decimal("2.5"), None, None, None]), "q": [True, False, True, None, None]})  # fmt: skip
STATISTICS = {
    "mean": ("n", {"mean": [2.5, 2.5]}, {"mean": [2.6, None]}, "mean.n", 2.5),
    "mean without NaN": ("f", {"mean": [2, 3]}, {"mean": [None, 2]}, "mean.f", 7 / 3),
    "mean of decimals": ("d", {"mean": [2, 2]}, {"mean": [0, 1]}, "mean.d", 2.0),
    "mean of truths": ("q", {"mean": [0.6, 0.7]}, {"mean": [0, 0.5]}, "mean.q", 2 / 3),
    "mean, condition": (
        "n", {"mean": {"min": 3.5, "condition": "g = 'b'"}}, {"mean": {"max": 3, "condition": "g = 'b'"}}, "mean.n", 3.5,
    ),
    "median": ("n", {"median": [2.5, 2.5]}, {"median": [3, 4]}, "median.n", 2.5),
    "standard deviation of a sample": ("n", {"std": [1.29, 1.3]}, {"std": [0, 1]}, "std.n", math.sqrt(5 / 3)),
    "sum": ("n", {"sum": [10, 10]}, {"sum": [11, None]}, "sum.n", 10),
    "sum of nothing": (
        "n", {"sum": {"max": 0, "condition": "n > 9"}}, {"sum": {"min": 1, "condition": "n > 9"}}, "sum.n", 0,
    ),
    "min": ("n", {"min": [1, 1]}, {"min": [2, None]}, "min.n", 1),
    "max": ("f", {"max": [None, 4]}, {"max": [None, 3.9]}, "max.f", 4.0),
    "max of times": (
        "t", {"max": ["2026-01-01", "2026-01-05"]}, {"max": ["2026-01-06", None]}, "max.t", "2026-01-05T00:00:00+00:00",
    ),
    "distinct": ("g", {"distinct": [2, 2]}, {"distinct": [3, None]}, "distinct.g", 2),
    "distinct, condition": (
        "g", {"distinct": {"max": 1, "condition": "n < 3"}}, {"distinct": {"min": 2, "condition": "n < 3"}},
        "distinct.g", 1,
    ),
    "quantile": ("n", {"quantiles": {"0.9": [3.7, 3.7]}}, {"quantiles": {0.9: [0, 3]}}, "quantile.n.0.9", 3.7),
}  # fmt: skip


@pytest.mark.parametrize("case", STATISTICS)
def test_statistics(case, scanned):
    name, good, bad, rule_id, observed = STATISTICS[case]
    for bounds, status in ((good, "passed"), (bad, "failed")):
        found = scanned(NUMBERS, {"statistics": {name: bounds}})[rule_id]
        assert found.status == status, found.found
        assert found.observed == (observed if isinstance(observed, str) else pytest.approx(observed))
        assert found.found.startswith("It is ")


def test_a_statistic_of_no_values_fails_and_of_no_rows_is_skipped(judge, result):
    rules = {"statistics": {"n": {"mean": [0, 1], "max": [0, 1]}}, "allow_empty": True}
    nulls = judge({"n": pa.nulls(3, pa.int64())}, rules)
    assert (result(nulls, "mean.n").status, result(nulls, "mean.n").found) == ("failed", "There is no value.")
    empty = judge({"n": pa.array([], pa.int64())}, rules)
    assert {each.status for each in empty.results} == {"skipped", "passed"}
    assert empty.passed


def test_exact_distinct_values_beyond_what_a_profile_counts_exactly(judge, result, monkeypatch):
    monkeypatch.setattr("airflow_provider_mlpipe.validation.rules.statistics.EXACT_ROWS", 10)
    rules = {"statistics": {"n": {"distinct": [5000, 5000]}}}
    assert result(judge({"n": [n % 5000 for n in range(20_000)]}, rules), "distinct.n").passed


def test_row_counts(judge, result):
    table = {"n": [1, 2, 3]}
    assert result(judge(table, {"row_count": [1, 3]}), "row_count").passed
    found = result(judge(table, {"row_count": {"min": 4, "severity": "WARNING"}}), "row_count")
    assert (found.status, found.severity, found.found) == ("failed", "WARNING", "There are 3.")


def test_the_set_and_the_order_of_columns(judge, result):
    table = {"b": [1], "a": [1], "c": [1]}
    schema = {"a": "int", "b": "int"}
    strict = result(judge(table, {"schema": schema, "schema_strict": True}), "columns")
    assert (strict.status, strict.found) == ("failed", "Unexpected: `c`.")
    assert result(judge({"b": [1], "a": [1]}, {"schema": schema, "schema_strict": True}), "columns").passed
    ordered = result(judge({"b": [1], "a": [1]}, {"schema": schema, "schema_ordered": True}), "column_order")
    assert (ordered.status, ordered.found) == ("failed", "Their order is `b` and `a`.")
    assert result(judge({"a": [1], "b": [1]}, {"schema": schema, "schema_ordered": True}), "column_order").passed
    missing = result(judge({"a": [1]}, {"schema": schema, "schema_ordered": {"severity": "INFO"}}), "column_order")
    assert (missing.status, missing.severity, missing.found) == ("failed", "INFO", "Missing: `b`.")


# ------------------------------------------------------------------ references to other datasets

ORDERS = {"order": [1, 2, 3, 4, 5], "user": ["u1", "u9", None, "u2", "u9"], "number": [1, 2, None, 3, 4]}
USERS = {"id": ["u1", "u2", None, "u1"], "number": [1.0, 2.0, 3.0, math.nan], "seen": [day(1)] * 4}


@pytest.fixture
def related(publish):
    """Judge a table that refers to the dataset ``users``."""

    def judged(rules, table=ORDERS, others=None):
        users = publish(USERS)
        configured = dataset_rules({"data": rules}, "data")
        return validate(publish(table), configured, as_of=AS_OF, related=others or {"users": users})

    return judged


def test_values_must_stand_in_the_other_dataset(related, result):
    found = result(related({"references": {"user": "users.id"}, "unique_columns": ["order"]}), "reference.user")
    assert (found.status, found.checked, found.unexpected) == ("failed", 4, 2)
    assert [each.as_dict() for each in found.samples] == [{"values": {"user": "u9"}, "key": {"order": 2}, "rows": 2}]
    assert found.text == "`user` stands in `id` of users."


def test_numbers_of_any_type_compare_across_datasets(related, result):
    found = result(related({"references": {"number": {"dataset": "users", "column": "number"}}}), "reference.number")
    assert (found.status, found.checked, found.unexpected) == ("failed", 4, 1)


def test_references_take_mostly_and_conditions(related, result):
    lenient = {"dataset": "users", "column": "id", "mostly": 0.5}
    assert result(related({"references": {"user": lenient}}), "reference.user").passed
    some = {"dataset": "users", "column": "id", "condition": "number <> 2 and number <> 4"}
    found = result(related({"references": {"user": some}}), "reference.user")
    assert (found.status, found.checked) == ("passed", 2)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("teams.id", "it needs the dataset 'teams' beside this one, and given were users"),
        ("users.idd", "the dataset 'users' has no column 'idd' Did you mean 'id'"),
        ("users.seen", "`user` is of type string, users.seen of type timestamp"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_an_error_not_a_pass(reference, problem, related, result):
    verdict = related({"references": {"user": reference}})
    found = result(verdict, "reference.user")
    assert (found.status, verdict.passed) == ("error", False)
    assert problem in found.found


# ------------------------------------------------------------------ what no rule may trip over

EVERYTHING = {
    "patterns": {"s": "x"}, "lengths": {"s": [1, 2]}, "pairs": ["n <= m"], "sums": ["n + m = 3", "n + m = k"],
    "row_rules": ["n > m", {"rule": "s = 'x'", "nulls": "fail"}], "required_columns": [{"column": "s", "condition": "n > 1"}],
    "statistics": {"n": {"mean": [0, 1], "median": [0, 1], "std": [0, 1], "sum": [0, 1], "min": [0, 1], "max": [0, 1],
                         "distinct": [0, 9], "quantiles": {"0.5": [0, 1]}}},
    "unique_columns": [{"columns": ["s"], "condition": "n > 0"}],
    "range_constraints": {"n": {"min": 0, "condition": "s like 'x%'"}},
    "categorical_constraints": {"s": {"values": ["x"], "condition": "m > 0"}}, "row_count": [0, 9],
}  # fmt: skip


@pytest.mark.parametrize(
    "table",
    [
        {"s": pa.array([], pa.string()), "n": pa.array([], pa.int64()), "m": pa.array([], pa.float64()), "k": pa.array([], pa.int8())},
        {"s": pa.nulls(3, pa.string()), "n": pa.nulls(3, pa.int64()), "m": pa.nulls(3, pa.float64()), "k": pa.nulls(3, pa.int8())},
        {"s": pa.nulls(3), "n": pa.nulls(3), "m": pa.nulls(3), "k": pa.nulls(3)},
        {"s": ["x", None], "n": [1.0, math.nan], "m": [math.inf, -math.inf], "k": [0, 1]},
        {"s": pa.array(["x", "y"]).dictionary_encode(), "n": pa.array([1, 2], pa.uint64()), "m": [Decimal("1.5"), None], "k": [1, 2]},
    ],
    ids=["no rows", "nulls", "untyped nulls", "NaN and infinity", "dictionary, unsigned, decimal"],
)  # fmt: skip
def test_every_rule_has_a_clean_answer(table, judge):
    verdict = judge(table, EVERYTHING | {"allow_empty": True})
    assert [each.found for each in verdict.results if each.status == "error"] == []


@pytest.mark.parametrize("kind", ["string", "bool", "list", "struct", "binary", "timestamp"])
def test_columns_of_another_type_are_errors_in_one_sentence(kind, judge):
    values = {
        "string": ["a", "b"], "bool": [True, None], "list": [[1], []], "struct": [{"a": 1}, None], "binary": [b"a", None],
        "timestamp": [day(1), day(2)],
    }[kind]  # fmt: skip
    verdict = judge({"s": values, "n": values, "m": [1, 2], "k": values}, EVERYTHING)
    for each in verdict.results:
        assert "\n" not in each.found
        assert "Traceback" not in each.found


def test_missing_columns_are_one_failure_each_and_all_else_is_skipped(judge):
    verdict = judge({"other": [1]}, EVERYTHING)
    failed = {each.rule_id.removeprefix("data.") for each in verdict.results if each.failed}
    assert failed == {"column.s", "column.n", "column.m", "column.k"}
    assert sum(each.status == "skipped" for each in verdict.results) == len(verdict.results) - len(failed) - 2


def test_a_column_of_a_condition_only_must_be_there_too(judge, result):
    verdict = judge({"a": [1]}, {"range_constraints": {"a": {"min": 0, "condition": "stat = 'x'", "severity": "INFO"}}})
    assert result(verdict, "column.stat").severity == "INFO"
    assert result(verdict, "range.a").status == "skipped"


def test_hostile_texts_in_expressions_and_patterns_are_only_texts(judge, result):
    rules = {
        "row_rules": ["s <> '{rows} ''; drop table x --'"],
        "patterns": {"s": r"^[^'\"{};]*$"},
        "range_constraints": {"n": {"min": 0, "condition": "s = '{rows}'"}},
    }
    verdict = judge({"s": ["{rows}", "{rows} '; drop table x --", "ok"], "n": [1, 2, 3]}, rules)
    assert result(verdict, "row.s <> '{rows} ''; drop table x --'").unexpected == 1
    assert result(verdict, "pattern.s").unexpected == 2
    assert result(verdict, "range.n").checked == 1


@pytest.mark.slow
def test_two_thousand_columns(judge):
    wide = {f"c{number}": pa.array([number, None]) for number in range(2000)}
    rules = {
        "range_constraints": {name: {"max": 1000, "condition": "c0 = 0"} for name in list(wide)[:50]},
        "row_rules": [f"c{number} <= {number + 1}" for number in range(1, 2000, 100)],
        "statistics": {f"c{number}": {"mean": [0, 1500], "max": [0, 1500]} for number in range(0, 2000, 50)},
    }
    verdict = judge(wide, rules)
    assert verdict.counts["failed"] == 2 * sum(number > 1500 for number in range(0, 2000, 50))
