"""Drift statistics, and counting a column into the bins or categories of its reference."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon

from airflow_provider_mlpipe.validation.references import Reference, statistic


def test_equal_distributions_have_not_moved():
    for method in ("psi", "js", "ks"):
        assert statistic(method, [0.2, 0.3, 0.5], [20, 30, 50]) == pytest.approx(0, abs=1e-12)


def test_statistics_are_the_textbooks():
    expected, counts = [0.25, 0.25, 0.5], [50, 25, 25]
    actual = [0.5, 0.25, 0.25]
    psi = sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
    assert statistic("psi", expected, counts) == pytest.approx(psi)
    assert statistic("js", expected, counts) == pytest.approx(jensenshannon(actual, expected, base=2))
    assert statistic("ks", expected, counts) == pytest.approx(0.25)


def test_a_category_that_was_never_seen_before_is_a_number_not_infinity():
    reference = Reference(weights=(1, 1), values=("a", "b"))
    assert 0.1 < statistic("psi", reference.expected, [40, 40, 20]) < 10


@pytest.mark.parametrize("method", ["psi", "js", "ks"])
def test_numbers_are_counted_as_numpy_counts_them(judge, result, method):
    values = np.random.default_rng(7).normal(50, 20, 5000)
    edges, weights = [0.0, 25.0, 50.0, 75.0, 100.0], [0.1, 0.4, 0.4, 0.1]
    inner = [-np.inf, *edges[1:-1], np.inf]
    counts = np.histogram(values, inner)[0].tolist()
    table = pa.table({"x": pa.array([*values, None, math.nan, math.inf][:-1])})
    rules = {"distribution": {"x": {"reference": {"bins": edges, "weights": weights}, "method": method}}}
    found = result(judge(table, rules), "drift.x")
    assert found.observed == pytest.approx(statistic(method, weights, counts), abs=1e-6)
    assert found.shape["actual"] == pytest.approx([count / 5000 for count in counts], abs=1e-6)


def test_categories_are_counted_and_the_unknown_ones_together(judge, result):
    table = {"c": ["a"] * 50 + ["b"] * 30 + ["x"] * 15 + ["y"] * 5 + [None] * 7}
    reference = {"values": ["a", "b", "never"], "weights": [5, 4, 1]}
    found = result(judge(table, {"distribution": {"c": {"reference": reference, "threshold": 0.05}}}), "drift.c")
    assert found.failed
    assert found.shape == {
        "labels": ["a", "b", "never", "anything else"],
        "expected": [0.5, 0.4, 0.1, 0.0],
        "actual": [0.5, 0.3, 0.0, 0.2],
    }


def test_categories_of_other_types_than_the_columns_match_nothing(judge, result):
    reference = {"values": [1, "1", True], "weights": [1, 1, 1]}
    found = result(judge({"c": [1] * 200}, {"distribution": {"c": {"reference": reference}}}), "drift.c")
    assert found.shape["actual"] == [1.0, 0.0, 0.0, 0.0]


def test_too_few_values_are_skipped_not_judged(judge, result):
    rules = {"distribution": {"c": {"reference": {"values": ["a"], "weights": [1]}, "min_rows": 100}}}
    verdict = judge({"c": ["z"] * 99 + [None] * 50}, rules)
    found = result(verdict, "drift.c")
    assert (found.status, verdict.passed) == ("skipped", True)
    assert "99 values are fewer than min_rows 100" in found.found


def test_a_column_that_cannot_be_binned_is_an_error_not_a_pass(judge, result):
    rules = {"distribution": {"c": {"reference": {"bins": [0, 1, 2], "weights": [1, 1]}, "severity": "INFO"}}}
    verdict = judge({"c": ["a"] * 200}, rules)
    assert (result(verdict, "drift.c").status, verdict.passed) == ("error", False)
    assert "of type string, which cannot be compared with numbers" in result(verdict, "drift.c").found
