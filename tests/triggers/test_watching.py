"""Triggers that watch over an asset: they ring once for what is new, again for what is newer, and never give up."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.triggers import ApiAnswersTrigger, NewObjectsTrigger, NewRowsTrigger
from tests.ingestion.support import read
from tests.triggers.support import PATIENCE, ROUND, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.triggers.polling import PollingTrigger


class Kept:
    """The state of an asset, as Airflow 3.3 gives it to a watcher; in memory."""

    def __init__(self, several: bool = False) -> None:
        self.values: dict[str, Any] = {}
        self.several = several

    async def aget(self, key: str) -> Any:
        self._check()
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self._check()
        self.values[key] = value

    def _check(self) -> None:
        if self.several:
            raise ValueError("several assets: name one")


class OfOldAirflow(Kept):
    """The same in Airflow 3.3.0, which blocks."""

    aget = aset = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        del self.__class__.aget, self.__class__.aset

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


class Watch:
    """A watcher that rings in a list."""

    def __init__(self, trigger: PollingTrigger, state: Kept | None = None) -> None:
        self.waiting, self.rung = Waiting(trigger), []
        if state is not None:
            trigger.asset_state_store = state  # type: ignore[assignment]

    async def __aenter__(self) -> Self:
        async def listen() -> None:
            async for event in self.waiting.trigger.run():
                self.rung.append(event.payload["found"])

        self._task = asyncio.ensure_future(listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self._task.done(), "a watcher never ends"
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task

    async def looks_on(self) -> list[Any]:
        """Return what it rang for, after another three looks."""
        await self.waiting.looked(3, unless=self._task)
        return self.rung


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def objects(inbox: Path, root: Storage, **keys: Any) -> NewObjectsTrigger:
    source = {"type": "file", "path": f"{inbox}/*.csv", "only_new": True, "dataset": "things", **keys}
    return NewObjectsTrigger(source="things", config=source, artifact_root=root.uri, poke_interval=ROUND)


def take(trigger: NewObjectsTrigger, root: Storage, name: str) -> None:
    """Let a run read what is there."""
    read(trigger.errand.config, root, run=Run(dag_id="tests", run_id=name))  # type: ignore[arg-type]


def test_each_object_is_rung_for_once(inbox: Path, root: Storage) -> None:
    trigger = objects(inbox, root)

    async def story() -> None:
        async with Watch(trigger) as watch:
            assert await watch.looks_on() == []
            (inbox / "a.csv").write_text("x\n1\n")
            assert [found["objects"] for found in await watch.looks_on()] == [1]
            (inbox / "b.csv").write_text("x\n2\n")
            assert [found["objects"] for found in await watch.looks_on()] == [1, 2], "neither has been read"
            take(trigger, root, "one")
            assert len(await watch.looks_on()) == 2, "what was read is no news"
            (inbox / "c.csv").write_text("x\n3\n")
            assert [found["objects"] for found in await watch.looks_on()] == [1, 2, 1]

    asyncio.run(story())


@pytest.mark.parametrize("state", [Kept(), OfOldAirflow()], ids=["3.3", "3.3.0"])
@pytest.mark.parametrize("only_new", [True, False])
def test_a_triggerer_that_starts_again_does_not_ring_again(
    inbox: Path, root: Storage, state: Kept, only_new: bool
) -> None:
    (inbox / "a.csv").write_text("x\n1\n")

    async def story() -> None:
        async with Watch(objects(inbox, root, only_new=only_new), state) as watch:
            assert len(await watch.looks_on()) == 1
        async with Watch(objects(inbox, root, only_new=only_new), state) as watch:
            assert await watch.looks_on() == []
            (inbox / "b.csv").write_text("x\n2\n")
            assert len(await watch.looks_on()) == 1

    asyncio.run(story())


def test_without_a_state_it_rings_again(inbox: Path, root: Storage) -> None:
    (inbox / "a.csv").write_text("x\n1\n")

    async def story() -> None:
        for state in (None, Kept(several=True)):
            for _ in range(2):
                async with Watch(objects(inbox, root), state) as watch:
                    assert len(await watch.looks_on()) == 1

    asyncio.run(story())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (moment TIMESTAMP)")
        yield connection


def test_each_newest_row_is_rung_for_once(shop: sqlite3.Connection, root: Storage, tmp_path: Path) -> None:
    source = {
        "type": "database",
        "connection_string": f"sqlite:///{tmp_path}/shop.db",
        "table": "orders",
        "incremental": {"cursor_column": "moment", "window": "watermark"},
    }
    trigger = NewRowsTrigger(source="orders", config=source, artifact_root=root.uri, poke_interval=ROUND)

    async def story() -> None:
        async with Watch(trigger) as watch:
            assert await watch.looks_on() == []
            for number, moment in enumerate(("2026-01-13 10:00:00", "2026-01-13 11:00:00"), start=1):
                with shop:
                    shop.execute("INSERT INTO orders VALUES (?)", [moment])
                rung = await watch.looks_on()
                assert len(rung) == number
                assert rung[-1]["newest"] == f"{moment.replace(' ', 'T')}+00:00"

    asyncio.run(story())


def test_a_watcher_looks_on_whatever_fails(
    shop: sqlite3.Connection, root: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("airflow_provider_mlpipe.triggers.polling.REPAIR_SECONDS", ROUND)
    yaml = tmp_path / "ingestion_config.yaml"
    trigger = NewRowsTrigger(source="orders", config=str(yaml), artifact_root=root.uri, poke_interval=ROUND)
    with shop:
        shop.execute("INSERT INTO orders VALUES ('2026-01-13 10:00:00')")

    async def story() -> None:
        async with Watch(trigger) as watch:
            assert await watch.looks_on() == []
            yaml.write_text(
                f"sources: {{orders: {{type: database, connection_string: 'sqlite:///{tmp_path}/shop.db', table: orders,"
                " incremental: {cursor_column: moment, window: watermark}}}"
            )
            assert len(await watch.looks_on()) == 1

    asyncio.run(asyncio.wait_for(story(), PATIENCE))
    assert capsys.readouterr().out.count("ingestion_config.yaml: no such file") == 1, "said once, not at every look"


def test_an_api_that_answers_is_nothing_to_watch_for() -> None:
    """Airflow starts a watcher's trigger again when it ends: the Dag would start every second."""
    source = {"type": "api", "url": "https://desk.example.com/tickets"}

    with pytest.raises(ConfigError, match="deferrable=True"):
        ApiAnswersTrigger(source="tickets", config=source).serialize()
