"""Rough pictures for the report: of a bounded sample, the same every time, and never a reason to fail."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.validation import sketch
from airflow_provider_mlpipe.validation.sketch import sketches

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def test_small_data_is_counted_completely(publish):
    values = np.random.default_rng(2).normal(0, 1, 5000)
    found = sketches(publish({"x": [*values.tolist(), None]}))["x"]
    low, high = np.quantile(values, [0.01, 0.99])
    assert (found["low"], found["high"], found["rows"]) == (pytest.approx(low), pytest.approx(high), 5001)
    assert found["counts"] == np.histogram(np.clip(values, low, high), 24, (low, high))[0].tolist()


def test_every_kind_of_column_has_a_picture_or_none(publish):
    table = pa.table({
        "few": [1, 2, 2, 5] * 10,
        "price": pa.array([Decimal("1.50"), Decimal("2.50")] * 20),
        "flag": [True, False, True, True] * 10,
        "word": ["a", "b", None, "a"] * 10,
        "coded": pa.array(["x", "y"] * 20).dictionary_encode(),
        "when": [MOMENT + timedelta(hours=number) for number in range(40)],
        "day": [date(2026, 1, 1 + number % 20) for number in range(40)],
        "id": [f"id-{number}" for number in range(40)],
        "none": pa.nulls(40),
        "empty": pa.array([None] * 40, pa.float64()),
        "inf": [float("inf"), float("nan")] * 20,
        "huge": [-1.7e308, 1.7e308] * 20,
        "list": [[1]] * 40,
    })  # fmt: skip
    found = sketches(publish(table))
    assert sorted(found) == sorted(["few", "price", "flag", "word", "coded", "when", "day"])
    assert found["few"] == {"counts": [10, 20, 0, 0, 10], "low": 1.0, "high": 5.0, "rows": 40}
    assert found["word"] == {"counts": [20, 10], "labels": ["a", "b"], "rest": 0, "rows": 40}
    assert found["coded"]["labels"] == ["x", "y"]
    assert (found["when"]["low"], found["when"]["high"]) == ("2026-01-01T00:00", "2026-01-02T15:00")
    assert sum(found["day"]["counts"]) == 40


def test_large_data_is_sampled_evenly_and_the_same_every_time(publish, monkeypatch):
    monkeypatch.setattr(sketch, "MAX_ROWS", 8000)
    artifact = publish(pa.table({"n": pa.chunked_array(np.split(np.arange(600_000), 6))}))
    found = sketches(artifact)
    assert found == sketches(artifact)
    assert 7000 <= found["n"]["rows"] <= 8000
    assert found["n"]["high"] - found["n"]["low"] > 350_000  # from the beginnings of all row groups


def test_wide_tables_are_drawn_in_part(publish):
    found = sketches(publish({f"c{number}": [1, 2, 3] for number in range(300)}))
    assert len(found) == sketch.MAX_COLUMNS


def test_what_is_left_out_is_not_read(publish):
    assert set(sketches(publish({"a": [1, 2], "secret": [3, 4]}), leave_out=["secret"])) == {"a"}


def test_parts_that_went_away_cost_the_picture_not_the_verdict(publish, caplog):
    artifact = publish({"a": [1, 2]})
    artifact.place.delete(artifact.manifest.parts[0].name)
    with caplog.at_level(logging.DEBUG, logger=sketch.__name__):
        assert sketches(artifact) == {}
    assert "no pictures of data" in caplog.text


def test_a_bucket_is_sampled_too(publish, s3):
    place = Storage(f"{s3.uri}/sketches", s3.options)
    assert sketches(publish({"a": [1, 1, 2]}, place))["a"]["counts"] == [2, 1]
