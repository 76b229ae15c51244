"""DuckDB, a real Spark and plain loops compute the same features: every operation of expressions.

DuckDB and Spark are compared bit for bit, by fingerprint, the loops to 1e-12. What is compared is enumerated from the
package, so that what is added there without a place here fails.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.feature_extraction.expression import _BINARY, FUNCTIONS
from tests.spark.conformance import close, on_both, put
from tests.spark.generated import AS_OF

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.engines import SparkSettings


def _null(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return an operation that is null if an argument is."""
    return lambda *values: None if any(value is None for value in values) else operation(*values)


def _and(a: Any, b: Any) -> Any:
    return False if a is False or b is False else (None if a is None or b is None else True)


def _or(a: Any, b: Any) -> Any:
    return True if a is True or b is True else (None if a is None or b is None else False)


def _not(a: Any) -> Any:
    return None if a is None else not a


def _least(pick: Callable[..., Any], *values: Any) -> Any:
    known = [value for value in values if value is not None]
    return pick(known) if known else None


def _days(row: dict[str, Any]) -> Any:
    at = row["created_at"]
    if at is None or at > AS_OF:
        return None
    whole = AS_OF.replace(microsecond=0) - at.replace(microsecond=0)
    return whole.total_seconds() / 86_400


EXPRESSIONS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "+": ("a + b + 0.1", lambda r: _null(lambda a, b: a + b + 0.1)(r["a"], r["b"])),
    "-": ("a - b - 3", lambda r: _null(lambda a, b: a - b - 3)(r["a"], r["b"])),
    "*": ("a * 7 * 0.3", lambda r: _null(lambda a: a * 7 * 0.3)(r["a"])),
    "/": ("a / b / 30.0", lambda r: _null(lambda a, b: a / b / 30.0 if b else None)(r["a"], r["b"])),
    "neg": ("-a - -n", lambda r: _null(lambda a, n: -a - -float(n))(r["a"], r["n"])),
    "whole numbers": ("(n - 12.3456) / 3.33", lambda r: _null(lambda n: (float(n) - 12.3456) / 3.33)(r["n"])),
    "=": ("a = b", lambda r: _null(lambda a, b: a == b)(r["a"], r["b"])),
    "<>": ("n <> 3", lambda r: _null(lambda n: n != 3)(r["n"])),
    "<": ("text < 'a'", lambda r: _null(lambda t: t < "a")(r["text"])),
    "<=": ("a <= 0.1", lambda r: _null(lambda a: a <= 0.1)(r["a"])),
    ">": ("a > n", lambda r: _null(lambda a, n: a > float(n))(r["a"], r["n"])),
    ">=": (
        "created_at >= '2024-02-29'",
        lambda r: _null(lambda at: at >= datetime.fromisoformat("2024-02-29T00:00:00+00:00"))(r["created_at"]),
    ),
    "and": ("flag and a > b", lambda r: _and(r["flag"], _null(lambda a, b: a > b)(r["a"], r["b"]))),
    "or": ("flag or a > b", lambda r: _or(r["flag"], _null(lambda a, b: a > b)(r["a"], r["b"]))),
    "not": ("not flag", lambda r: _not(r["flag"])),
    "is null": ("text is null", lambda r: r["text"] is None),
    "in": ("text in ('a', 'é', '')", lambda r: _null(lambda t: t in ("a", "é", ""))(r["text"])),
    "not in": ("not (n in (1, 2))", lambda r: _null(lambda n: n not in (1, 2))(r["n"])),
    "between": ("a between 0 and 2", lambda r: _null(lambda a: 0 <= a <= 2)(r["a"])),
    "case": (
        "case when flag then a when b > 1 then n else -1.5 end",
        lambda r: (
            r["a"]
            if r["flag"]
            else ((None if r["n"] is None else float(r["n"])) if r["b"] is not None and r["b"] > 1 else -1.5)
        ),
    ),
    "coalesce": ("coalesce(a, n, 0.1)", lambda r: next(v for v in (r["a"], r["n"], 0.1) if v is not None)),
    "least": ("least(a, n, 2)", lambda r: _least(min, r["a"], r["n"], 2)),
    "greatest": ("greatest(a, b)", lambda r: _least(max, r["a"], r["b"])),
    "days_since": ("days_since(created_at)", _days),
    "overflow": ("a * 1e308 * 10", lambda r: _null(lambda a: a * 1e308 * 10)(r["a"])),
}


def test_every_operation_has_its_loop() -> None:
    assert {*_BINARY.values(), *FUNCTIONS, "neg", "not", "is null", "in", "between", "case"} <= set(EXPRESSIONS)


def test_every_operation(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    derived = {f"x{n}": text for n, (text, _) in enumerate(EXPRESSIONS.values())}
    found = on_both(root, put(root, drawn), on_spark, derived=derived)
    people = {row["user_id"]: row for row in drawn["users"].to_pylist()}
    end = AS_OF
    wrong = []
    for row in found:
        given = dict(people[row["user_id"]])
        given |= {name: v if v is None or math.isfinite(v) else None for name in "ab" for v in [given[name]]}
        if given["created_at"] is not None and given["created_at"] >= end:
            given["created_at"] = None  # that has not happened yet
        for n, (text, by_loop) in enumerate(EXPRESSIONS.values()):
            expected = by_loop(given)
            expected = None if expected is None else float(expected)
            expected = expected if expected is None or math.isfinite(expected) else None
            if not close(row[f"x{n}"], expected):
                wrong.append(f"{text} of {given}: {row[f'x{n}']!r}, expected {expected!r}")
    assert wrong[:5] == []
