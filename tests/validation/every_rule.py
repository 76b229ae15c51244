"""Few tables with every kind of rule on them: what two engines have to agree on.

Each of the documents asks as much as it can, since every judgement has a price on Spark.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.validation import profile
from airflow_provider_mlpipe.validation.rules import statistics, texts
from tests.validation.test_edge_matrix import EDGES, RULES
from tests.validation.test_rule_families import ROWS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

__all__ = ["AS_OF", "DOCUMENTS", "Document"]

AS_OF = dt.datetime(2026, 1, 14, 2, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Document:
    """A table, its rules, and the tables that they refer to.

    Attributes:
        exact_rows: up to so many rows it is worth to count distinct values exactly, so that a table is a large one.
    """

    table: pa.Table
    rules: Mapping[str, Any]
    related: Mapping[str, pa.Table] = field(default_factory=dict)
    exact_rows: int = 100_000

    def published(self, root: Storage) -> tuple[Artifact, dict[str, Artifact]]:
        """Return the table and those that it refers to as artifacts."""
        return _published(root, "data", self.table), {
            name: _published(root, name, each) for name, each in self.related.items()
        }

    def treated(self, patch: pytest.MonkeyPatch) -> None:
        """Have its table treated as of its size."""
        for module in (profile, statistics, texts):
            patch.setattr(module, "EXACT_ROWS", self.exact_rows)


def _published(root: Storage, dataset: str, table: pa.Table) -> Artifact:
    described = Description(dataset=dataset, stage="raw", run=Run(run_id="test"))
    with ArtifactWriter(root, described, table.schema) as writer:
        writer.write_all(table.to_batches())
        return writer.publish()


def days(*numbers: int | None) -> list[dt.datetime | None]:
    return [None if number is None else dt.datetime(2026, 1, number, tzinfo=dt.UTC) for number in numbers]


# ------------------------------------------------------------------ awkward columns

HEIGHT = 6
_COLUMNS = {f"c {name}": values for name, values in EDGES.items() if len(values)}
_WIDE = pa.table(
    {name: pa.chunked_array([each, pa.nulls(HEIGHT - len(each), each.type)]) for name, each in _COLUMNS.items()}
    | {"other": [1] * HEIGHT}
)
_NAMES = list(_COLUMNS)
_TEXTS = ["c text", "c dictionary", "c no type", "c one row"]
_NUMBERS = ["c one row", "c NaN", "c infinity", "c decimal", "c wide decimal", "c nullable int", "c unsigned", "c bool",
            "c no type"]  # fmt: skip
_STATISTICS: Mapping[str, Any] = RULES["statistics"]["c"]


def _edges() -> dict[str, Any]:
    quoted = [f'"{name}"' for name in _NAMES]
    return {
        "schema": dict.fromkeys([*_NAMES, "other"], "int"),
        "schema_strict": True,
        "required_columns": [*_NAMES, {"column": "c text", "condition": '"c text" is not null', "mostly": 0.5}],
        "unique_columns": [*_NAMES, ["c text", "other"], ["c list", "c struct"]],
        "range_constraints": {key: [0, 2] for key in _NAMES},
        "categorical_constraints": {name: [1, "a", True] for name in _NAMES},
        "patterns": dict.fromkeys(_TEXTS, "^[a-z]"),
        "lengths": {key: [1, 3] for key in _TEXTS},
        "pairs": [f"{name} >= other" for name in quoted],
        "sums": [f"{name} + other = 3" for name in quoted],
        "row_rules": [f"{name} > 0 or other is null" for name in quoted],
        "statistics": {
            **dict.fromkeys(_NUMBERS, _STATISTICS),
            "c list": {"distinct": [1, 2]},
            "c date": {"distinct": [1, 2], "max": ["2026-01-01", "2026-01-02"]},
        },
        "freshness": {"timestamp_column": "c aware time", "max_age_hours": 48},
        "distribution": dict.fromkeys(_NUMBERS, RULES["distribution"]["c"]),
        "row_count": [1, 2],
        "row_count_anomaly": {"min_runs": 2},
    }  # fmt: skip


# ------------------------------------------------------------------ expressions

EXPRESSIONS = [
    # arithmetic; a division by zero is infinite, a quotient of whole numbers is cut off
    "a / b > 0.5", "net * 2 / a >= 1 or a is null", "a // 2 = 1", "a % 2 = 1", "net % 2 = 1", "net / 0 > 1",
    "0 / net > 1", "price > 0.25", "price * 3 = 0.3", "a * 0.1 = 0.1", "-a < -2", "price + a > 3", "abs(net) > 1",
    "round(net, 0) = net", "round(gross * 10, 1) = 15", "ceil(gross) = 2", "floor(gross) = 1", "isinf(net)",
    "a = 1.0", "net > a", "tax = 0.5", "a - b <= 0",
    # times
    'date_diff(\'day\', start, "end") >= 1', "date_diff('month', start, \"end\") = 0",
    "date_diff('year', start, \"end\") = 0", "date_diff('hour', start, \"end\") > 20",
    "date_trunc('month', start) = '2026-01-01'", "extract(day from start) < 4", "year(start) = 2026",
    "month(start) = 1", "day(start) > 2", 'start < "end"', 'start + interval 1 day <= "end"',
    "cast(start as varchar) < '2026-01-03'", "cast(\"end\" as date) = '2026-01-02'",
    "cast('2026-01-03' as timestamp) <= start", "date_trunc('day', cast(\"end\" as date)) > '2026-01-02'",
    # texts
    "email like 'a%'", "email ilike '%X.ORG'", "email not like 'a\\%'", "email like '_@x.org'",
    "regexp_matches(email, '^[a-z]+@\\w+\\.org$')", "length(email) > 6", "upper(email) = 'A@X.ORG'",
    "lower(email) = email", "trim(email) <> ''", "starts_with(email, 'a')", "ends_with(email, 'org')",
    "email || 'x' = 'x'", "email = 'it''s \\ {rows} \"'",
    # casts round
    "cast(net as bigint) = 2", "cast(gross as int) = 2", "cast(price as int) = 0", "cast(id as varchar) = 'r1'",
    "try_cast(email as int) is null", "try_cast(email as timestamp) is null", "cast(a as double) / 3 < 1",
    "cast(net as decimal) = 0.1", "cast(gross as decimal(4, 1)) = 2.5", "cast(a as varchar) = '1'",
    # logic
    "coalesce(a, b) > 1", "greatest(a, b) > 2", "least(a, b) > 2", "nullif(a, 3) is null", "a in (1, 3)",
    "a not in (1, 3)", "a between 2 and 3", "case when a > 2 then b > 2 else b is null end",
    "\"group\" = 'x' and (a > 1 or b > 1)", "a is distinct from b", "a is not distinct from b", "a > 1 is true",
    "not a > 1", "a <> b", "a <= b",
]  # fmt: skip

_LISTED = {"pairs", "sums", "row_rules", "required_columns", "unique_columns"}


def _cases() -> list[dict[str, Any]]:
    """Return the rules of test_rule_families in as few documents as there are rules on one column."""
    documents: list[dict[str, Any]] = []
    for rules, *_ in ROWS.values():
        for document in documents:
            if all(key in _LISTED or not set(document.get(key, ())) & set(value) for key, value in rules.items()):
                break
        else:
            document = {}
            documents.append(document)
        for key, value in rules.items():
            document[key] = [*document.get(key, ()), *value] if key in _LISTED else {**document.get(key, {}), **value}
    return documents


_OTHERS = pa.table(
    {
        "k": ["x", "z", None],
        "t": pa.array([dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2), None], pa.timestamp("us")),  # noqa: DTZ001
        "n": [1, 5, None],
    }
)
_RELATED: dict[str, Any] = {
    "references": {"group": "others.k", "start": "others.t", "a": "others.n"},
    "unique_columns": ["id"],
    "freshness": {"timestamp_column": "end", "max_age_hours": 24},
    "distribution": {
        "group": {"reference": {"values": ["x", "q"], "weights": [0.5, 0.5]}, "threshold": 0.1, "min_rows": 1},
        "a": {"reference": {"bins": [0, 2, 4, 6], "weights": [1, 1, 1]}, "threshold": 0.01, "min_rows": 1},
        "net": {"reference": {"bins": [0, 2, 4], "weights": [1, 1]}, "method": "ks", "min_rows": 1},
        "b": {"reference": {"values": [1, 2, 3], "weights": [1, 1, 1]}, "method": "js", "min_rows": 1},
    },
    "statistics": {
        "a": {
            "mean": {"min": 3, "condition": "b > 1"}, "median": {"min": 3, "condition": "b > 1"},
            "sum": {"min": 99, "condition": "b > 99"}, "std": {"max": 1, "condition": "b > 1"},
            "distinct": {"max": 1, "condition": "b > 1"}, "quantiles": {"0.9": {"max": 1, "condition": "b > 1"}},
        },
        "start": {"min": ["2026-01-02", None], "median": ["2026-01-04", None]},
    },
}  # fmt: skip

# ------------------------------------------------------------------ expectations by name

_EXPECTED = pa.table(
    {
        "id": ["r1", "r2", "r3", "r4", "r5", "r5"],
        "i": [1, 2, 3, None, 5, 40],
        "j": [1, 2, 4, 4, None, 40],
        "f": [1.0, 2.5, math.nan, None, math.inf, -1.0],
        "g": [1.0, 2.0, 2.0, 3.5, 4.0, 100.0],
        "s": ["a", "b", "a b", "ä", "", None],
        "p": ["a", "A1", "x\ny", "%", "a_b", "a"],
        "t": pa.array(days(1, 2, 3, 4, 5, None), pa.timestamp("us", "UTC")),
        "u": pa.array([each and each.replace(tzinfo=None) for each in days(1, 3, 3, 4, 5, None)], pa.timestamp("ns")),
        "d": pa.array([each and each.date() for each in days(1, 2, 2, 4, 5, None)]),
        "q": [True, False, None, True, True, True],
        "m": [None if text is None else Decimal(text) for text in ("1.50", "2.25", None, "1.50", "0.00", "9.99")],
        "o": pa.nulls(6),
    }
)
_SOME = [1, "a", True, "2026-01-01", 2.5]


def _of_columns() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in ("max", "min", "mean", "median", "sum", "stdev"):
        found += [{"type": f"expect_column_{name}_to_be_between", "column": each, "max_value": 3} for each in "ifm"]
    for name in ("max", "min"):
        found += [
            {"type": f"expect_column_{name}_to_be_between", "column": each, "min_value": "2026-01-02"} for each in "td"
        ]
    for how in ("linear", "nearest", "midpoint"):
        asked = {"quantiles": [0.1, 0.5], "value_ranges": [[0, 1], [1, 3]]}
        name = "expect_column_quantile_values_to_be_between"
        found += [
            {"type": name, "column": each, "quantile_ranges": asked, "allow_relative_error": how} for each in "im"
        ]
    for name in ("unique_value_count", "proportion_of_unique_values", "proportion_of_non_null_values"):
        found += [{"type": f"expect_column_{name}_to_be_between", "column": each, "max_value": 0.5} for each in "ft"]
    for name in ("be_in", "contain", "equal"):
        found += [
            {"type": f"expect_column_distinct_values_to_{name}_set", "column": each, "value_set": _SOME}
            for each in "isdo"
        ]
    name = "expect_column_most_common_value_to_be_in_set"
    return [*found, *({"type": name, "column": each, "value_set": [1]} for each in "is")]


def _of_rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in ("to_be_unique", "to_be_null", "to_not_be_null"):
        found += [{"type": f"expect_column_values_{name}", "column": each} for each in "igo"]
    for name in ("be_in", "not_be_in"):
        found += [
            {"type": f"expect_column_values_to_{name}_set", "column": each, "value_set": _SOME} for each in "iqtm"
        ]
    between = "expect_column_values_to_be_between"
    found += [{"type": between, "column": each, "min_value": 1, "max_value": 3.5, "strict_max": True} for each in "ifm"]
    found += [{"type": between, "column": "u", "min_value": "2026-01-02", "strict_min": True}]
    for double in (True, False):
        name = "expect_column_value_z_scores_to_be_less_than"
        found += [{"type": name, "column": each, "threshold": 1, "double_sided": double} for each in "if"]
    for regex in ("a$", r"\s", "(?i)A", r"[[:alpha:]]+\d?", ".b", r"\bb", "^[^a]"):
        found += [{"type": "expect_column_values_to_match_regex", "column": "p", "regex": regex}]
    found += [{"type": "expect_column_values_to_not_match_regex", "column": "s", "regex": "^[a-z]"}]
    for no in ("", "not_"):
        name = f"expect_column_values_to_{no}match"
        found += [
            {"type": f"{name}_regex_list", "column": "p", "regex_list": ["^a", "b$"]},
            {"type": f"{name}_like_pattern", "column": "p", "like_pattern": "a!_%", "escape": "!"},
            {"type": f"{name}_like_pattern_list", "column": "p", "like_pattern_list": ["a_", "%y"]},
        ]
    return [
        *found,
        {"type": "expect_column_value_lengths_to_equal", "column": "s", "value": 1},
        {"type": "expect_column_value_lengths_to_be_between", "column": "s", "max_value": 1},
    ]


def _of_several() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one, other in (("i", "g"), ("t", "u"), ("o", "i")):
        pair = {"column_A": one, "column_B": other}
        found += [
            {"type": "expect_column_pair_values_to_be_equal", **pair, "ignore_row_if": "neither"},
            {"type": "expect_column_pair_values_a_to_be_greater_than_b", **pair, "or_equal": True},
            {"type": "expect_multicolumn_values_to_be_equal", "column_list": [one, other]},
            {"type": "expect_select_column_values_to_be_unique_within_record", "column_list": [one, other]},
            {"type": "expect_compound_columns_to_be_unique", "column_list": [one, other], "ignore_row_if": "never"},
        ]
    query = "SELECT s, count(*) AS n, sum(i) AS total, max(t) AS newest FROM {batch} GROUP BY s HAVING count(*) > 0"
    return [
        *found,
        {
            "type": "expect_column_pair_values_to_be_in_set", "column_A": "i", "column_B": "s",
            "value_pairs_set": [[1, "a"], [2, None], [None, "x"]],
        },
        {"type": "expect_multicolumn_sum_to_equal", "column_list": ["i", "j"], "sum_total": 4},
        {"type": "expect_multicolumn_sum_to_equal", "column_list": ["i", "g"], "sum_total": 4},
        {"type": "expect_table_row_count_to_equal", "value": 6},
        {"type": "unexpected_rows_expectation", "unexpected_rows_query": "SELECT * FROM {batch} WHERE i > 2"},
        {"type": "unexpected_rows_expectation", "unexpected_rows_query": query},
        {"type": "unexpected_rows_expectation", "unexpected_rows_query": "SELECT s FROM {batch} UNION SELECT p FROM {batch}"},
    ]  # fmt: skip


def _nothing() -> Document:
    """A table without rows, with rules on columns that are there, and on one that is not."""
    ours = {key: value for key, value in RULES.items() if key != "schema_strict"}
    rules = {**ours, "allow_empty": True, "statistics": {"c": {"mean": [0, 1]}, "away": {"mean": [0, 1]}}}
    return Document(pa.table({"c": pa.array([], pa.int64()), "other": pa.array([], pa.int64())}), rules)


DOCUMENTS: dict[str, Document] = {
    "edges": Document(_WIDE, _edges()),
    "no rows": _nothing(),
    "texts of times": Document(
        pa.table({"c": [*EDGES["text of times"].to_pylist(), "2026", "12:00", "2026-1-3 10:00", "2026-01-12T00:00:00+0100"]}),
        {"freshness": {"timestamp_column": "c", "max_age_hours": 48}},
    ),
    **{f"rows {place}": Document(TABLE, rules) for place, rules in enumerate(_cases())},
    "expressions": Document(TABLE, {"row_rules": EXPRESSIONS, "unique_columns": ["id"]}),
    "related": Document(TABLE, _RELATED, {"others": _OTHERS}),
    "large": Document(
        pa.table({"k": [1, 2, 3, 3], "n": [5, 6, 7, 8], "s": ["a", "B", "a", None]}),
        {
            "unique_columns": ["k", "n", "s"], "patterns": {"s": {"regex": "^[a-z]", "condition": "n > 0"}},
            "statistics": {"s": {"distinct": [3, 3]}},
        },
        exact_rows=0,
    ),
    "expectations": Document(
        _EXPECTED,
        {"expectations": [*_of_columns(), *_of_rows(), *_of_several()], "unique_columns": ["id"],
         "freshness": {"timestamp_column": "d", "max_age_hours": 24}},
    ),
}  # fmt: skip
