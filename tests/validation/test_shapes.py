"""Tables of awkward shape: hostile names and values, nested neighbours, very many columns, and every column's profile."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa

from airflow_provider_mlpipe.artifacts.artifact import REPORT
from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.validation import validate

HOSTILE = "a\"b'; -- {rows} $1 ?"


def statuses(verdict) -> dict[str, str]:
    return {each.rule_id.removeprefix("data."): each.status for each in verdict.results}


def only(verdict, *, without=("rows", "column")) -> dict[str, str]:
    return {name: status for name, status in statuses(verdict).items() if name.split(".")[0] not in without}


def test_hostile_names_and_values_are_only_names_and_values(judge, result):
    table = pa.table(
        {HOSTILE: ["<script>alert(1)</script>", "'); DROP TABLE x; --", "ok\x00\n\u202e", None], "select": [1, 1, 2, 3]}
    )
    rules = {
        "schema": {HOSTILE: "int"},
        "required_columns": [HOSTILE],
        "unique_columns": ["select", [HOSTILE, "select"]],
        "range_constraints": {HOSTILE: [0, 1], "select": [0, 2]},
        "categorical_constraints": {HOSTILE: ["ok", HOSTILE]},
        "freshness": {"timestamp_column": HOSTILE, "max_age_hours": 1},
        "distribution": {HOSTILE: {"reference": {"values": [HOSTILE], "weights": [1]}, "min_rows": 1}},
    }
    verdict = judge(table, rules)
    assert only(verdict) == {
        f"type.{HOSTILE}": "failed",
        f"not_null.{HOSTILE}": "failed",
        "unique.select": "failed",
        f"unique.{HOSTILE}+select": "passed",
        f"range.{HOSTILE}": "error",
        "range.select": "failed",
        f"in_set.{HOSTILE}": "failed",
        f"fresh.{HOSTILE}": "error",
        f"drift.{HOSTILE}": "failed",
    }
    page = verdict.artifact.read_beside(REPORT).decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_nested_column_does_not_disturb_the_footers_of_its_neighbours(judge):
    table = pa.table(
        {
            "nested": [{"a": None, "b": [1, 2]}, None, {"a": 1, "b": None}],
            "m": pa.array([[("x", 1)], None, []], pa.map_(pa.string(), pa.int64())),
            "n": [7, None, 9],
            "after": [1, 2, 3],
        }
    )
    verdict = judge(
        table, {"required_columns": ["nested", "m", "n"], "range_constraints": {"n": [7, 9], "after": [1, 3]}}
    )
    assert only(verdict) == {
        "not_null.nested": "failed", "not_null.m": "failed", "not_null.n": "failed", "range.n": "passed", "range.after": "passed",
    }  # fmt: skip
    columns = {column["name"]: column for column in verdict.artifact.verdict()["columns"]}
    assert (columns["n"]["nulls"], columns["n"]["low"], columns["n"]["high"], columns["n"]["distinct"]) == (1, 7, 9, 2)
    assert (columns["nested"]["nulls"], columns["nested"]["distinct"]) == (1, None)


def test_three_hundred_columns(judge):
    wide = {f"c{number}": pa.array([number, None, number * 2]) for number in range(300)}
    rules = {
        "schema": dict.fromkeys(wide, "int"),
        "required_columns": ["c7"],
        "range_constraints": {name: [0, 500] for name in wide},
    }
    verdict = judge(wide, rules)
    assert verdict.counts["failed"] == 1 + sum(number * 2 > 500 for number in range(300))
    assert len(verdict.artifact.read_beside(REPORT)) < 300_000


def test_every_column_has_a_profile_even_without_a_rule(judge, as_of):
    table = {
        "t": pa.array([as_of, None], pa.timestamp("us", "UTC")), "d": [dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
        "f": [1.5, math.nan], "x": [Decimal("1.10"), Decimal("2.20")], "b": [True, False], "l": [[1], None],
        "s": ["b", "a"], "o": pa.array([dt.time(1), dt.time(2)]), "y": [b"\x01", None],
    }  # fmt: skip
    verdict = judge(table, {})
    columns = {
        column["name"]: (column["nulls"], column["low"], column["high"])
        for column in verdict.artifact.verdict()["columns"]
    }
    assert columns == {
        "t": (1, "2026-01-14T02:00:00Z", "2026-01-14T02:00:00Z"),
        "d": (0, "2020-01-01", "2021-01-01"),
        "f": (1, 1.5, 1.5),
        "x": (0, "1.10", "2.20"),
        "b": (0, False, True),
        "l": (1, None, None),
        "s": (0, "a", "b"),
        "o": (0, "01:00:00", "02:00:00"),
        "y": (1, None, None),
    }


def test_samples_of_many_failing_rules_come_from_few_statements(publish, as_of, monkeypatch):
    columns, rows = 120, 40
    wide = {f"c{number}": list(range(rows)) for number in range(columns)}
    rules = {
        "unique_columns": ["c0"],
        "range_constraints": {name: [0, 9] for name in wide},
        "pairs": [f"{name} < c1" for name in list(wide)[2:]],
    }
    asked: list[str] = []
    fetch = DuckDBEngine.rows

    def counting(engine, sql, parameters=None):
        asked.append(sql)
        return fetch(engine, sql, parameters)

    monkeypatch.setattr(DuckDBEngine, "rows", counting)
    verdict = validate(publish(wide), dataset_rules({"data": rules}, "data"), as_of=as_of)
    failed = [each for each in verdict.results if each.failed]
    assert len(failed) == columns + columns - 2
    assert len(asked) < len(failed) / 3
    by_id = {each.rule_id: each for each in failed}
    assert [each.as_dict() for each in by_id["data.range.c7"].samples] == [
        {"values": {"c7": value}, "key": {"c0": value}} for value in range(10, 15)
    ]
    assert by_id["data.pair.c7<c1"].samples[0].values == {"c7": 0, "c1": 0}


def test_facts_of_many_rows_are_those_of_few(publish, as_of, monkeypatch):
    """What is counted, grouped and sorted in other ways beyond some number of rows comes to the same."""
    table = {
        "id": [*range(58), 57, None],
        "far": [0, 2**62, *range(2, 60)],
        "text": ["ab", "cd", "EF"] * 20,
        "word": [f"w{number}" for number in range(59)] + ["W"],
        "x": [*map(float, range(59)), None],
    }
    rules = {
        "unique_columns": ["id", "far", ["text", "word"], {"columns": ["id"], "condition": "id < 57"}],
        "patterns": {"text": "^[a-z]+$", "word": {"regex": "^w", "condition": "x > 3"}},
        "statistics": {"x": {"median": [0, 100], "quantiles": {0.25: [0, 10]}}},
    }
    configured = dataset_rules({"data": rules}, "data")
    few = validate(publish(table), configured, as_of=as_of)
    for place in ("profile", "rules.texts", "rules.statistics"):
        monkeypatch.setattr(f"airflow_provider_mlpipe.validation.{place}.EXACT_ROWS", 10)
    many = validate(publish(table), configured, as_of=as_of)
    monkeypatch.setattr("airflow_provider_mlpipe.validation.rules.uniqueness.MAX_SORTED", 10)
    monkeypatch.setattr("airflow_provider_mlpipe.validation.scan.FEW_VALUES", 10)
    huge = validate(publish(table), configured, as_of=as_of)
    assert few.results == many.results == huge.results
    found = {each.rule_id: (each.checked, each.unexpected) for each in few.results if each.unexpected}
    assert found == {"data.unique.id": (59, 2), "data.pattern.text": (60, 20)}
    columns = {column["name"]: column["distinct"] for column in many.artifact.verdict()["columns"]}
    assert columns["id"] == 58, "a key of whole numbers is counted exactly, however many rows there are"
