"""GX's expectations on whole columns as SQL: its metrics by their names, from the engine instead of from pandas."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.frame import RELATION
from airflow_provider_mlpipe.validation.gx.conditions import NUMBERS, TIMES
from airflow_provider_mlpipe.validation.membership import LISTABLE, listed

if TYPE_CHECKING:
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition

__all__ = ["ON_COLUMNS", "Column", "answers", "computable", "problem_with", "quantile_ranks"]

MAX_LISTED = 20
"""How many values a result lists: of all that are missing or too many, the first in their order."""

MAX_TIES = 10_000
"""How many values that are equally common are looked up in the set."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTERPOLATIONS: Mapping[str, Callable[[float], int]] = {"nearest": round, "lower": math.floor, "higher": math.ceil}


class Column:
    """One column of the rows that an expectation is about.

    Args:
        frame: the rows.
        name: of the column.
        selected: which rows; all if None.
        arguments: as Great Expectations names them.
    """

    def __init__(self, frame: Frame, name: str, selected: Condition | None, arguments: Mapping[str, Any]) -> None:
        self.frame, self.name, self.arguments = frame, name, arguments
        self.kind = frame.logical(name)
        where, self.parameters = selected or ("true", [])
        self.rows = f"(SELECT {frame.sql(name)} AS v FROM {RELATION} WHERE {where})"  # noqa: S608

    def one(self, sql: str, *more: Any) -> Any:  # noqa: ANN401 - whatever the aggregate is of
        """Return an aggregate over the column, which SQL calls ``v``."""
        ((value,),) = self.frame.query(f"SELECT {sql} FROM {self.rows}", [*more, *self.parameters])  # noqa: S608
        return value

    def several(self, sql: str, *more: Any) -> list[Any]:  # noqa: ANN401
        """Return the first column of a query in which ``{v}`` stands for the column's rows."""
        return [row[0] for row in self.frame.query(sql.replace("{v}", self.rows), [*self.parameters, *more])]


def computable(kind: str, name: str) -> bool:
    """Whether the engine can compute what expectation `name` asks of a column of logical type `kind`."""
    return name in ON_COLUMNS and (kind == "null" or kind in ON_COLUMNS[name][0])


def answers(name: str, column: Column) -> dict[str, Any]:
    """Return the metrics that expectation `name` asks for, by their names."""
    return ON_COLUMNS[name][1](column)


def problem_with(name: str, kind: str) -> str:
    """Return why expectation `name` cannot be about a column of logical type `kind`, as a clause, or nothing."""
    if name not in ON_COLUMNS or computable(kind, name) or kind not in _UNCOUNTABLE:
        return ""
    return f"is of type {kind}, of which Great Expectations computes no {_METRIC.sub(' ', name).strip()}"


# ------------------------------------------------------------------ numbers


def _real(place: str) -> str:
    return f"CAST({place} AS DOUBLE)"


def _extreme(function: str) -> Callable[[Column], Any]:
    def compute(column: Column) -> Any:  # noqa: ANN401
        if column.kind not in TIMES:
            return column.one(f"{function}(v)")
        # Through whole microseconds, as a driver's idea of a time zone is not ours.
        micros = column.one(
            f"epoch_us({function}(CAST(v AS TIMESTAMPTZ)) FILTER (WHERE isfinite(CAST(v AS TIMESTAMPTZ))))"
        )
        return None if micros is None else _EPOCH + timedelta(microseconds=micros)

    return compute


def _mean(column: Column) -> Any:  # noqa: ANN401
    return column.one(f"avg({_real('v')})")


def _sum(column: Column) -> Any:  # noqa: ANN401
    # Nothing adds up to nothing: so say pandas and GX.
    return column.one("coalesce(sum(v), 0)") if column.kind == "int" else column.one(f"coalesce(sum({_real('v')}), 0)")


def _deviation(column: Column) -> Any:  # noqa: ANN401
    # Of an infinity there is no deviation; the engine would refuse to compute it.
    finite = f"isfinite({_real('v')})"
    return column.one(f"CASE WHEN count(v) = count(v) FILTER (WHERE {finite}) THEN "
                      f"stddev_samp(CASE WHEN {finite} THEN {_real('v')} END) END")  # fmt: skip


def _median(column: Column) -> Any:  # noqa: ANN401
    return column.one(f"median({_real('v')})")


def _quantiles(column: Column) -> list[Any] | None:
    """Return values that stand in the column (or lie between two of them), as pandas picks them."""
    wanted = column.arguments["quantile_ranges"]["quantiles"]
    how = column.arguments.get("allow_relative_error") or "nearest"
    count = column.one("count(v)")
    if not count:
        return [math.nan] * len(wanted)
    if how == "linear":
        return [column.one(f"quantile_cont({_real('v')}, ?)", float(each)) for each in wanted]
    flat = [rank for each in wanted for rank in quantile_ranks(float(each), count, how)]
    # quantile_disc takes the value of rank ceil(q * count) - 1: half a rank more names each rank exactly.
    shares = ", ".join(repr((rank + 0.5) / count) for rank in flat)
    found = column.one(f"quantile_disc(v, [{shares}])")
    pairs = zip(found[::2], found[1::2], strict=True)
    return [low if low == high else (float(low) + float(high)) / 2 for low, high in pairs]


def quantile_ranks(share: float, count: int, how: str) -> tuple[int, int]:
    """Return between which two values of `count`, sorted and numbered from 0, pandas sees a quantile; often one twice.

    Where it falls is a floating-point number, and halves go to the even side: 0.1 of six values is at 0.5, the first.

    >>> quantile_ranks(0.1, 6, "nearest"), quantile_ranks(0.9, 6, "nearest"), quantile_ranks(0.9, 6, "midpoint")
    ((0, 0), (4, 4), (4, 5))
    """
    place = share * 100.0 / 100.0 * (count - 1)  # pandas goes by percent, and numpy back
    if how == "midpoint":
        return math.floor(place), math.ceil(place)
    rank = _INTERPOLATIONS[how](place)
    return rank, rank


