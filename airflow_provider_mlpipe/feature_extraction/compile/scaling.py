"""Statistics of features, and what normalisation and imputation do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, finite, number, real, rest, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_mlpipe.feature_extraction.state import Statistics

__all__ = ["FILLS", "METHODS", "Method", "Missing", "centers", "most_frequent", "outside", "scaled", "spread"]

Missing = Literal["impute", "mean", "median", "mode", "zero", "drop", "keep"]
"""What becomes of nulls: a fitted value (``impute`` is the median), 0, no row at all, or nothing."""

Method = Literal["zscore", "minmax", "robust"]

METHODS: Mapping[Method, Callable[[Statistics], tuple[float | None, float | None]]] = {
    "zscore": lambda known: (known.mean, known.std),
    "minmax": lambda known: (known.min, _distance(known.min, known.max)),
    # Where more than half of the values are one, the quartiles may meet: then only the centre moves.
    "robust": lambda known: (known.median, _distance(known.q1, known.q3) or 1.0),
}
"""By method, what is subtracted and what it is divided by then."""

FILLS: Mapping[str, Callable[[Statistics], float | None]] = {
    "impute": lambda known: known.median,
    "median": lambda known: known.median,
    "mean": lambda known: known.mean,
    "mode": lambda known: known.mode,
    "zero": lambda _: 0.0,
}
"""What stands in for nulls; `drop` and `keep` put nothing there."""


def _distance(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else high - low


def centers(table: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - ibis has no types
    """Return one row: for the n-th column ``count_n, nulls_n, min_n, max_n, q1_n, median_n, q3_n, mean_n``."""
    split, columns = _split(table, dict.fromkeys(names))
    numbers: dict[str, Any] = {}
    for n in range(len(names)):
        value = split[columns[n]]
        numbers |= {
            f"count_{n}": value.count().cast("int64"),
            f"nulls_{n}": value.isnull().sum().fill_null(0).cast("int64"),
            f"min_{n}": value.min() + 0.0,
            f"max_{n}": value.max() + 0.0,
            f"q1_{n}": value.quantile(0.25),
            f"median_{n}": value.median(),
            f"q3_{n}": value.quantile(0.75),
            f"mean_{n}": exact_sum(split[f"w{n}"], split[f"r{n}"]) / value.count().cast("float64").nullif(0.0),
        }
    return split.aggregate(**numbers)


def most_frequent(table: Any, name: str) -> Any:  # noqa: ANN401
    """Return the most frequent value of a column, of several the least; no row if there is none."""
    # Adding zero turns -0.0 into 0.0: the two are equal.
    values = table.select(value=finite(number(table[name])) + 0.0)
    counted = values.filter(values.value.notnull()).group_by("value").aggregate(n=lambda rows: rows.count())
    return counted.order_by(counted.n.desc(), counted.value).limit(1).select("value")


def spread(table: Any, means: Mapping[str, float | None]) -> Any:  # noqa: ANN401
    """Return one row: for the n-th column ``std_n``, the population's standard deviation around the given mean."""
    split, columns = _split(table, means)
    return split.aggregate(**{
        f"std_{n}": (
            exact_sum(split[f"w{n}"], split[f"r{n}"]) / split[columns[n]].count().cast("float64").nullif(0.0)
        ).sqrt()
        for n in range(len(means))
    })  # fmt: skip


def scaled(table: Any, statistics: Mapping[str, Statistics], *, method: Method | None, missing: Missing) -> Any:  # noqa: ANN401
    """Return the table with nulls treated, then features scaled.

    A column that was constant when fitted becomes 0. A column that had no value when fitted becomes null: there is
    nothing to scale by. Columns without statistics pass through.
    """
    if missing == "drop" and statistics:
        table = table.drop_null(list(statistics), how="any")
    values = {name: _scaled(table[name], known, method, missing) for name, known in statistics.items()}
    return table.mutate(**values) if values else table


def _scaled(value: Any, known: Statistics, method: Method | None, missing: Missing) -> Any:  # noqa: ANN401
    import ibis

    kind = value.type()
    value = finite(number(value))
    fill = FILLS[missing](known) if missing in FILLS else None
    if fill is not None:
        value = ibis.coalesce(value, real(fill))
    if method is None:
        # A filled-in median of whole numbers need not be whole.
        return value.cast(kind) if kind.is_integer() and known.nulls == 0 else value
    center, scale = METHODS[method](known)
    if center is None or scale is None:
        return ibis.null("float64")
    if known.min == known.max or scale == 0:
        return ibis.ifelse(value.isnull(), ibis.null("float64"), real(0.0))
    return (value - real(center)) / real(scale)


def outside(table: Any, statistics: Mapping[str, Statistics]) -> Any:  # noqa: ANN401
    """Return one row: how many values of the n-th feature lie outside of what the fit saw, as ``n0, n1 ...``."""
    counts = {}
    for n, (name, known) in enumerate(statistics.items()):
        value = finite(number(table[name]))
        if known.min is None or known.max is None:
            beyond = value.notnull()
        else:
            beyond = (value < real(known.min)) | (value > real(known.max))
        counts[f"n{n}"] = beyond.sum().fill_null(0).cast("int64")
    return table.aggregate(**counts)


def _split(table: Any, means: Mapping[str, float | None]) -> tuple[Any, list[str]]:  # noqa: ANN401
    """Return the columns, or their squared distances from the means, with the parts that add exactly."""
    values = {}
    for n, (name, mean) in enumerate(means.items()):
        value = finite(number(table[name]))
        away = value - real(0.0 if mean is None else mean)
        values[f"v{n}"] = value if mean is None else away * away
    rows = table.select(**values)
    rows = rows.mutate(**{f"w{n}": whole(rows[f"v{n}"]) for n in range(len(values))})
    rows = rows.mutate(**{f"r{n}": rest(rows[f"v{n}"], rows[f"w{n}"]) for n in range(len(values))})
    return rows, list(values)
