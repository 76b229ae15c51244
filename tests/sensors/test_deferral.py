"""What a sensor does before and after it is deferred, without an Airflow around it: `test_sensors` has one."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import Asset
from airflow.sdk.bases.operator import ExecutorSafeguard

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.errors import SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion.watermark import FileWatermark
from airflow_provider_mlpipe.sensors import FeatureFreshnessSensor, NewObjectsSensor, NewRowsSensor
from airflow_provider_mlpipe.triggers.outcome import arrived, expired, failed
from tests.ingestion.support import DAY
from tests.operators.home import python

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = Asset("orders")
WATERMARK = "mlpipe_watermark/orders"


class StatesOfAssets(dict[str, Any]):
    """Airflow's accessor, as far as it is used: before Airflow 3.2 an asset is no key of a dict."""

    def __getitem__(self, asset: Any) -> Any:
        return super().__getitem__(asset.name)


def context(**more: Any) -> Any:
    """Return what of Airflow's context a sensor looks at."""
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=1)
    interval = {"data_interval_start": DAY.interval.start, "data_interval_end": DAY.interval.end}
    return {"ti": ti, **interval, **more}


def executed(sensor: Any, **more: Any) -> Any:
    """Run a sensor as the task runner does."""
    sentinel = {f"{type(sensor).__name__}__sentinel": ExecutorSafeguard.sentinel_value}
    return sensor.execute(context(**more), **sentinel)


