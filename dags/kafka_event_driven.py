r"""A topic's messages, as they come: a message wakes the Dag, the plan of offsets decides what is read.

    topic ─▶ watcher ─▶ ingest_orders ─▶ validate_orders

The watcher is Airflow's: a trigger that waits for a message and records an event of the asset. Events are only a bell.
However many come, and whether one is lost or comes twice, a run reads from where the newest published run ended to what
is there when it is planned, and a retry reads the same offsets again.

    pip install 'airflow-provider-mlpipe[kafka]' apache-airflow-providers-apache-kafka
    airflow connections add kafka_default --conn-type kafka \
        --conn-extra '{"bootstrap.servers": "localhost:9092", "group.id": "orders-bell"}'
    airflow dags test kafka_event_driven

``group.id`` is the watcher's own; it must differ from `group_id` below, because a group with a member that subscribes
takes no commits from others. Without the Kafka provider there is nobody to ring: the Dag is there and can be triggered,
and its description says so.

``MLPIPE_KAFKA_TOPIC`` names another topic. The trigger is the one that ``MessageQueueTrigger(scheme="kafka", ...)`` of
the common messaging provider stands for; naming it here saves importing what the other message queues need.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_mlpipe.operators import SourceIngestOperator, ValidateOperator

AwaitMessageTrigger: Any
try:
    from airflow.providers.apache.kafka.triggers.await_message import AwaitMessageTrigger
except ImportError:  # neither the provider nor, perhaps, its client
    AwaitMessageTrigger = None

TOPIC = os.environ.get("MLPIPE_KAFKA_TOPIC", "orders")
CONN_ID = "kafka_default"

SOURCE = {
    "type": "kafka",
    "topic": TOPIC,
    "conn_id": CONN_ID,
    "group_id": "mlpipe-orders",
    "value_format": "json",
    "types": {"order_id": "string", "amount": "decimal(12,2)"},
    "required_columns": ["order_id", "amount"],
    # A first run on an old topic takes it in portions; so does one after a long outage.
    "max_records": 1_000_000,
    "max_error_rate": 0.1,
}
RULES = {
    "orders": {
        "required_columns": ["order_id", "amount"],
        "unique_columns": ["order_id"],
        "range_constraints": {"amount": {"min": 0, "severity": "WARNING"}},
        "allow_empty": True,
    },
}


def watchers() -> list[AssetWatcher]:
    """Return who rings when a message comes; nobody if the Kafka provider is not installed."""
    if AwaitMessageTrigger is None:
        return []
    bell = AwaitMessageTrigger(
        topics=[TOPIC],
        kafka_config_id=CONN_ID,
        apply_function="airflow_provider_mlpipe.hooks.kafka.arrival",
        poll_interval=5,
    )
    return [AssetWatcher(name=f"{TOPIC}_messages", trigger=bell)]


messages = Asset(name=f"kafka_{TOPIC}", watchers=watchers())

with DAG(
    dag_id="kafka_event_driven",
    description="Messages of a topic -> validated artifact, as they come"
    + ("" if messages.watchers else " (by hand: apache-airflow-providers-apache-kafka is not installed)"),
    doc_md=__doc__,
    schedule=[messages],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # Runs wait for each other: each begins where the one before ended.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    tags=["mlpipe", "kafka"],
) as dag:
    orders = SourceIngestOperator(task_id="ingest_orders", source="orders", config=SOURCE)

    ValidateOperator(
        task_id="validate_orders",
        artifact=orders.output,
        config=RULES,
        dataset="orders",
    )
