"""Drift statistics, and counting a column into the bins or categories of its reference."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.references import Reference, statistic
from airflow_provider_mlpipe.validation.stored_profile import as_text, document
from airflow_provider_mlpipe.validation.survey import survey


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


# ------------------------------------------------------------------ stored profiles, brute force


def stored(publish, tmp_path, table, **changes):
    """Profile a table into a file beside the YAML."""
    found = {**document(survey(publish(table))), **changes}
    path = tmp_path / "profiles" / "p.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_text(found))
    return found["columns"]


def drift(publish, result, yaml_file, as_of, table, column, **rule):
    """Judge a table by a drift rule that names the stored profile."""
    keys = "".join(f", {key}: {value}" for key, value in rule.items())
    path = yaml_file(f"data: {{distribution: {{{column}: {{reference: profiles/p.json{keys}}}}}}}")
    return result(validate(publish(table), dataset_rules(path, "data"), as_of=as_of), f"drift.{column}")


@pytest.mark.parametrize(("shift", "moved"), [(0.0, False), (0.1, False), (1.0, True)])
@pytest.mark.parametrize("method", ["psi", "js", "ks"])
def test_numbers_against_a_stored_profile_are_as_far_as_brute_force_says(
    publish, result, yaml_file, as_of, tmp_path, method, shift, moved
):
    random = np.random.default_rng(11)
    before, now = random.normal(0, 1, 8000), random.normal(shift, 1, 6000)
    column = stored(publish, tmp_path, {"x": before})["x"]
    found = drift(publish, result, yaml_file, as_of, {"x": now}, "x", method=method, threshold=0.2)
    edges = column["bins"] if method == "ks" else column["bins"][::2]
    inner = [-np.inf, *edges[1:-1], np.inf]
    expected, actual = (np.histogram(values, inner)[0] / len(values) for values in (before, now))
    assert len(actual) == (20 if method == "ks" else 10)
    brute = {
        "psi": lambda: float(((actual - expected) * np.log(actual / expected)).sum()),
        "js": lambda: jensenshannon(actual, expected, base=2),
        "ks": lambda: float(np.abs(np.cumsum(actual) - np.cumsum(expected)).max()),
    }[method]()
    assert found.observed == pytest.approx(brute, abs=2e-6)
    assert found.failed == moved
    if method == "ks":  # binning hides at most what lies inside a bin
        assert found.observed == pytest.approx(ks_2samp(before, now).statistic, abs=0.02)


def test_new_categories_count_and_are_named(publish, result, yaml_file, as_of, tmp_path):
    stored(publish, tmp_path, {"c": ["a"] * 800 + ["b"] * 200})
    found = drift(publish, result, yaml_file, as_of, {"c": ["a"] * 640 + ["b"] * 160 + ["new"] * 150 + ["x"] * 50}, "c")
    assert found.failed
    assert found.shape["actual"] == [0.64, 0.16, 0.2]
    assert "200 (20 %) are in no category of the reference" in found.found
    assert [(sample.values, sample.rows) for sample in found.samples] == [({"c": "new"}, 150), ({"c": "x"}, 50)]


def test_what_the_profile_left_out_is_expected_to_be_left_out(publish, result, yaml_file, as_of, tmp_path):
    values = ["usual"] * 900 + [f"v{number}" for number in range(60)] * 2
    column = stored(publish, tmp_path, {"c": values})["c"]
    assert len(column["weights"]) == len(column["values"]) + 1 == 51
    found = drift(publish, result, yaml_file, as_of, {"c": values}, "c", threshold=0.0001)
    assert (found.observed, found.samples, found.passed) == (0, (), True)


@pytest.mark.parametrize(
    ("column", "rule", "changes", "said"),
    [
        ("gone", {}, {}, "the profile has no column `gone`"),
        ("nme", {}, {}, "Did you mean"),
        ("id", {}, {}, "the profile has no distribution of `id` (1000 different values in 1000 rows)"),
        ("name", {"method": "ks"}, {}, "ks compares numbers"),
        ("n", {}, {"format_version": 2}, "this release reads up to 1; upgrade the provider"),
    ],
)
def test_a_profile_that_cannot_serve_says_why(publish, yaml_file, as_of, tmp_path, column, rule, changes, said):
    table = {"id": [f"i{number}" for number in range(1000)], "name": ["a", "b"] * 500, "n": list(range(500)) * 2}
    stored(publish, tmp_path, table, **changes)
    keys = "".join(f", {key}: {value}" for key, value in rule.items())
    path = yaml_file(f"data:\n  distribution:\n    {column}: {{reference: profiles/p.json{keys}}}\n")
    with pytest.raises(ConfigError) as caught:
        validate(publish({column: [1]}), dataset_rules(path, "data"), as_of=as_of)
    assert said in str(caught.value)
    assert f"{path}:3" in str(caught.value)


def test_a_profile_that_is_not_there_says_how_to_make_one(publish, yaml_file, as_of):
    path = yaml_file("data: {distribution: {x: {reference: profiles/none.json}}}")
    with pytest.raises(ConfigError, match=r"profiles/none\.json' cannot be read") as caught:
        validate(publish({"x": [1]}), dataset_rules(path, "data"), as_of=as_of)
    assert "mlpipe profile" in caught.value.hint


def test_one_weight_more_than_values_is_the_share_of_anything_else(judge, result):
    reference = {"values": ["a"], "weights": [3, 1]}
    found = result(judge({"c": ["a"] * 75 + ["?"] * 25}, {"distribution": {"c": {"reference": reference}}}), "drift.c")
    assert (found.observed, found.shape["expected"]) == (0, [0.75, 0.25])
