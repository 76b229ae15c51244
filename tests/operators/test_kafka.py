"""Kafka in Airflow: the connection's settings, what rings the bell, and the event-driven example Dag."""

from __future__ import annotations

import asyncio
import json
import runpy
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.hooks import connections
from airflow_provider_mlpipe.hooks import kafka as ours
from airflow_provider_mlpipe.hooks.connections import mask_secrets, source_connection
from airflow_provider_mlpipe.hooks.kafka import arrival
from tests.operators.home import REPOSITORY, Run, Step, new_airflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.broker import KafkaBroker

    Connect = Callable[..., str]

PASSWORD = "hunter2-of-the-broker"
DAG = REPOSITORY / "dags" / "kafka_event_driven.py"
TRIGGER = "airflow.providers.apache.kafka.triggers.await_message"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a connection known to Airflow and return its id."""

    def add(**extra: Any) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_THE_TOPICS", json.dumps({"conn_type": "kafka", "extra": extra}))
        return "the_topics"

    return add


@pytest.fixture(params=["with the Kafka provider", "without"])
def provider(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same with and without the provider's hook."""
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "airflow.providers.apache.kafka.hooks.base", None)
    else:
        pytest.importorskip("airflow.providers.apache.kafka", reason="no apache-airflow-providers-apache-kafka")
    return str(request.param)


def test_the_extra_is_the_clients_configuration(
    connect: Connect, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr(ours, "mask_secret", masked.append)
    extra = {"bootstrap.servers": "b:9092", "security.protocol": "SASL_SSL", "sasl.password": PASSWORD}

    connection = source_connection(connect(**extra), "kafka")

    assert dict(connection.kafka) == extra
    assert masked == [PASSWORD]
    assert connection.secrets == {PASSWORD}
    assert PASSWORD not in repr(connection)


def test_an_extra_without_brokers_and_a_callback_that_nobody_allowed_are_refused(connect: Connect) -> None:
    with pytest.raises(ConfigError, match=r"has no bootstrap\.servers"):
        source_connection(connect(**{"group.id": "g"}), "kafka")
    pytest.importorskip("airflow.providers.apache.kafka", reason="no apache-airflow-providers-apache-kafka")
    with pytest.raises(ConfigError, match="callback"):
        source_connection(connect(**{"bootstrap.servers": "b:9092", "oauth_cb": "os.getcwd"}), "kafka")


def test_secrets_of_the_configuration_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[Any] = []
    monkeypatch.setattr(connections, "mask_secret", masked.append)
    source = {
        "type": "kafka", "topic": "t", "bootstrap_servers": "b:9092", "value_format": "avro",
        "settings": {"sasl.password": PASSWORD, "security.protocol": "SASL_SSL"},
        "schema_registry": {"url": "http://r:8081", "username": "ann", "password": f"{PASSWORD}-2"},
    }  # fmt: skip

    mask_secrets(config.source(source, "things").model)

    assert [text for text in masked if text] == [PASSWORD, f"{PASSWORD}-2"]


# ------------------------------------------------------------------ the bell


def test_a_message_rings_the_bell_and_says_only_where_it_stands(kafka: KafkaBroker, connect: Connect) -> None:
    trigger = pytest.importorskip(TRIGGER, reason="no apache-airflow-providers-apache-kafka")
    connect(**{"bootstrap.servers": kafka.address, "group.id": "bell", "auto.offset.reset": "earliest"})
    kafka.produce("bells", [{"value": PASSWORD.encode(), "partition": 3}])
    bell = trigger.AwaitMessageTrigger(
        topics=["bells"], kafka_config_id="the_topics", apply_function=f"{arrival.__module__}.{arrival.__name__}"
    )

    async def first() -> Any:
        async for event in bell.run():
            await bell.cleanup()
            return event.payload
        return None

    payload = asyncio.run(asyncio.wait_for(first(), 60))

    assert payload == {"topic": "bells", "partition": 3, "offset": 0}


def test_the_example_waits_as_the_common_messaging_provider_would(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(TRIGGER, reason="no apache-airflow-providers-apache-kafka")
    common = pytest.importorskip(
        "airflow.providers.common.messaging.triggers.msg_queue", reason="no apache-airflow-providers-common-messaging"
    )
    monkeypatch.setenv("MLPIPE_KAFKA_TOPIC", "bells")
    [watcher] = runpy.run_path(str(DAG))["messages"].watchers

    path, arguments = watcher.trigger.serialize()

    asked = {name: arguments[name] for name in ("topics", "kafka_config_id", "apply_function", "poll_interval")}
    assert common.MessageQueueTrigger(scheme="kafka", **asked).serialize() == (path, arguments)
    assert arguments["topics"] == ["bells"]


def test_without_the_kafka_provider_the_example_is_there_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, TRIGGER, None)

    found = runpy.run_path(str(DAG))

    assert found["messages"].watchers == []
    assert [task.task_id for task in found["dag"].tasks] == ["ingest_orders", "validate_orders"]
    assert "apache-airflow-providers-apache-kafka is not installed" in found["dag"].description


# ------------------------------------------------------------------ the Dag


@pytest.fixture(scope="module")
def runs(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs without a date, as events make them; nothing comes in between."""
    orders = [json.dumps({"order_id": f"o{n}", "amount": "12.50"}).encode() for n in range(99)]
    kafka.produce("orders", [{"value": order, "partition": n % 4} for n, order in enumerate([*orders, b"no order"])])
    place = tmp_path_factory.mktemp("kafka-dag")
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(DAG.parent),
        AIRFLOW__MLPIPE__ARTIFACT_ROOT=str(place / "artifacts"),
        AIRFLOW_CONN_KAFKA_DEFAULT=json.dumps(
            {"conn_type": "kafka", "extra": {"bootstrap.servers": kafka.address, "ssl.key.password": PASSWORD}}
        ),
    )
    return airflow.run(Step("kafka_event_driven", None), Step("kafka_event_driven", None))


@pytest.mark.slow
@pytest.mark.airflow
def test_the_example_ingests_and_validates_what_is_there(runs: list[Run], kafka: KafkaBroker) -> None:
    first, second = runs
    assert set(first.states.values()) == {"success"}, first.log
    artifact = Artifact.open(first.xcom("ingest_orders"))
    assert first.xcom("ingest_orders", "metrics")["records_failed"] == 1
    assert (artifact.manifest.rows, str(artifact.schema.field("amount").type)) == (99, "decimal128(12, 2)")
    assert (artifact.verdict() or {})["passed"]
    assert sum(kafka.committed("mlpipe-orders", "orders").values()) == 100

    assert set(second.states.values()) == {"success"}, second.log
    nothing = Artifact.open(second.xcom("ingest_orders"))
    assert (nothing.manifest.rows, nothing.uri != artifact.uri) == (0, True)
    assert PASSWORD not in first.log + second.log
