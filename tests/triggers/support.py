"""Running a trigger as the triggerer does, and letting things happen while it waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    from airflow.sdk import serde
except ImportError:  # before Airflow 3.2
    from airflow.serialization import serde

from tests.ingestion.support import DAY

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.triggers.polling import PollingTrigger

__all__ = ["PATIENCE", "ROUND", "Waiting", "event_of", "for_day", "stored"]

ROUND = 0.02
"""Seconds between looks."""
PATIENCE = 60
"""Seconds after which a test gives up."""


def for_day(**more: Any) -> dict[str, Any]:
    """Return the arguments of a trigger for which a run waits."""
    return {
        "as_of": DAY.interval.end.isoformat(),
        "run": DAY.as_dict(),
        "poke_interval": ROUND,
        **more,
    }


def stored(trigger: PollingTrigger) -> PollingTrigger:
    """Return what the triggerer makes of what the worker stored."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    made: PollingTrigger = getattr(import_module(module), name)(**serde.deserialize(serde.serialize(arguments)))
    return made


@dataclass
class Waiting:
    """A trigger, and what it has seen.

    Attributes:
        trigger: as the triggerer has it.
        looks: how many were taken.
    """

    trigger: PollingTrigger
    looks: int = 0

    def __post_init__(self) -> None:
        look = self.trigger.look

        def counted() -> Any:
            try:
                return look()
            finally:
                self.looks += 1

        self.trigger.look = counted  # type: ignore[method-assign]

    async def looked(self, times: int, unless: asyncio.Future[Any]) -> None:
        """Wait until so many more looks have been taken; a trigger that ends meanwhile was not to."""
        until = self.looks + times
        async with asyncio.timeout(PATIENCE):
            while self.looks < until:
                assert not unless.done(), unless.result()
                await asyncio.sleep(ROUND)


def event_of(trigger: PollingTrigger, *meanwhile: Callable[[], object]) -> dict[str, Any]:
    """Return the payload of the first event; each of `meanwhile` happens after another two looks in vain."""

    async def story() -> dict[str, Any]:
        waiting = Waiting(stored(trigger))
        events = waiting.trigger.run()
        first = asyncio.ensure_future(anext(events))
        for happens in meanwhile:
            await waiting.looked(2, unless=first)
            await asyncio.to_thread(happens)
        payload: dict[str, Any] = (await asyncio.wait_for(first, PATIENCE)).payload
        assert [event async for event in events] == [], "a task is woken once"
        return payload

    return asyncio.run(story())
