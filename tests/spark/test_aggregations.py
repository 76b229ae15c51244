"""DuckDB, a real Spark and plain loops compute the same features: every aggregation, on numbers of every type.

DuckDB and Spark are compared bit for bit, by fingerprint, the loops to 1e-12. The one exception are quantiles,
which Spark rounds in another order: to 1e-12. What is compared is enumerated from the
package, so that what is added there without a place here fails.
"""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_mlpipe.config.features import AggregationName
from tests.feature_extraction import reference
from tests.spark.conformance import close, on_both, put
from tests.spark.generated import AS_OF

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.engines import SparkSettings


def _quantile(q: float) -> Callable[[list[float]], float | None]:
    def found(values: list[float]) -> float | None:
        if not values:
            return None
        ordered, place = sorted(values), q * (len(values) - 1)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        return float(Fraction(low) + (Fraction(high) - Fraction(low)) * Fraction(place - math.floor(place)))

    return found


def _first(events: list[dict[str, Any]], *, last: bool = False) -> float | None:
    events = [event for event in events if event["x"] is not None and math.isfinite(event["x"])]
    if not events:
        return None
    pick = max if last else min
    at = pick(event["occurred_at"] for event in events)
    return pick(float(event["x"]) for event in events if event["occurred_at"] == at)


def _companions(events: list[dict[str, Any]], user: str, everybody: list[dict[str, Any]]) -> int:
    mine = {event["x"] for event in events if event["x"] is not None}
    return len({e["user_id"] for e in everybody if e["x"] in mine and e["user_id"] not in (user, None)})


def _shared(events: list[dict[str, Any]], user: str, everybody: list[dict[str, Any]]) -> int:
    others = {e["x"] for e in everybody if e["user_id"] not in (user, None)}
    return len({e["x"] for e in events if e["x"] is not None} & others)


def _effective(events: list[dict[str, Any]]) -> float | None:
    seen = [event["x"] for event in events if event["x"] is not None]
    squares = sum(seen.count(value) ** 2 for value in set(seen))
    return len(seen) ** 2 / squares if seen else None


def numbers(events: list[dict[str, Any]]) -> list[float]:
    return [float(e["x"]) for e in events if e["x"] is not None and math.isfinite(e["x"])]


AGGREGATIONS: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "count": ({}, lambda seen, **_: len([e for e in seen if e["x"] is not None and math.isfinite(e["x"])])),
    "sum": ({}, lambda seen, **_: reference.exact(numbers(seen))),
    "mean": ({}, lambda seen, **_: reference.mean(numbers(seen))),
    "min": ({}, lambda seen, **_: min(numbers(seen), default=None)),
    "max": ({}, lambda seen, **_: max(numbers(seen), default=None)),
    "std": ({}, lambda seen, **_: reference.deviation(numbers(seen))),
    "distinct": ({}, lambda seen, **_: len(set(numbers(seen)))),
    "quantile": ({"q": 0.3}, lambda seen, **_: _quantile(0.3)(numbers(seen))),
    "first": ({}, lambda seen, **_: _first(seen)),
    "last": ({}, lambda seen, **_: _first(seen, last=True)),
    "rate": ({}, lambda seen, *, days, **_: reference.exact(numbers(seen)) / days),
    "companions": ({"column": "task_id"}, lambda seen, *, user, everybody, **_: _companions(seen, user, everybody)),
    "shared": ({"column": "task_id"}, lambda seen, *, user, everybody, **_: _shared(seen, user, everybody)),
    "effective": ({"column": "task_id"}, lambda seen, **_: _effective(seen)),
}
WHERE = "event_type in ('task_completed', 'files_changed') and not (skill = 'devops')"


def chosen(event: dict[str, Any]) -> bool:
    """Return what WHERE says: an unknown skill is not known to be another."""
    return event["event_type"] in ("task_completed", "files_changed") and event["skill"] not in ("devops", None)


def test_every_aggregation_has_its_loops() -> None:
    assert set(AGGREGATIONS) == set(get_args(AggregationName))


def test_every_aggregation(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    declared = {
        f"{name}_{kind}": {"agg": name, "column": "hours", "windows": ["2d", "9d"], **more, **where}
        for name, (more, _) in AGGREGATIONS.items()
        for kind, where in (("all", {}), ("some", {"where": WHERE}))
    }
    found = on_both(root, put(root, drawn), on_spark, aggregations=declared, delay="6h", rounded=("quantile_",))
    events = [event for event in drawn["activity"].to_pylist() if event["occurred_at"] is not None]
    end = AS_OF - timedelta(hours=6)
    wrong = []
    for days in (2, 9):
        inside = [event for event in events if end - timedelta(days=days) <= event["occurred_at"] < end]
        for kind, pool in (("all", inside), ("some", [event for event in inside if chosen(event)])):
            for name, (more, by_loops) in AGGREGATIONS.items():
                everybody = [{**event, "x": event[more.get("column", "hours")]} for event in pool]
                for row in found:
                    user = row["user_id"]
                    seen = [event for event in everybody if event["user_id"] == user]
                    expected = by_loops(seen, user=user, everybody=everybody, days=days)
                    got = row[f"{name}_{kind}_{days}d"]
                    if not close(got, expected):
                        wrong.append(f"{name}_{kind}_{days}d of {user!r}: {got!r}, expected {expected!r}")
    assert wrong == []


NUMBERS = ("points", "size", "price", "late", "single")
"""Columns whose sums go beyond 64 bits, unsigned ones, decimals, true and false, and floats of half the size."""


def test_numbers_of_every_type(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    names = ("sum", "mean", "min", "max", "std", "distinct", "first", "last", "count")
    declared = {
        f"{name}_{column}": {"agg": name, "column": column, "windows": ["30d"]}
        for name in names
        for column in NUMBERS
        # Squares of 2**62 add up to more than 1e38, which both engines refuse.
        if name != "std" or column not in ("points", "size")
    }
    found = on_both(root, put(root, drawn), on_spark, aggregations=declared)
    start = AS_OF - timedelta(days=30)
    events = [
        event
        for event in drawn["activity"].to_pylist()
        if event["occurred_at"] is not None and start <= event["occurred_at"] < AS_OF
    ]
    for row in found:
        for column in NUMBERS:
            seen = [{**event, "x": event[column]} for event in events if event["user_id"] == row["user_id"]]
            for name in ("sum", "mean", "min", "max", "count"):
                expected = AGGREGATIONS[name][1](seen)
                got = row[f"{name}_{column}_30d"]
                assert close(got, expected), (name, column, row["user_id"], got, expected)


def test_pivots_and_events_without_a_match(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    declared = {
        "by": {"agg": "count", "windows": ["30d"], "pivot": {"column": "skill", "values": ["backend", "", "no"]}},
        "true": {"agg": "sum", "column": "hours", "windows": ["30d"], "pivot": {"column": "late", "values": ["true"]}},
        "number": {"agg": "count", "windows": ["30d"], "pivot": {"column": "points", "values": ["-1", "3"]}},
    }
    found = on_both(root, put(root, drawn), on_spark, aggregations=declared)
    assert sum(row["by_backend"] for row in found) > 0
    assert sum(row["number_3"] for row in found) > 0
    assert {row["by_no"] for row in found} == {0}
