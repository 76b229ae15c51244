"""Tables of awkward shape: hostile names and values, nested neighbours, very many columns, and every column's profile."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa

from airflow_provider_mlpipe.artifacts.artifact import REPORT

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
