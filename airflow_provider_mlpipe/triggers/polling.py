"""A trigger that looks again and again until something is there.

It has two lives. For a task that waits it says one thing and ends: something is there, looking failed, or the time is
over. Watching over an asset (``AssetWatcher``) it never ends, and rings each time there is something that it has not
rung for.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_provider_mlpipe.errors import MlpipeError, Terminal
from airflow_provider_mlpipe.triggers.outcome import arrived, expired, failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_mlpipe.ingestion.arrival import Arrival

__all__ = ["PollingTrigger"]

LOOKS_AT_ONCE = 8
"""Looks of all triggers of a triggerer at the same time. They block, so they have threads of their own, and a database
that hangs keeps no other trigger waiting for Airflow's."""

REPAIR_SECONDS = 300.0
"""How often a watcher looks at least whose configuration is wrong, for it has no task to fail."""


class PollingTrigger(BaseEventTrigger):
    """The base: a subclass says in `look` what to look at.

    Args:
        poke_interval: seconds between two looks.
        transient_retries: looks in a row that may fail for a reason that may pass, before the waiting fails with it;
            None for any number.
        deadline: when to give up, in seconds since the epoch; None for never.
    """

    def __init__(
        self,
        *,
        poke_interval: float = 60.0,
        transient_retries: int | None = 10,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.poke_interval = poke_interval
        self.transient_retries = transient_retries
        self.deadline = deadline
        self._said = ""

    @abstractmethod
    def look(self) -> Arrival:
        """Look once. This blocks, and is called in a thread.

        Raises:
            MlpipeError: looking failed.
        """

    @property
    @abstractmethod
    def watches(self) -> bool:
        """Whether it watches over an asset, and no task waits for it."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What it waits for, for the log."""

    def polling(self) -> dict[str, Any]:
        """Return this class's part of the arguments to store."""
        return {
            "poke_interval": self.poke_interval,
            "transient_retries": self.transient_retries,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event for a task; for an asset one after the other."""
        self.log.info("Waiting for %s, looking every %g s", self.subject, self.poke_interval)
        if not self.watches:
            yield _event(await self._wait())
            return
        async for found in self._watch():
            yield _event(arrived(found.facts))

    def wait_here(self) -> dict[str, Any]:
        """Return the event of `run`, having waited in this process: for what must not be stored."""
        return asyncio.run(self._wait())

    async def _wait(self) -> dict[str, Any]:
        """Look until there is something to say."""
        began, failures = time.time(), 0
        while True:
            last: MlpipeError | None = None
            try:
                found = await self._looked()
            except MlpipeError as error:
                failures, last = failures + 1, error
                limit = self.transient_retries
                if isinstance(error, Terminal) or (limit is not None and failures > limit):
                    return failed(error)
                self._say_failed(error, failures)
            else:
                if found.there:
                    return arrived(found.facts, self.deadline)
                failures, self._said = 0, ""
            if self.deadline is not None and time.time() >= self.deadline:
                return expired(time.time() - began, last)
            await self._pause(last)

    async def _watch(self) -> AsyncIterator[Arrival]:
        """Yield what is there and has not been rung for."""
        remembered, rung, failures = await self._remembered(), frozenset[str](), 0
        while True:
            last: MlpipeError | None = None
            try:
                found = await self._looked()
            except MlpipeError as error:
                failures, last = failures + 1, error
                self._say_failed(error, failures)
            else:
                failures, self._said = 0, ""
                if remembered and remembered == _digest(found.tokens):
                    rung = found.tokens
                remembered = ""
                news, rung = found.tokens - rung, found.tokens
                if found.there and news:
                    yield found
                    await self._remember(_digest(found.tokens))
            await self._pause(last)

    async def _looked(self) -> Arrival:
        # asgiref, not asyncio: what is called in the thread may ask Airflow for a connection, which only the loop can.
        found = await sync_to_async(self.look, thread_sensitive=False, executor=_threads())()
        self.log.debug("Looked for %s: %s", self.subject, found)
        return found

    def _say_failed(self, error: MlpipeError, failures: int) -> None:
        """Say once why looking fails: what takes hours is not to be said every minute."""
        news, self._said = error.message != self._said, error.message
        patient = self.transient_retries is None and not self.watches
        level = logging.ERROR if isinstance(error, Terminal) else logging.INFO if patient else logging.WARNING
        text = str(error) if isinstance(error, Terminal) else error.message
        self.log.log(
            level if news else logging.DEBUG,
            "Waiting for %s, look failed (%d in a row): %s",
            self.subject,
            failures,
            text,
        )

    async def _pause(self, last: MlpipeError | None) -> None:
        """Wait until the next look: longer if the other side asked for it, never beyond the deadline."""
        asked = 0.0 if last is None else last.fields.get("retry_after") or 0.0
        seconds = max(self.poke_interval, REPAIR_SECONDS if isinstance(last, Terminal) else asked)
        if self.deadline is not None:
            seconds = min(seconds, max(self.deadline - time.time(), 0.0))
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------------ what was rung for, across restarts

    async def _remembered(self) -> str:
        """Return what was rung for last, before the triggerer was started again; empty before Airflow 3.3."""
        store: Any = getattr(self, "asset_state_store", None)
        if store is None:
            return ""
        try:
            found = await (store.aget(self._key) if hasattr(store, "aget") else asyncio.to_thread(store.get, self._key))
        except ValueError:  # it watches over several assets
            return ""
        return str(found or "")

    async def _remember(self, digest: str) -> None:
        store: Any = getattr(self, "asset_state_store", None)
        if store is None:
            return
        try:
            if hasattr(store, "aset"):
                await store.aset(self._key, digest)
            else:
                await asyncio.to_thread(store.set, self._key, digest)
        except ValueError:
            self.log.debug("Several assets are watched, so none keeps what was rung for")

    @property
    def _key(self) -> str:
        return f"mlpipe_rung/{type(self).__name__}/{hashlib.sha256(self.subject.encode()).hexdigest()[:16]}"


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _digest(tokens: frozenset[str]) -> str:
    return hashlib.sha256("\n".join(sorted(tokens)).encode()).hexdigest()


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="mlpipe-look")
