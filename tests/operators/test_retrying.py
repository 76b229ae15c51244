"""Which errors are tried again, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_mlpipe.errors import ConfigError, DataRejectedError, SourceError, SourceUnavailableError
from airflow_provider_mlpipe.operators.retrying import retry_policy

sdk = pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="Airflow 3.3 has retry policies")


def unavailable(retry_after: float | None = None) -> SourceUnavailableError:
    return SourceUnavailableError.unreachable(
        source="tasks", location="https://api/tasks", problem="answered 429", retry_after=retry_after
    )


def decided(error: BaseException, **given: Any) -> Any:
    return retry_policy(**given).evaluate(error, 1, 3)


def test_what_is_transient_is_tried_again_after_the_tasks_own_delay() -> None:
    decision = decided(unavailable())

    assert decision.action is sdk.RetryAction.RETRY
    assert decision.retry_delay is None
    assert decision.reason == "source 'tasks' at https://api/tasks is not available: answered 429"


@pytest.mark.parametrize(("asked", "waits"), [(30.0, 30), (0.0, 0), (86_400.0, 3600)])
def test_a_server_that_says_when_to_come_back_is_asked_then(asked: float, waits: int) -> None:
    assert decided(unavailable(asked)).retry_delay == timedelta(seconds=waits)


def test_the_longest_pause_can_be_chosen() -> None:
    assert decided(unavailable(86_400.0), longest=timedelta(days=2)).retry_delay == timedelta(days=1)


@pytest.mark.parametrize("error", [ConfigError("no such key"), DataRejectedError("3 of 9 rows")])
def test_what_no_retry_can_mend_is_not_tried_again(error: Exception) -> None:
    decision = decided(error)

    assert decision.action is sdk.RetryAction.FAIL
    assert decision.reason == str(error)


def test_an_error_that_something_else_was_raised_from_decides() -> None:
    wrapped = RuntimeError("my function failed")
    wrapped.__cause__ = ConfigError("no such key")

    assert decided(wrapped).action is sdk.RetryAction.FAIL


@pytest.mark.parametrize("error", [ValueError("a bug"), SourceError("the rows do not add up"), KeyboardInterrupt()])
def test_of_everything_else_airflows_own_rules_hold(error: BaseException) -> None:
    assert decided(error) == sdk.RetryDecision.default()
