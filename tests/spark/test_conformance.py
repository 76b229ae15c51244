"""DuckDB, a real Spark and plain loops compute the same features: every operation, every aggregation, every catalog.

DuckDB and Spark are compared bit for bit, by fingerprint, the loops to 1e-12. The one exception are quantiles, which
Spark rounds in another order: to 1e-12. What is compared is enumerated from the package, so that what is added there
without a place here fails.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import cycle
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.config.features import AggregationName
from airflow_provider_mlpipe.engines import DuckDBSettings, open_engine
from airflow_provider_mlpipe.feature_extraction import extract, normalization
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
from airflow_provider_mlpipe.feature_extraction.compile.scaling import Method, Missing
from airflow_provider_mlpipe.feature_extraction.declaration import EVENT_DAY
from airflow_provider_mlpipe.feature_extraction.expression import _BINARY, FUNCTIONS
from airflow_provider_mlpipe.feature_extraction.moments import Moments
from tests.feature_extraction import reference
from tests.feature_extraction.material import configured, day, published
from tests.realdata import TRACKER, needs_tracker
from tests.spark.generated import AS_OF, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_mlpipe.artifacts import Artifact, Storage
    from airflow_provider_mlpipe.engines import SparkSettings

ENTITIES = sorted(DOMAINS)


def on_both(
    root: Storage,
    inputs: Mapping[str, Artifact],
    spark: SparkSettings,
    *,
    name: str = "user_features",
    as_of: datetime = AS_OF,
    rounded: tuple[str, ...] = (),
    moments: Moments | None = None,
    chunk: Chunk | None = None,
    **body: Any,
) -> list[dict[str, Any]]:
    """Extract on DuckDB and on Spark, compare bit for bit but for what is `rounded`, and return Spark's rows."""
    features = configured(name, **body)
    given = {"features": features, "inputs": inputs, "run": day(as_of), "as_of": moments or as_of, "chunk": chunk}
    found = [
        extract(**given, root=root.below(engine.name), engine=engine, cache=False)
        for engine in (DuckDBSettings(), spark)
    ]
    duckdb, by_spark = (each.artifact for each in found)
    assert by_spark.schema == duckdb.schema
    assert not differences(by_spark.table(), duckdb.table(), rounded)
    assert rounded or by_spark.fingerprint == duckdb.fingerprint
    assert (duckdb.manifest.details["engine"], by_spark.manifest.details["engine"]) == ("duckdb", "spark")
    assert found[0].metrics["entities"] > 0
    counts = ("entities", "events_read", "events_null_key", "events_unknown_entity", "missing_values")
    assert [found[1].metrics[count] for count in counts] == [found[0].metrics[count] for count in counts]
    return list(found[1].artifact.table().to_pylist())


def differences(spark: pa.Table, duckdb: pa.Table, rounded: tuple[str, ...] = ()) -> list[str]:
    """Return where two tables differ, for people; columns that begin with one of `rounded` to 1e-12."""
    if spark.num_rows != duckdb.num_rows:
        return [f"{spark.num_rows} rows instead of {duckdb.num_rows}"]
    found = []
    for name in duckdb.column_names:
        if name == "created_timestamp":
            continue
        same = close if rounded and name.startswith(rounded) else lambda a, b: repr(a) == repr(b)
        pairs = zip(spark[name].to_pylist(), duckdb[name].to_pylist(), strict=True)
        found += [f"{name}, row {n}: {a!r} instead of {b!r}" for n, (a, b) in enumerate(pairs) if not same(a, b)]
    return found[:10]


def close(got: Any, expected: Any) -> bool:
    if got is None or expected is None:
        return got is expected
    return bool(got == expected or math.isclose(got, expected, rel_tol=1e-12, abs_tol=1e-12))


@pytest.fixture(scope="module", params=[1], ids="seed {}".format)
def drawn(request: pytest.FixtureRequest) -> dict[str, pa.Table]:
    return tables(request.param)


def put(root: Storage, given: Mapping[str, pa.Table]) -> dict[str, Artifact]:
    return {role: published(root, role, table) for role, table in given.items()}


# ---------------------------------------------------------------- catalogs


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_catalog(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings, entity: str) -> None:
    features = [*DOMAINS[entity].aggregations, *DOMAINS[entity].derived]
    assert features
    name = f"{entity.removesuffix('_id')}_features"
    on_both(root, put(root, drawn), on_spark, name=name, aggregation_window="9d")