# ------------------------------------------------------------------ distinct values


def _distinct(column: Column) -> int:
    # Grouped, not count(DISTINCT), which cannot spill.
    return int(column.several("SELECT count(*) FROM (SELECT v FROM {v} WHERE v IS NOT NULL GROUP BY v)")[0])


def _unique_share(column: Column) -> float:
    count = column.one("count(v)")
    return _distinct(column) / count if count else 0


def _present_share(column: Column) -> float:
    found = column.several("SELECT CASE WHEN count(*) = 0 THEN 0 ELSE count(v) / count(*) END FROM {v}")
    return float(found[0])


def _strangers(column: Column) -> dict[str, Any]:
    """Return how many different values are not in the set, and the first of them."""
    if column.kind == "null":
        return {"column.distinct_values.not_in_set.count": 0, "column.distinct_values.not_in_set": []}
    _, kind, values = listed(column.frame, column.name, column.arguments["value_set"])
    others = (
        f"FROM (SELECT v FROM {{v}} WHERE v IS NOT NULL GROUP BY v) "  # noqa: S608
        f"WHERE CAST(v AS {kind}) NOT IN (SELECT unnest(CAST(? AS {kind}[])))"
    )
    count = column.several(f"SELECT count(*) {others}", values)[0]
    shown = column.frame.shown(column.name, "v")
    first = column.several(f"SELECT {shown} {others} ORDER BY v LIMIT {MAX_LISTED}", values) if count else []
    return {"column.distinct_values.not_in_set.count": count, "column.distinct_values.not_in_set": first}


def _absent(column: Column) -> dict[str, Any]:
    """Return how many values of the set do not stand in the column, and the first of them."""
    given = list(dict.fromkeys(column.arguments["value_set"]))
    if column.kind == "null":
        return _missing(given)
    _, kind, _ = listed(column.frame, column.name, ())
    # One slot per value keeps the positions; a value that the column cannot hold is a null, which matches none.
    slots = [next(iter(listed(column.frame, column.name, [value])[2]), None) for value in given]
    found = column.frame.query(
        f"SELECT DISTINCT list_position(CAST(? AS {kind}[]), CAST(v AS {kind})) FROM {column.rows} "  # noqa: S608
        "WHERE v IS NOT NULL",
        [slots, *column.parameters],
    )
    there = {slots[place - 1] for (place,) in found if place}
    return _missing([value for value, slot in zip(given, slots, strict=True) if slot not in there])


def _missing(missing: list[Any]) -> dict[str, Any]:
    return {
        "column.distinct_values.missing_from_column.count": len(missing),
        "column.distinct_values.missing_from_column": missing[:MAX_LISTED],
    }


def _commonest(column: Column) -> list[Any]:
    return column.several(
        "WITH times AS (SELECT v, count(*) AS n FROM {v} WHERE v IS NOT NULL GROUP BY v) "  # noqa: S608
        f"SELECT v FROM times WHERE n = (SELECT max(n) FROM times) ORDER BY v LIMIT {MAX_TIES}"
    )


# ------------------------------------------------------------------ by expectation

_METRIC = re.compile(r"^expect_column_|_to_(be|contain|equal)_.*$|_")
_UNCOUNTABLE = frozenset({"string", "list", "struct", "map", "binary", "time", "duration", "mixed", "other"})
_EVERY = frozenset({"string", "int", "float", "decimal", "bool", "timestamp", "date", "binary", "time"})
_BARE = frozenset({"string", "int", "float", "bool"})

Metrics = Callable[[Column], dict[str, Any]]


def _single(metric: str, compute: Callable[[Column], Any]) -> Metrics:
    return lambda column: {metric: compute(column)}


ON_COLUMNS: Mapping[str, tuple[frozenset[str], Metrics]] = {
    "expect_column_distinct_values_to_be_in_set": (LISTABLE, _strangers),
    "expect_column_distinct_values_to_contain_set": (LISTABLE, _absent),
    "expect_column_distinct_values_to_equal_set": (LISTABLE, lambda column: _strangers(column) | _absent(column)),
    "expect_column_max_to_be_between": (NUMBERS | TIMES | {"string"}, _single("column.max", _extreme("max"))),
    "expect_column_mean_to_be_between": (NUMBERS, _single("column.mean", _mean)),
    "expect_column_median_to_be_between": (NUMBERS, _single("column.median", _median)),
    "expect_column_min_to_be_between": (NUMBERS | TIMES | {"string"}, _single("column.min", _extreme("min"))),
    "expect_column_most_common_value_to_be_in_set": (_BARE, _single("column.most_common_value", _commonest)),
    "expect_column_proportion_of_non_null_values_to_be_between": (
        _EVERY, _single("column.non_null_proportion", _present_share)
    ),
    "expect_column_proportion_of_unique_values_to_be_between": (
        _EVERY, _single("column.unique_proportion", _unique_share)
    ),
    "expect_column_quantile_values_to_be_between": (NUMBERS, _single("column.quantile_values", _quantiles)),
    "expect_column_stdev_to_be_between": (NUMBERS, _single("column.standard_deviation", _deviation)),
    "expect_column_sum_to_be_between": (NUMBERS, _single("column.sum", _sum)),
    "expect_column_unique_value_count_to_be_between": (_EVERY, _single("column.distinct_values.count", _distinct)),
}  # fmt: skip
"""By expectation: the logical types for which the engine says the same as pandas, and the metrics."""
