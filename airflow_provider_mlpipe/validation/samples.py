"""Fetching a few rows that break a rule, the same ones every time, with the key that finds them again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.findings import Sample
from airflow_provider_mlpipe.wording import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition, Measure

__all__ = ["duplicates", "few", "json_clean", "read", "strangers"]


def few(frame: Frame, names: Sequence[str], key: Sequence[str], condition: Condition) -> Measure:
    """Return the measure of up to five rows for which `condition` holds, for `read`.

    It is the five smallest rows as they are shown: an aggregate, so that one statement fetches those of many rules.
    """
    others = [other for other in key if other not in names]
    shown = ", ".join(f"f{place} := {frame.shown(each)}" for place, each in enumerate((*others, *names)))
    sql, parameters = condition
    packed, given = f"struct_pack({shown})", parameters
    if "(SELECT " not in sql:  # which an aggregate refuses inside (DuckDB 2.0.0)
        packed, given = f"CASE WHEN {sql} THEN {packed} END", [*parameters, *parameters]
    # FILTER, so that only those rows are compared; CASE, so that only those are put into words.
    return f"coalesce(min({packed}, {MAX_SAMPLES}) FILTER (WHERE {sql}), [])", given


def read(found: Sequence[Mapping[str, Any]], names: Sequence[str], key: Sequence[str]) -> tuple[Sample, ...]:
    """Return what `few` found: the values of `names` and of `key`, rows that look the same once."""
    others = [other for other in key if other not in names]
    samples: list[Sample] = []
    for row in found:
        shown = list(map(json_clean, row.values()))
        found_key, values = shown[: len(others)], shown[len(others) :]
        sample = Sample(key=dict(zip(others, found_key, strict=True)), values=dict(zip(names, values, strict=True)))
        if sample not in samples:
            samples.append(sample)
    return tuple(samples)


def strangers(frame: Frame, name: str, key: Sequence[str], condition: str, parameters: list[Any]) -> tuple[Sample, ...]:
    """Return the five most frequent values of a column for which `condition` holds, each with one row's key."""
    others = [other for other in key if other != name]
    keys = "".join(f", min({frame.sql(other)}) AS k{place}" for place, other in enumerate(others))
    shown = [frame.shown(other, f"k{place}") for place, other in enumerate(others)]
    place = frame.sql(name)
    rows = frame.query(
        f"SELECT {', '.join([*shown, frame.shown(name), 'times'])} FROM (SELECT {place}, count(*) AS times{keys} "  # noqa: S608
        f"FROM {{rows}} WHERE {condition} GROUP BY {place}) ORDER BY times DESC, {place} LIMIT {MAX_SAMPLES}",
        parameters,
    )
    samples = []
    for row in rows:
        *found, value, times = map(json_clean, row)
        samples.append(Sample(key=dict(zip(others, found, strict=True)), values={name: value}, rows=int(times)))
    return tuple(samples)


def duplicates(frame: Frame, names: Sequence[str], condition: str, parameters: list[Any]) -> tuple[Sample, ...]:
    """Return the five keys that stand in the most rows."""
    places = ", ".join(frame.sql(name) for name in names)
    shown = ", ".join(frame.shown(name) for name in names)
    rows = frame.query(
        f"SELECT {shown}, times FROM (SELECT {places}, count(*) AS times FROM {{rows}} WHERE {condition} "  # noqa: S608
        f"GROUP BY {places} HAVING count(*) > 1) ORDER BY times DESC, {places} LIMIT {MAX_SAMPLES}",
        parameters,
    )
    return tuple(
        Sample(values=dict(zip(names, map(json_clean, row[:-1]), strict=True)), rows=int(row[-1])) for row in rows
    )


def json_clean(value: Any) -> Any:  # noqa: ANN401 - what DuckDB or pyarrow hands out
    """Return a value that JSON has a word for.

    >>> from decimal import Decimal
    >>> json_clean(float("inf")), json_clean(Decimal("1.50")), json_clean("2026-01-14T02:00:00+00")
    ('Infinity', '1.50', '2026-01-14T02:00:00Z')
    """
    if type(value).__module__ == "numpy":
        value = value.item()  # GX's results hold some
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        return f"{value[:-3]}Z" if value.endswith("+00") and value[10:11] == "T" else value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
