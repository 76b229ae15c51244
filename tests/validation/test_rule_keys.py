"""The YAML of the further rules: short and long forms, what they are called, what is refused with file, line and hint."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Storage
from airflow_provider_mlpipe.artifacts.writer import Description
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, Run, instant
from airflow_provider_mlpipe.validation import validate
from airflow_provider_mlpipe.validation.rules import rules_of

AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)
SHORT = """\
d:
  schema: {a: int, b: int, email: string}
  patterns: {email: '^\\S+@\\S+$'}
  lengths: {email: [3, 80]}
  pairs: [a < b]
  sums: [a + b = 10]
  row_rules: [a * 2 <= b]
  references: {a: users.id}
  statistics: {a: {mean: [0, 10], quantiles: {0.95: [0, 20]}}}
  row_count: [1, 1000]
  row_count_anomaly: true
  schema_strict: true
"""
LONG = """\
d:
  schema: {a: int, b: int, email: string}
  patterns: {email: {regex: '^\\S+@\\S+$'}}
  lengths: {email: {min: 3, max: 80}}
  pairs: [{pair: a < b}]
  sums: [{sum: a + b = 10}]
  row_rules: [{rule: a * 2 <= b}]
  references: {a: {dataset: users, column: id}}
  statistics: {a: {mean: {min: 0, max: 10}, quantiles: {0.95: {min: 0, max: 20}}}}
  row_count: {min: 1, max: 1000}
  row_count_anomaly: {}
  schema_strict: {}
"""


def listed(path, dataset="d"):
    return rules_of(dataset_rules(path, dataset), AS_OF)


def test_short_and_long_forms_say_the_same(yaml_file):
    assert listed(yaml_file(SHORT)) == listed(yaml_file(LONG))


def test_each_rule_has_an_id_its_line_and_a_sentence(yaml_file):
    path = yaml_file(SHORT)
    found = {rule.rule_id.removeprefix("d."): rule for rule in listed(path)}
    said = {name: (rule.where.rpartition(":")[2], rule.text) for name, rule in found.items()}
    assert {name: each for name, each in said.items() if name.partition(".")[0] not in {"rows", "column", "type"}} == {
        "pattern.email": ("3", r"`email` matches ^\S+@\S+$."),
        "length.email": ("4", "`email` has between 3 and 80 characters."),
        "pair.a<b": ("5", "`a` is less than `b`."),
        "sum.a+b": ("6", "`a` and `b` add up to 10."),
        "row.a * 2 <= b": ("7", "Every row has a * 2 <= b."),
        "reference.a": ("8", "`a` stands in `id` of users."),
        "mean.a": ("9", "The mean of `a` is between 0 and 10."),
        "quantile.a.0.95": ("9", "The 0.95 quantile of `a` is between 0 and 20."),
        "row_count": ("10", "The number of rows is between 1 and 1,000."),
        "row_count_anomaly": (
            "11", "There are about as many rows as in recent runs: within 5 deviations, or 10 %, of their median.",
        ),
        "columns": ("12", "The columns are `a`, `b` and `email`, and no others."),
    }  # fmt: skip


def test_every_rule_takes_severity_owner_and_note_and_says_its_condition(yaml_file):
    about = "severity: WARNING, owner: ann, note: why"
    path = yaml_file(
        f"""\
d:
  unique_columns: [{{columns: [a, b], condition: "b > 0", {about}}}]
  patterns: {{email: {{regex: x, mostly: 0.9, condition: "b > 0", {about}}}}}
  pairs: [{{pair: a < b, condition: "b > 0", {about}}}]
  row_rules: [{{name: n, rule: a < b, condition: "b > 0", {about}}}]
  statistics: {{a: {{max: {{max: 9, condition: "b > 0", {about}}}}}}}
  row_count: {{min: 1, {about}}}
