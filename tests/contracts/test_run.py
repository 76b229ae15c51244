"""Time and identity."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Interval, Run, duration, instant


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-15",
        "2026-01-15T00:00:00Z",
        "2026-01-15T02:00:00+02:00",
        date(2026, 1, 15),
        datetime(2026, 1, 15),  # noqa: DTZ001 - naive on purpose
        datetime(2026, 1, 14, 19, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_instants_are_utc(value):
    found = instant(value)
    assert found == datetime(2026, 1, 15, tzinfo=UTC)
    assert found.tzinfo is UTC
    assert type(found) is datetime


def test_lengths():
    assert [duration(text) for text in ("90s", "30m", "24h", "7d", "2w")] == [
        timedelta(seconds=90),
        timedelta(minutes=30),
        timedelta(days=1),
        timedelta(days=7),
        timedelta(days=14),
    ]
    for wrong in ("", "7", "d", "7 years", "-7d", "1.5d"):
        with pytest.raises(ConfigError):
            duration(wrong)
    with pytest.raises(ConfigError, match="not an ISO 8601"):
        instant("yesterday")


def test_partitions_come_from_the_interval_alone():
    interval = Interval(start="2026-01-13T02:00", end="2026-01-14T02:00")
    first = Run(run_id="scheduled__1", try_number=1, interval=interval)
    again = Run(run_id="backfill__2", try_number=3, interval=interval)
    assert first.partition == again.partition == "20260113T020000Z-20260114T020000Z"
    assert Run(interval=interval, map_index=7).partition == first.partition + "-m0007"


def test_runs_without_a_length_are_named_after_the_run():
    moment = Interval(start="2026-01-14", end="2026-01-14")
    run = Run(run_id="manual__2026-01-14T00:00:00+00:00/../x", interval=moment)
    assert run.partition == Run(run_id=run.run_id).partition == "run-manual__2026-01-14T00_00_00+00_00_.._x"


def test_an_interval_that_ends_before_it_starts_is_refused():
    with pytest.raises(ConfigError, match="lies before start"):
        Interval(start="2026-01-14", end="2026-01-13")