@pytest.fixture
def inbox(tmp_path: Path) -> dict[str, Any]:
    """The arguments of a sensor of files."""
    config = {"type": "file", "path": str(tmp_path / "in" / "*.csv"), "only_new": True}
    return {"task_id": "arrived", "source": "inbox", "config": config, "artifact_root": str(tmp_path / "artifacts")}


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    """The arguments of a sensor of rows; the newest is of noon."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (at TIMESTAMP)")
        connection.execute("INSERT INTO orders VALUES ('2026-01-13 12:00:00')")
    config = {
        "type": "database",
        "connection_string": f"sqlite:///{tmp_path}/shop.db",
        "table": "orders",
        "incremental": {"cursor_column": "at", "window": "watermark"},
    }
    return {"task_id": "arrived", "source": "orders", "config": config, "artifact_root": str(tmp_path / "artifacts")}


def test_what_is_there_is_not_waited_for(shop: dict[str, Any]) -> None:
    for deferrable in (True, False):
        found = executed(NewRowsSensor(deferrable=deferrable, **shop))
        assert found["newest"] == "2026-01-13T12:00:00+00:00"


def test_what_is_not_there_is_waited_for_in_the_triggerer(inbox: dict[str, Any]) -> None:
    sensor = NewObjectsSensor(deferrable=True, poke_interval=7, timeout=100, silent_fail=True, **inbox)
    with pytest.raises(TaskDeferred) as raised:
        executed(sensor)
    path, arguments = raised.value.trigger.serialize()
    assert path == "airflow_provider_mlpipe.triggers.sources.NewObjectsTrigger"
    assert (arguments["poke_interval"], arguments["transient_retries"]) == (7, None)
    assert arguments["as_of"] == DAY.interval.end.isoformat()
    assert raised.value.method_name == "execute_complete"
    assert raised.value.timeout > timedelta(seconds=100), "the trigger gives up first"


def test_a_source_that_is_down_is_looked_at_by_the_triggerer_next(shop: dict[str, Any]) -> None:
    config = {**shop.pop("config"), "connection_string": "postgresql://ann@127.0.0.1:1/shop"}
    with pytest.raises(TaskDeferred):
        executed(NewRowsSensor(config=config, deferrable=True, **shop))
    with pytest.raises(SourceUnavailableError):
        executed(NewRowsSensor(config=config, deferrable=False, **shop))


def test_a_secret_that_stands_in_the_config_is_not_stored(shop: dict[str, Any], capsys: Any) -> None:
    shop["config"] = {
        "sources": {
            "orders": {**shop["config"], "connection_string": "postgresql://ann:hunter2@127.0.0.1:1/shop"},
            "other": {"type": "api", "url": "https://ann:hunter2@desk"},
        }
    }
    with pytest.raises(SourceUnavailableError):  # as without deferrable
        executed(NewRowsSensor(deferrable=True, **shop))
    told = capsys.readouterr().out
    place = "config.sources.orders.connection_string"
    assert f"Not deferred, the worker waits: source 'orders': config: a secret stands at {place} as it is" in told
    assert "hunter2" not in told


def test_the_triggerer_looks_where_the_worker_looked(
    shop: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "shop.db")}))
    read_until = FileWatermark(Storage(str(tmp_path / "artifacts")).below("afternoon/raw"))
    query = "SELECT at FROM orders WHERE :region = 'eu'"
    config = {"type": "database", "query": query, "incremental": shop["config"]["incremental"]}

    def sensor(region: str) -> NewRowsSensor:
        return NewRowsSensor(
            task_id="arrived",
            source="orders",
            config=config,
            conn_id="shop",
            dataset="afternoon",
            parameters={"region": region},
            artifact_root=str(tmp_path / "artifacts"),
            deferrable=True,
        )

    assert executed(sensor("eu"))["newest"] == "2026-01-13T12:00:00+00:00"
    with pytest.raises(TaskDeferred) as nothing:
        executed(sensor("us"))
    assert not nothing.value.trigger.look().there
    read_until.write(DAY.interval.start + timedelta(hours=12))
    with pytest.raises(TaskDeferred) as read:
        executed(sensor("eu"))
    read_until.write(DAY.interval.start)
    assert read.value.trigger.look().there


def test_the_watermark_of_an_asset_counts_and_may_move_meanwhile(shop: dict[str, Any]) -> None:
    sensor = NewRowsSensor(deferrable=True, inlets=[ORDERS], beyond_as_of=True, **shop)
    state = StatesOfAssets(orders={WATERMARK: "2026-01-13T18:00:00+00:00"})
    with pytest.raises(TaskDeferred) as raised:
        executed(sensor, asset_state_store=state)
    trigger = raised.value.trigger
    assert trigger.serialize()[1]["since"] == "2026-01-13T18:00:00+00:00"
    assert not trigger.look().there

    event = json.loads(json.dumps(arrived({"newest": "2026-01-13T20:00:00+00:00"}, trigger.deadline)))
    assert sensor.execute_complete(context(asset_state_store=state), event) == event["found"]
    state[ORDERS][WATERMARK] = "2026-01-13T21:00:00+00:00"
    with pytest.raises(TaskDeferred) as again:
        sensor.execute_complete(context(asset_state_store=state), event)
    assert again.value.trigger.serialize()[1]["since"] == "2026-01-13T21:00:00+00:00"
    assert again.value.trigger.deadline == trigger.deadline


GONE = failed(SourceRejectedError.refused(source="s", location="l", problem="404", hint=""))
DOWN = failed(SourceUnavailableError.unreachable(source="s", location="l", problem="refused", retry_after=7))
LATE = expired(60.0, None)


@pytest.mark.parametrize(
    ("event", "options", "raised"),
    [
        (GONE, {}, AirflowFailException),
        (DOWN, {}, SourceUnavailableError),
        (LATE, {}, AirflowSensorTimeout),
        (None, {}, Exception),
        (GONE, {"soft_fail": True}, AirflowSkipException),
        (LATE, {"soft_fail": True}, AirflowSkipException),
        (DOWN, {"soft_fail": True}, SourceUnavailableError),
        (DOWN, {"never_fail": True}, AirflowSkipException),
    ],
)
def test_what_a_trigger_tells_is_what_the_task_does(
    event: Any, options: dict[str, Any], raised: type[Exception], inbox: dict[str, Any]
) -> None:
    sensor = NewObjectsSensor(deferrable=True, **options, **inbox)
    with pytest.raises(raised) as told:
        sensor.execute_complete(context(), event)
    if event is DOWN and not options:
        assert told.value.fields["retry_after"] == 7


def test_freshness_is_waited_for_by_name_only(tmp_path: Path) -> None:
    sensor = FeatureFreshnessSensor(
        task_id="fresh",
        view="user_features",
        max_age=timedelta(hours=1),
        place="offline",
        feast_conn_id=None,
        deferrable=True,
        artifact_root=str(tmp_path),
    )
    with pytest.raises(TaskDeferred) as raised:
        executed(sensor)
    arguments = raised.value.trigger.serialize()[1]
    assert (arguments["max_age"], arguments["place"], arguments["config"]) == (3600.0, "offline", None)


@pytest.mark.slow
def test_airflows_default_decides_for_sensors_only() -> None:
    code = """
from airflow_provider_mlpipe.operators import SourceIngestOperator
from airflow_provider_mlpipe.sensors import NewRowsSensor
given = {"source": "s", "config": "c.yaml"}
print(NewRowsSensor(task_id="s", **given).deferrable, SourceIngestOperator(task_id="o", **given).deferrable)
"""
    ran = python("-c", code, env={**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"})
    assert ran.stdout.split()[-2:] == ["True", "False"], ran.stderr