"""
    )
    rules = [rule for rule in listed(path) if rule.kind not in {"rows", "column"}]
    assert {(rule.severity, rule.owner, rule.note) for rule in rules} == {("WARNING", "ann", "why")}
    assert [rule.text for rule in rules] == [
        "No two rows have the same `a` and `b`, where b > 0.",
        "`email` matches x in at least 90 % of its values, where b > 0.",
        "`a` is less than `b`, where b > 0.",
        "Every row has a < b, where b > 0.",
        "The greatest value of `a` is at most 9, where b > 0.",
        "The number of rows is at least 1.",
    ]


REFUSED = {
    "patterns: {a: '(?=x)'}": "patterns.a: not a regular expression",
    "patterns: {a: '['}": "patterns.a: not a regular expression",
    "lengths: {a: [5, 1]}": "min is greater than max",
    "lengths: {a: {}}": "a length needs min, max or both",
    "lengths: {a: [-1, 2]}": "greater than or equal to 0",
    "pairs: [a + 1 < b]": "pairs.0: not a comparison of two columns",
    "pairs: [a <> b]": "pairs.0: not a comparison of two columns",
    "sums: [a = 3]": "sums.0: not an equation of added columns",
    "sums: [a - b = 3]": "sums.0: not an equation of added columns",
    "row_rules: [created < now()]": "reads the clock, so a backfill would not say",
    "row_rules: [a > (select 1)]": "row_rules.0.rule: a subquery is not allowed",
    "range_constraints: {a: {min: 1, condition: b >}}": "range_constraints.a.condition: cannot be read",
    "references: {a: users}": "a reference is dataset.column, such as users.user_id",
    "statistics: {a: {mean: [3, 1]}}": "statistics.a.mean: min is greater than max",
    "statistics: {a: {average: [3, 1]}}": "unknown key 'average'",
    "statistics: {a: {quantiles: {95: [3, 1]}}}": "'95' is not a share between 0 and 1",
    "row_count: [3, 1]": "min is greater than max",
    "row_count_anomaly: {min_runs: 40}": "min_runs is greater than runs",
    "schema_strict: true": "need a schema",
    "patern: {a: x}": "Did you mean 'patterns'?",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_makes_no_sense_is_refused_with_file_and_line(line, yaml_file):
    path = yaml_file(f"d:\n  {line}\n")
    with pytest.raises(ConfigError) as caught:
        listed(path)
    message = str(caught.value)
    assert REFUSED[line] in message
    assert f"{path}:" in message


def test_a_strict_schema_catches_misspelt_columns_before_there_is_data(yaml_file):
    path = yaml_file("d:\n  schema: {status: string}\n  schema_strict: true\n  row_rules:\n    - stauts = 'x'\n")
    with pytest.raises(
        ConfigError, match=r":5: row_rules\.0\.rule: there is no column 'stauts'.* Did you mean 'status'"
    ):
        listed(path)


def test_a_strict_schema_catches_rules_on_columns_that_there_cannot_be(yaml_file):
    path = yaml_file("d:\n  schema: {status: string}\n  schema_strict: true\n  required_columns:\n    - stauts\n")
    with pytest.raises(
        ConfigError, match=r":5: required_columns\.0: there is no column 'stauts'.* Did you mean 'status'"
    ):
        listed(path)


# ------------------------------------------------------------------ the usual number of rows


@pytest.fixture
def days(root: Storage):
    """Publish and judge one run per day, each with a number of rows; return the last verdict."""
    import pyarrow as pa

    def run(counts, rule) -> object:
        rules = dataset_rules({"events": {"row_count_anomaly": rule, "range_constraints": {"n": [0, 10**6]}}}, "events")
        for place, count in enumerate(counts):
            end = instant(f"2026-01-{place + 2:02d}")
            interval = Interval(start=instant(f"2026-01-{place + 1:02d}"), end=end)
            table = pa.table({"n": [-1 if count < 0 else 1] * abs(count)})
            described = Description(dataset="events", stage="raw", run=Run(run_id="r", interval=interval))
            with ArtifactWriter(root, described, table.schema) as writer:
                writer.write_all(table.to_batches())
                verdict = validate(writer.publish(), rules, as_of=end)
        return verdict

    return run


def anomaly(verdict):
    (found,) = [each for each in verdict.results if each.kind == "row_count_anomaly"]
    return found


def test_a_number_of_rows_far_from_that_of_recent_runs_fails(days):
    rule = {"min_runs": 4, "severity": "WARNING", "deviations": 3, "tolerance": 0.01}
    found = anomaly(days([100, 110, 90, 100, 30], rule))
    assert (found.status, found.severity) == ("failed", "WARNING")
    assert found.found == "There are 30; the median of 4 runs is 100, and 77.8 to 122.2 pass."
    assert found.observed == 30


def test_a_usual_number_of_rows_passes_and_too_few_runs_are_no_measure(days):
    assert anomaly(days([100, 110, 90, 100, 108], {"min_runs": 4})).passed
    few = anomaly(days([100, 110, 90], {"min_runs": 4}))
    assert (few.status, few.found) == ("skipped", "Skipped: 2 earlier runs are fewer than min_runs 4.")


def test_runs_whose_data_was_stopped_say_nothing_of_what_is_usual(days):
    found = anomaly(days([100, 100, -7, -7, 100, 104], {"min_runs": 3, "tolerance": 0.05}))
    assert (found.status, found.found) == ("passed", "There are 104; the median of 3 runs is 100, and 95 to 105 pass.")


def test_the_suite_holds_the_recent_counts(days):
    document = json.loads(days([5, 6, 7], {"min_runs": 2}).artifact.read_beside("_suite.json"))
    (found,) = [each for each in document["expectations"] if each["type"] == "expect_table_row_count_to_be_usual"]
    assert found["kwargs"]["recent"] == [5, 6]