def test_the_users_catalog_by_loops(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    names = list(reference.catalog([], "", AS_OF, timedelta(days=9)))
    found = on_both(root, put(root, drawn), on_spark, aggregation_window="9d", features=names)
    events = drawn["activity"].to_pylist()
    assert [row["user_id"] for row in found] == sorted(
        {key for key in drawn["users"]["user_id"].to_pylist() if key is not None}, key=str.encode
    )
    for row in found:
        expected = reference.catalog(events, row["user_id"], AS_OF, timedelta(days=9))
        assert {n: row[n] for n in names if not close(row[n], expected[n])} == {}, (row["user_id"], expected)


LEAP_DAY = datetime.fromisoformat("2024-02-29T12:00:00+00:00")


@pytest.fixture(scope="module")
def tracker() -> dict[str, pa.Table]:
    return {
        **{name: pacsv.read_csv(TRACKER / f"{name}.csv") for name in ("users", "teams", "projects")},
        **{name: pq.read_table(TRACKER / f"{name}.parquet") for name in ("activity", "tasks")},
    }


@needs_tracker
@pytest.mark.parametrize("entity", ENTITIES)
def test_every_catalog_on_real_data(
    root: Storage, tracker: dict[str, pa.Table], on_spark: SparkSettings, entity: str
) -> None:
    domain = DOMAINS[entity]
    roles = {domain.spine, *(role for source in domain.sources.values() for role, _ in source.structure())}
    theirs = {"activity": {"skill": "area", "hours": "amount"}, "tasks": {"skill": "area"}, "teams": {"skill": "area"}}
    on_both(
        root,
        put(root, tracker),
        on_spark,
        name=f"{entity.removesuffix('_id')}_features",
        as_of=LEAP_DAY,
        aggregation_window="90d",
        columns={role: names for role, names in theirs.items() if role in roles},
    )


# ---------------------------------------------------------------- aggregations


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


# ---------------------------------------------------------------- expressions


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


# ---------------------------------------------------------------- times, normalisation


def test_many_moments_in_one_pass_and_a_part_of_the_entities(
    root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings
) -> None:
    """A training history over the leap day, of every third entity, and a proof that nothing later was seen."""
    moments = Moments.between("2024-02-28T01:30", "2024-03-02", "12h")
    declared = {
        f"{name}_hours": {"agg": name, "column": "hours", "windows": ["2d", "9d"]}
        for name in ("count", "sum", "distinct", "std", "last")
    }
    inputs = put(root, drawn)
    found = on_both(root, inputs, on_spark, moments=moments, chunk=Chunk(index=1, of=3), aggregations=declared)
    assert len({row["event_timestamp"] for row in found}) == moments.count
    everybody = {key for key in drawn["users"]["user_id"].to_pylist() if key is not None}
    assert 0 < len({row["user_id"] for row in found}) < len(everybody)


TIMES = {
    "us": pa.timestamp("us"), "ns": pa.timestamp("ns"), "utc": pa.timestamp("ns", "UTC"),
    "york": pa.timestamp("ms", "America/New_York"), "s": pa.timestamp("s"), "date": pa.date32(),
}  # fmt: skip


def test_times_of_every_type(root: Storage, drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    activity = drawn["activity"]
    for name, kind in TIMES.items():
        times = activity["occurred_at"]
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            times = times.cast(pa.timestamp("us"), safe=False)
        activity = activity.append_column(f"at_{name}", times.cast(kind, safe=False))
    sources = {name: {"input": "activity", "timestamp": f"at_{name}"} for name in TIMES}
    declared = {
        f"{agg}_{name}": {"agg": agg, "column": column, "windows": ["2d", "30d"], "source": name}
        for name in TIMES
        for agg, column in (("count", None), ("distinct", EVENT_DAY), ("last", "hours"))
    }
    found = on_both(root, put(root, {**drawn, "activity": activity}), on_spark, sources=sources, aggregations=declared)
    for name in TIMES:
        assert sum(row[f"count_{name}_2d"] for row in found) > 0


def test_fitted_state_and_what_it_scales(drawn: dict[str, pa.Table], on_spark: SparkSettings) -> None:
    """Every way of scaling and filling, with statistics that agree; medians and quartiles to 1e-12."""
    users = drawn["users"]
    table = users.select(["a", "b", "age"]).append_column("row", pa.array(range(users.num_rows)))
    names = ["a", "b", "age"]
    found = []
    for settings in (DuckDBSettings(), on_spark):
        with open_engine(settings) as engine:
            engine.register("f", table)
            fitted = normalization.fit(engine, "f", table.schema, names)
            scaled = {
                (method, missing): normalization.transform(
                    engine, "f", table.schema, fitted, order=["row"], method=method, missing=missing
                ).read_all()
                for method, missing in zip(cycle(get_args(Method)), get_args(Missing), strict=False)
            }
            found.append((fitted, scaled))
    (duckdb, by_duckdb), (spark, by_spark) = found
    for name in names:
        for key, value in asdict(duckdb[name]).items():
            assert close(getattr(spark[name], key), value), (name, key)
        assert replace(spark[name], **dict.fromkeys(("median", "q1", "q3"))) == replace(
            duckdb[name], **dict.fromkeys(("median", "q1", "q3"))
        )
    assert {missing for _, missing in by_spark} == set(get_args(Missing))
    for key, table in by_duckdb.items():
        assert not differences(by_spark[key], table, tuple(names)), key
