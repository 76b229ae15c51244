"""From an Airflow connection of type ``kafka`` to librdkafka's properties, and what wakes an event-driven Dag."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_provider_mlpipe.hooks.connections import lookup, unusable

if TYPE_CHECKING:
    from airflow_provider_mlpipe.ingestion import Connection

__all__ = ["arrival", "kafka_connection"]

_NOT_OURS = frozenset(["error_cb", "throttle_cb", "stats_cb", "log_cb", "on_commit", "logger"])
"""Callbacks that an operator of the Kafka provider may have; here they would be called in the middle of a read."""


def kafka_connection(conn_id: str) -> Connection:
    """Return the settings of an Airflow connection; its extra holds librdkafka's properties.

    The Kafka provider's hook reads it if it is installed: then callbacks that are allowed and the tokens of Amazon MSK
    and Google's service work as they do there. Without it the extra is taken as it is.

    Raises:
        ConfigError: there is no such connection, or it does not say where the brokers are.
    """
    from airflow_provider_mlpipe.ingestion import Connection
    from airflow_provider_mlpipe.ingestion.connection import kafka_secrets

    extra = lookup(conn_id).extra_dejson
    if not extra.get("bootstrap.servers"):
        raise unusable(
            conn_id, "its extra has no bootstrap.servers", 'Set extra to {"bootstrap.servers": "host:9092"}.'
        )
    properties = {name: value for name, value in _resolved(conn_id, extra).items() if name not in _NOT_OURS}
    for secret in kafka_secrets(properties):
        mask_secret(secret)
    return Connection(kafka=properties)


def _resolved(conn_id: str, extra: dict[str, Any]) -> dict[str, Any]:
    try:
        base: Any = import_module("airflow.providers.apache.kafka.hooks.base").KafkaBaseHook
    except ImportError:
        return extra
    # A hook whose client is its configuration.
    properties: Any = type("KafkaProperties", (base,), {"_get_client": lambda _, config: config})
    try:
        return dict(properties(kafka_config_id=conn_id).get_conn)
    except ValueError as error:  # a callback that nobody has allowed
        raise unusable(conn_id, str(error), "See the Kafka provider's [apache_kafka] callback_allowlist.") from error


def arrival(message: Any) -> dict[str, Any] | None:  # noqa: ANN401 - confluent_kafka has no types
    """Say where a message stands: the `apply_function` of a trigger that waits for one.

    What is in it stays in the topic: the event only wakes the Dag, whose plan decides what is read.
    """
    if message.error() is not None:
        return None
    return {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
