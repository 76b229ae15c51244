"""From YAML to typed rules: which rules there are, what they are called, where they stand, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.validation.rules import Drift, InRange, Rule, rules_of

SEED = """\
user_data:
  schema: {user_id: string, email: string, age: int}
  required_columns: [user_id, email]
  unique_columns: [user_id, email]
  range_constraints: {age: [0, 120]}
  categorical_constraints: {status: [active, inactive, pending]}
  freshness: {timestamp_column: created_at, max_age_hours: 24}
"""


def rules(path, dataset="user_data") -> dict[str, Rule]:
    listed = rules_of(dataset_rules(path, dataset), datetime(2026, 1, 14, 2, tzinfo=UTC))
    assert len({rule.rule_id for rule in listed}) == len(listed)
    return {rule.rule_id.removeprefix(f"{dataset}."): rule for rule in listed}


def test_the_seeds_file_becomes_one_rule_per_statement_and_one_per_column(yaml_file):
    assert list(rules(yaml_file(SEED))) == [
        "rows",
        *(f"column.{name}" for name in ("user_id", "email", "age", "status", "created_at")),
        "type.user_id", "type.email", "type.age",
        "not_null.user_id", "not_null.email",
        "unique.user_id", "unique.email",
        "range.age", "in_set.status", "fresh.created_at",
    ]  # fmt: skip


def test_a_rule_knows_its_line_and_says_itself_in_plain_words(yaml_file):
    path = yaml_file(SEED)
    found = rules(path)
    assert {name: found[name].where for name in ("type.age", "not_null.email", "range.age", "fresh.created_at")} == {
        "type.age": f"{path}:2",
        "not_null.email": f"{path}:3",
        "range.age": f"{path}:5",
        "fresh.created_at": f"{path}:7",
    }
    assert [found[name].text for name in ("rows", "column.age", "type.age", "not_null.email", "unique.email")] == [
        "There is at least one row.",
        "The column `age` exists.",
        "`age` is of type int.",
        "`email` is never empty.",
        "No two rows have the same `email`.",
    ]
    assert [found[name].text for name in ("range.age", "in_set.status", "fresh.created_at")] == [
        "`age` is between 0 and 120.",
        "`status` is one of active, inactive, pending.",
        "The newest `created_at` is at most 24 h older than 2026-01-14 02:00 UTC.",
    ]


def test_a_columns_existence_is_as_severe_as_the_severest_rule_on_it(yaml_file):
    found = rules(
        yaml_file(
            "user_data:\n"
            "  range_constraints:\n"
            "    age: {min: 0, severity: WARNING}\n"
            "    size: {min: 0, severity: INFO}\n"
            "  required_columns:\n"
            "    - {column: age, severity: ERROR, mostly: 0.99, owner: ann, note: why}\n"
        )
    )
    assert (found["column.age"].severity, found["column.age"].where.rpartition(":")[2]) == ("ERROR", "6")
    assert found["column.size"].severity == "INFO"
    filled = found["not_null.age"]
    assert (filled.owner, filled.note, filled.text) == ("ann", "why", "`age` is empty in at most 1 % of the rows.")


def test_ids_do_not_depend_on_what_stands_around_a_rule_and_repeated_rules_are_numbered():
    small = rules({"d": {"unique_columns": ["a"]}}, "d")
    large = rules({"d": {"unique_columns": ["b", "a", ["a", "b"], "a"], "required_columns": ["a"]}}, "d")
    assert set(small) < set(large)
    assert [name for name in large if name.startswith("unique")] == ["unique.b", "unique.a", "unique.a+b", "unique.a#2"]


def test_an_empty_dataset_is_a_rule_of_its_own_unless_it_is_allowed():
    assert "rows" in rules({"d": {}}, "d")
    assert rules({"d": {"allow_empty": True}}, "d") == {}


def test_ranges_take_numbers_one_side_and_times():
    found = rules(
        {
            "d": {
                "range_constraints": {"a": {"min": 0}, "b": (1, 2.5), "c": ["2020-01-01", "2030-01-01T00:00:00+02:00"]}
            }
        },
        "d",
    )
    assert [found[f"range.{name}"].text for name in "abc"] == [
        "`a` is at least 0.",
        "`b` is between 1 and 2.5.",
        "`c` is between 2020-01-01 00:00 UTC and 2029-12-31 22:00 UTC.",
    ]
    span = found["range.c"]
    assert isinstance(span, InRange)
    assert span.temporal


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        ([5, 1], "min is greater than max"),
        ([0, "2020-01-01"], "one bound is a number, the other a time"),
        (["a", "z"], "neither a number nor an ISO 8601 time"),
        ({"min": float("nan")}, "NaN"),
    ],
)
def test_a_range_that_no_data_could_satisfy_is_refused_with_its_line(span, problem, yaml_file):
    path = yaml_file("d:\n  range_constraints:\n    a: " + json.dumps(span).replace("NaN", ".nan") + "\n")
    with pytest.raises(ConfigError, match=problem) as caught:
        rules(path, "d")
    assert f"{path}:3" in str(caught.value)


def test_a_reference_distribution_may_stand_in_a_file_beside_the_yaml(yaml_file, tmp_path):
    path = yaml_file("d:\n  distribution:\n    age: {reference: age.json, method: ks}\n")
    with pytest.raises(ConfigError, match=r"age\.json"):
        rules(path, "d")
    (tmp_path / "age.json").write_text(json.dumps({"bins": [0, 10, 20], "weights": [3, 1]}))
    found = rules(path, "d")["drift.age"]
    assert isinstance(found, Drift)
    assert found.reference.expected == (0.75, 0.25)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ({"bins": [0, 1], "weights": [0.5, 0.5]}, "one more edge"),
        ({"bins": [1, 0], "weights": [1]}, "bins are numbers that grow"),
        ({"values": ["a"], "weights": [0.5, 0.25, 0.25]}, "one weight per value"),
        ({"values": ["a"], "weights": [0]}, "weights are shares"),
        ({"values": ["a"], "weights": [-1, 2]}, "weights are shares"),
        ({"weights": [1]}, "either bins or values"),
    ],
)
def test_a_reference_that_is_no_distribution_is_refused(reference, problem):
    with pytest.raises(ConfigError, match=problem):
        rules({"d": {"distribution": {"a": {"reference": reference}}}}, "d")


def test_ks_needs_numbers():
    reference = {"values": ["a", "b"], "weights": [0.5, 0.5]}
    with pytest.raises(ConfigError, match="ks compares numbers"):
        rules({"d": {"distribution": {"a": {"reference": reference, "method": "ks"}}}}, "d")
