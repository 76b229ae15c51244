"""Sensors that can wait in the triggerer, and hold no worker meanwhile."""

from __future__ import annotations

import time
from abc import abstractmethod
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_mlpipe.errors import ConfigError, MlpipeError
from airflow_provider_mlpipe.operators.base import airflow_failures
from airflow_provider_mlpipe.operators.waiting import AFTER_DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_mlpipe.triggers.polling import PollingTrigger

__all__ = ["DeferrableSensor"]


class DeferrableSensor(BaseSensorOperator):
    """The base: a subclass says in `poke` how to look, and in `trigger` what looks in its place.

    Args:
        deferrable: wait in the triggerer; ``[operators] default_deferrable`` if absent. The first look is the worker's.
            `mode`, `exponential_backoff` and `max_wait` have no meaning then.
        transient_retries: deferred, how many looks in a row may fail for a reason that may pass (refused, timed out)
            before the try fails, and the task's own `retries` apply; None, and with `silent_fail`, any number. Without
            `deferrable` the first such look fails the try.
        kwargs: `poke_interval`, `timeout`, `soft_fail` and what else every sensor takes.
    """

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        transient_retries: int | None = 10,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self.transient_retries = transient_retries

    @abstractmethod
    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""

    @abstractmethod
    def trigger(self, context: Context, deadline: float) -> PollingTrigger:
        """Return what looks in the triggerer."""

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - what was found, as JSON values
        """Look, and wait if there is nothing yet.

        Raises:
            TaskDeferred: there is nothing yet.
            AirflowFailException: looking again changes nothing.
            AirflowSensorTimeout: nothing came in time.
        """
        if not self.deferrable:
            return super().execute(context)
        with self._skipping():
            try:
                found = self.poke(context)
            except MlpipeError as error:
                self.log.warning("The first look failed, the triggerer takes the next: %s", error.message)
            else:
                if found:
                    return found.xcom_value
        trigger = self.trigger(context, time.time() + self.timeout)
        try:
            trigger.serialize()
        except ConfigError as error:
            self.log.warning("Not deferred, the worker waits: %s", error)
            return super().execute(context)
        self._wait_for(trigger)
        return None

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Return what the trigger found.

        Raises:
            AirflowSensorTimeout: nothing came in time.
            AirflowFailException: looking again changes nothing.
            MlpipeError: looking failed for a reason that may pass.
        """
        from airflow_provider_mlpipe.triggers.outcome import facts_of

        with self._skipping(), airflow_failures():
            facts = facts_of(event)
        if not self.still_new(context, facts):
            self.log.info("Another run has read it meanwhile; waiting on")
            self._wait_for(self.trigger(context, (event or {})["deadline"]))
        self.log.info("There now: %s", ", ".join(f"{name} {value}" for name, value in facts.items() if name != "paths"))
        return facts

    def still_new(self, context: Context, facts: Mapping[str, Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether what the trigger found is still to be read."""
        return True

    def polling(self, deadline: float) -> dict[str, Any]:
        """Return how a trigger looks."""
        retries = None if self.silent_fail else self.transient_retries
        return {"poke_interval": self.poke_interval, "transient_retries": retries, "deadline": deadline}

    def _wait_for(self, trigger: PollingTrigger) -> None:
        self.log.info("Deferred: waiting for %s", trigger.subject)
        limit = timedelta(seconds=max((trigger.deadline or 0.0) - time.time(), 0.0) + AFTER_DEADLINE)
        self.defer(trigger=trigger, method_name=self.execute_complete.__name__, timeout=limit)

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        """Do with a failure what `soft_fail` and `never_fail` say, as every sensor does."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
            raise
        except MlpipeError as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped instead of failed: {error}") from error
            raise
