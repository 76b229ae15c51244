"""`window: watermark`: what was read is not read again, a crash loses nothing, and only production moves it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError, SourceError
from airflow_provider_mlpipe.ingestion import ingest
from airflow_provider_mlpipe.ingestion.watermark import AssetWatermark, FileWatermark, HeldWatermark
from airflow_provider_mlpipe.run import Interval, Run
from tests.ingestion.support import DAY

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_mlpipe.artifacts import Artifact, Storage

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


class Shop:
    """A table of events at given days, and manual runs that read it."""

    def __init__(self, folder: Path, root: Storage) -> None:
        self.path, self.root = folder / "shop.db", root
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE events (id INTEGER, at TIMESTAMP)")

    def add(self, *days: float) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            rows = [(int(number * 10), day(number).strftime("%Y-%m-%d %H:%M:%S.%f")) for number in days]
            connection.executemany("INSERT INTO events VALUES (?, ?)", rows)

    def read(self, run_id: str, until: float, run: Run | None = None, **keys: Any) -> list[int]:
        """Return the ids that a run reads that is about day `until`."""
        return sorted(self.artifact(run_id, until, run, **keys).table()["id"].to_pylist())

    def artifact(
        self,
        run_id: str,
        until: float,
        run: Run | None = None,
        watermark: Any = None,
        progress: Any = None,
        **keys: Any,
    ) -> Artifact:
        incremental = {"cursor_column": "at", "window": "watermark", **keys}
        source = {"type": "database", "connection_string": f"sqlite:///{self.path}", "table": "events"}
        return ingest(
            config.source(source | {"incremental": incremental}, "events"),
            root=self.root, run=run or Run(run_id=run_id), as_of=day(until), watermark=watermark, progress=progress,
        )  # fmt: skip

    @property
    def mark(self) -> datetime | None:
        return FileWatermark(self.root.below("events/raw")).read()


@pytest.fixture
def shop(tmp_path: Path, root: Storage) -> Shop:
    made = Shop(tmp_path, root)
    made.add(0.5, 1.0, 1.5, 2.0, 2.5)
    return made


def test_each_run_reads_what_came_since_the_one_before(shop: Shop) -> None:
    assert shop.read("a", 1) == [5]
    assert shop.read("b", 2) == [10, 15], "the end belongs to the next window"
    assert shop.read("c", 2.2) == [20]
    shop.add(2.3)
    assert shop.read("d", 3) == [23, 25]
    assert shop.mark == day(3)


def test_a_run_without_rows_publishes_an_empty_artifact_and_moves_on(shop: Shop) -> None:
    shop.read("a", 3)
    assert shop.read("b", 4) == []
    assert shop.mark == day(4)


def test_initial_and_lookback(shop: Shop) -> None:
    assert shop.read("a", 2, initial="2026-01-02") == [10, 15]
    shop.add(1.9)  # committed late
    assert shop.read("b", 3, initial="2026-01-02", lookback="12h") == [15, 19, 20, 25]


def test_a_retry_reads_the_same_window_again_before_and_after_the_watermark_moved(shop: Shop) -> None:
    shop.read("a", 1)
    first = shop.artifact("b", 2)
    again = shop.artifact("b", 2)
    assert again.manifest.details["window"] == first.manifest.details["window"]
    assert again.fingerprint == first.fingerprint
    # Killed after publishing, before the watermark moved: the next try finds its artifact.
    FileWatermark(shop.root.below("events/raw")).write(day(1))
    assert shop.artifact("b", 2).fingerprint == first.fingerprint
    assert shop.mark == day(2)


def test_a_run_that_fails_leaves_the_watermark_where_it_was(shop: Shop) -> None:
    shop.read("a", 1)

    def fail(_: int) -> None:
        raise SourceError("the worker went away", hint="")

    with pytest.raises(SourceError, match="went away"):
        shop.artifact("b", 2, progress=fail)
    assert shop.mark == day(1)
    assert shop.read("b", 2) == [10, 15]


def test_it_never_moves_back_and_a_backfill_reads_its_own_interval(shop: Shop) -> None:
    shop.read("a", 3)
    backfill = Run(run_id="backfill", interval=Interval(start=day(1), end=day(2)))
    assert shop.read("", 2, backfill) == [10, 15]
    assert shop.mark == day(3)
    with pytest.raises(ConfigError, match="has been read already, and this run is about 2026-01-03T00:00:00"):
        shop.read("late", 2)


def test_a_test_run_reads_the_watermark_and_does_not_move_it(shop: Shop) -> None:
    shop.read("a", 1)
    kept = FileWatermark(shop.root.below("events/raw"))
    assert shop.read("trial", 2, watermark=HeldWatermark(kept, "this is a test run")) == [10, 15]
    assert shop.mark == day(1)


def test_the_state_of_an_asset_takes_over_from_the_file(shop: Shop) -> None:
    shop.read("a", 1)
    state: dict[str, str] = {}

    class Accessor:
        get = staticmethod(state.get)
        set = staticmethod(state.__setitem__)

    asset = AssetWatermark(Accessor, "events", before=FileWatermark(shop.root.below("events/raw")))
    assert shop.read("b", 2, watermark=asset) == [10, 15]
    assert state == {"events": day(2).isoformat()}
    assert shop.read("c", 3, watermark=asset) == [20, 25]
    assert shop.mark == day(1), "the file is history"


def test_mapped_tasks_have_a_watermark_each(shop: Shop) -> None:
    for index in (0, 1):
        assert shop.read("", 1, Run(run_id="a", map_index=index)) == [5]
    assert shop.mark is None
    assert shop.read("", 2, Run(run_id="b", map_index=1)) == [10, 15]


def test_a_damaged_watermark_is_not_taken_for_none(shop: Shop) -> None:
    place = shop.root.below("events/raw")
    place.make_folder()
    place.replace("_watermark.json", json.dumps({"unti": "2026"}).encode())
    with pytest.raises(ConfigError, match="_watermark.json cannot be read"):
        shop.read("a", 1)


def test_lookback_of_an_interval(shop: Shop) -> None:
    run = replace(DAY, interval=Interval(start=day(1), end=day(2)))
    assert shop.read("", 2, run, window="interval", lookback="13h") == [5, 10, 15]
    assert shop.mark is None


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"window": "7d", "lookback": "1h"}, "lookback belongs to window: interval or watermark"),
        ({"window": "all", "initial": "2026-01-01"}, "initial is where window: watermark begins"),
    ],
)
def test_keys_that_mean_nothing_are_refused(shop: Shop, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop.read("a", 1, **keys)
