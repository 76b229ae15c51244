"""Statistics of features, and what normalisation and imputation do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.feature_extraction.compile.exact import exact_sum, finite, number, real, rest, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.feature_extraction.state import Statistics

__all__ = ["Missing", "centers", "scaled", "spread"]

Missing = Literal["impute", "zero", "drop", "keep"]
"""What becomes of nulls: the fitted median, 0, no row at all, or nothing."""


def centers(table: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - ibis has no types
    """Return one row: for the n-th column ``count_n, nulls_n, min_n, max_n, median_n, mean_n``, nulls left out."""
    split, columns = _split(table, dict.fromkeys(names))
    numbers: dict[str, Any] = {}
    for n in range(len(names)):
        value = split[columns[n]]
        numbers |= {
            f"count_{n}": value.count().cast("int64"),
            f"nulls_{n}": value.isnull().sum().fill_null(0).cast("int64"),
            f"min_{n}": value.min() + 0.0,
            f"max_{n}": value.max() + 0.0,
            f"median_{n}": value.median(),
            f"mean_{n}": exact_sum(split[f"w{n}"], split[f"r{n}"]) / value.count().cast("float64").nullif(0.0),
        }
    return split.aggregate(**numbers)


def spread(table: Any, means: Mapping[str, float | None]) -> Any:  # noqa: ANN401
    """Return one row: for the n-th column ``std_n``, the population's standard deviation around the given mean."""
    split, columns = _split(table, means)
    return split.aggregate(**{
        f"std_{n}": (
            exact_sum(split[f"w{n}"], split[f"r{n}"]) / split[columns[n]].count().cast("float64").nullif(0.0)
        ).sqrt()
        for n in range(len(means))
    })  # fmt: skip


def scaled(table: Any, statistics: Mapping[str, Statistics], *, normalize: bool, missing: Missing) -> Any:  # noqa: ANN401
    """Return the table with nulls treated, then features scaled to mean 0 and deviation 1.

    A column that was constant when fitted becomes 0. A column that had no value when fitted becomes null: there is
    nothing to scale by. Columns without statistics pass through.
    """
    if missing == "drop" and statistics:
        table = table.drop_null(list(statistics), how="any")
    values = {
        name: _scaled(table[name], known, normalize=normalize, missing=missing) for name, known in statistics.items()
    }
    return table.mutate(**values) if values else table


def _scaled(value: Any, known: Statistics, *, normalize: bool, missing: Missing) -> Any:  # noqa: ANN401
    import ibis

    kind = value.type()
    value = finite(number(value))
    fill = {"impute": known.median, "zero": 0.0}.get(missing)
    if fill is not None:
        value = ibis.coalesce(value, real(fill))
    if not normalize:
        # A filled-in median of whole numbers need not be whole.
        return value.cast(kind) if kind.is_integer() and known.nulls == 0 else value
    if known.mean is None or known.std is None:
        return ibis.null("float64")
    if known.std == 0:
        return ibis.ifelse(value.isnull(), ibis.null("float64"), real(0.0))
    return (value - real(known.mean)) / real(known.std)


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
