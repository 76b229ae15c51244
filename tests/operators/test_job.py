"""From Airflow's context to the run's identity, its interval and its moment; and from our errors to Airflow's."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from traceback import format_exception
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest

from airflow_provider_mlpipe.errors import (
    ArtifactError,
    ConfigError,
    DataRejectedError,
    MlpipeError,
    SourceUnavailableError,
)
from airflow_provider_mlpipe.operators.base import airflow_failures
from airflow_provider_mlpipe.operators.job import as_of_of, run_of

TWO = datetime(2026, 1, 14, 2, tzinfo=UTC)


def context(**given: Any) -> Any:
    """The part of Airflow's context that is read; Airflow leaves out what a run does not have."""
    ti = SimpleNamespace(dag_id="d", task_id="group.t", run_id="manual__1", map_index=-1, try_number=2)
    return {"ti": ti, "dag_run": SimpleNamespace(run_after=pendulum.datetime(2026, 1, 20)), **given}


def test_the_run_is_named_after_its_interval() -> None:
    start, end = pendulum.datetime(2026, 1, 13, 2), pendulum.datetime(2026, 1, 14, 2)

    run = run_of(context(data_interval_start=start, data_interval_end=end))

    assert (run.dag_id, run.task_id, run.try_number) == ("d", "group.t", 2)
    assert run.partition == "20260113T020000Z-20260114T020000Z"


def test_mapped_tasks_have_places_of_their_own() -> None:
    mapped = context()
    mapped["ti"].map_index = 3

    assert run_of(mapped).partition == "run-manual__1-m0003"


def test_the_moment_is_the_end_of_the_interval(caplog: pytest.LogCaptureFixture) -> None:
    given = context(
        data_interval_start=pendulum.datetime(2026, 1, 13, 2, tz="UTC"),
        # 03:00 in Berlin is 02:00 in UTC.
        data_interval_end=pendulum.datetime(2026, 1, 14, 3, tz="Europe/Berlin"),
        logical_date=pendulum.datetime(2026, 1, 13, 2),
    )
    with caplog.at_level(logging.INFO):
        assert as_of_of(given, run_of(given), None) == TWO
    assert not caplog.records


def test_a_partition_has_its_place_and_its_moment(caplog: pytest.LogCaptureFixture) -> None:
    """Airflow 3.3: a run of a partitioned Dag has no interval, and a backfill of it another `run_after`."""
    given = context(partition_key="2026-01-14T02:00:00", partition_date=pendulum.datetime(2026, 1, 14, 2))

    with caplog.at_level(logging.INFO):
        assert as_of_of(given, run_of(given), None) == TWO
    assert run_of(given).partition == "key-2026-01-14T020000"
    assert "partition 2026-01-14T02:00:00" in caplog.text


def test_keys_that_look_alike_in_a_folders_name_are_told_apart() -> None:
    places = {run_of(context(partition_key=key)).partition for key in ("eu/7", "eu_7", "eu:7")}

    assert len(places) == 3
    assert all(place.startswith("key-eu_7") for place in places)


def test_an_interval_goes_before_a_key() -> None:
    start, end = pendulum.datetime(2026, 1, 13, 2), pendulum.datetime(2026, 1, 14, 2)
    given = context(data_interval_start=start, data_interval_end=end, partition_key="eu")

    assert run_of(given).partition == "20260113T020000Z-20260114T020000Z"


@pytest.mark.parametrize("text", ["2026-01-14T02:00:00Z", " 2026-01-14T03:00:00+01:00 ", TWO])
def test_a_given_moment_wins(text: Any) -> None:
    given = context(data_interval_start=pendulum.datetime(2020, 1, 1), data_interval_end=pendulum.datetime(2020, 1, 2))

    assert as_of_of(given, run_of(given), text) == TWO


@pytest.mark.parametrize("rendered", [None, "", "None", " "])
def test_what_a_template_makes_of_nothing_is_nothing(rendered: str | None) -> None:
    given = context(
        data_interval_start=pendulum.datetime(2026, 1, 13, 2), data_interval_end=pendulum.datetime(2026, 1, 14, 2)
    )
    assert as_of_of(given, run_of(given), rendered) == TWO


def test_an_interval_of_no_length_falls_back_to_the_logical_date_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    moment = pendulum.datetime(2026, 1, 14, 2)
    given = context(data_interval_start=moment, data_interval_end=moment, logical_date=moment)

    with caplog.at_level(logging.INFO):
        assert as_of_of(given, run_of(given), None) == TWO

    (record,) = caplog.records
    assert "no length" in record.message
    assert "as_of=2026-01-14T02:00:00+00:00" in record.message
    assert "run-manual__1" in record.message
    assert "CronDataIntervalTimetable" in record.message


def test_a_run_without_a_logical_date_is_about_when_it_was_triggered_for(caplog: pytest.LogCaptureFixture) -> None:
    given = context()

    with caplog.at_level(logging.INFO):
        assert as_of_of(given, run_of(given), None) == datetime(2026, 1, 20, tzinfo=UTC)

    assert "no data interval" in caplog.text
    assert "run_after" in caplog.text


def test_a_moment_that_is_none_is_a_configuration_error() -> None:
    given = context()

    with pytest.raises(ConfigError, match="ISO 8601"):
        as_of_of(given, run_of(given), "yesterday")


@pytest.mark.parametrize("error", [ConfigError("no such key", hint="look"), DataRejectedError("3 of 9 rows")])
def test_what_no_retry_can_mend_fails_at_once_and_is_said_once(error: MlpipeError) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    with pytest.raises(AirflowFailException) as caught, airflow_failures():
        raise error from OSError("of a driver")

    assert str(caught.value) == str(error)
    assert caught.value.error is error  # type: ignore[attr-defined] # for who tells of it
    assert "".join(format_exception(caught.value)).count(str(error)) == 1


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailableError.unreachable(source="s", location="db", problem="refused"),
        ArtifactError("storage answers 500"),  # says nothing of retries: they apply
        ValueError("a bug"),
    ],
)
def test_what_a_retry_may_mend_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, airflow_failures():
        raise error

    assert caught.value is error


def test_what_led_to_an_error_is_told_to_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    error = SourceUnavailableError.unreachable(source="s", location="db", problem="refused")
    cause = OSError("of a driver")

    with caplog.at_level(logging.DEBUG), pytest.raises(SourceUnavailableError) as caught, airflow_failures():
        raise error from cause

    assert "of a driver" not in "".join(format_exception(caught.value))
    assert "of a driver" in caplog.text
