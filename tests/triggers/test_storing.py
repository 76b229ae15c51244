"""What is stored of a trigger: enough to make it again, and no secret, wherever it stood."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

try:
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.encoders import encode_trigger
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization
    from airflow.serialization.serialized_objects import _encode_trigger as encode_trigger
    from airflow.serialization.serialized_objects import smart_decode_trigger_kwargs

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.triggers import (
    ApiAnswersTrigger,
    FeatureFreshnessTrigger,
    NewObjectsTrigger,
    NewRowsTrigger,
)
from airflow_provider_mlpipe.triggers.secrets import literal_secrets
from tests.triggers.support import for_day, stored

SECRET = "hunter2"
SOURCES = {
    "events": {"type": "file", "path": "s3://lake/in/*.csv", "only_new": True},
    "hidden": {"type": "database", "connection_string": f"postgresql://ann:{SECRET}@db/shop", "table": "t"},
}
FULL = {
    "source": "events",
    "config": {"sources": SOURCES},
    "conn_id": "lake",
    "dataset": "clicks",
    "parameters": MappingProxyType({"region": "eu", "number": 1.5, "at": datetime(2026, 1, 2, tzinfo=UTC)}),
    "artifact_root": "s3://lake/features",
    "artifact_conn_id": "lake",
    **for_day(poke_interval=7.0, transient_retries=None, deadline=1_768_356_000.5),
}


@pytest.mark.parametrize(
    "trigger",
    [
        NewObjectsTrigger(**FULL),
        NewObjectsTrigger(source="events", config="/opt/airflow/config/ingestion_config.yaml"),
        NewRowsTrigger(**FULL, since="2026-01-13T00:00:00+00:00", beyond_as_of=True),
        ApiAnswersTrigger(**FULL),
        FeatureFreshnessTrigger(
            view="v", max_age=3600.0, as_of="2026-01-14", place="online", config={"feature_store": {"project": "p"}},
            feast_conn_id="feast", store=MappingProxyType({"read_back": 1}), artifact_root="/data", deadline=1.0,
        ),
    ],
    ids=lambda trigger: type(trigger).__name__,
)  # fmt: skip
def test_what_is_stored_makes_the_same_trigger(trigger: Any) -> None:
    path, arguments = trigger.serialize()
    again = stored(trigger)
    assert type(again) is type(trigger)
    assert again.serialize() == (path, arguments)
    # As an asset's watcher it goes through the Dag's serialisation.
    encoded = encode_trigger(trigger)
    assert json.loads(json.dumps(encoded)) == encoded
    decoded = {name: smart_decode_trigger_kwargs(value) for name, value in encoded["kwargs"].items()}
    watching = type(trigger)(**decoded)
    assert watching.serialize() == (path, arguments)
    assert BaseEventTrigger.hash(path, arguments) == BaseEventTrigger.hash(path, decoded)


def test_only_the_part_of_the_source_is_stored() -> None:
    arguments = NewObjectsTrigger(**FULL).serialize()[1]
    assert arguments["config"] == {"sources": {"events": SOURCES["events"]}}
    assert SECRET not in repr(arguments)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"connection_string": f"postgresql://ann:{SECRET}@db/shop"}, "connection_string"),
        ({"connection_string": f"mysql://db/shop?ssl_key_password={SECRET}"}, "connection_string"),
        ({"connection_string": f"${{DB:-postgresql://ann:{SECRET}@db/shop}}"}, "connection_string"),
        ({"url": f"https://ann:{SECRET}@api/tasks"}, "url"),
        ({"url": f"https://api/tasks?api_token={SECRET}"}, "url"),
        ({"headers": {"Authorization": f"Bearer {SECRET}"}}, "headers.Authorization"),
        ({"headers": {"X-Session": SECRET}}, "headers.X-Session"),
        ({"params": {"api_key": SECRET}}, "params.api_key"),
        ({"auth": {"type": "bearer", "token": SECRET}}, "auth.token"),
        ({"auth": {"type": "api_key", "key": SECRET}}, "auth.key"),
        ({"auth": {"type": "basic", "username": "ann", "password": SECRET}}, "auth.password"),
        ({"auth": {"token_url": "https://id/token", "client_id": "x", "client_secret": SECRET}}, "auth.client_secret"),
        ({"settings": {"sasl.password": SECRET}}, "settings.sasl.password"),
        ({"settings": {"ssl.key.pem": SECRET}}, "settings.ssl.key.pem"),
        ({"connect": {"dsn": f"host=db password={SECRET}"}}, "connect.dsn"),
        ({"connect": [{"passwd": SECRET}]}, "connect.0.passwd"),
        ({"online_store": {"type": "redis", "connection_string": f"cache:6379,password={SECRET}"}},
         "online_store.connection_string"),
        ({"registry": f"postgresql://feast:{SECRET}@db/registry"}, "registry"),
    ],
)  # fmt: skip
def test_a_secret_that_stands_there_is_refused(config: dict[str, Any], place: str) -> None:
    assert literal_secrets(config) == [place]
    with pytest.raises(ConfigError, match="a secret stands at") as raised:
        ApiAnswersTrigger(source="things", config=config, **for_day()).serialize()
    assert SECRET not in str(raised.value)
    with pytest.raises(ConfigError, match="a secret stands at store"):
        FeatureFreshnessTrigger(view="v", max_age=1.0, as_of="2026-01-14", store=config).serialize()


def test_what_is_no_secret_is_stored() -> None:
    config = {
        "type": "api",
        "url": "https://api.example.com/tasks?page=1",
        "connection_string": "sqlite:///tracker.db",
        "headers": {"Accept": "application/json", "Authorization": "Bearer ${TOKEN}"},
        "auth": {"type": "oauth2_client_credentials", "token_url": "https://id/token", "client_id": "x",
                 "client_secret": "${SECRET}", "credentials_in": "body"},
        "data_key": "tasks", "next_key": "next", "parallel_key": "id",
        "query": "SELECT * FROM users WHERE token = :token",
        "columns": {"token": "api_token", "password_hash": None},
        "types": {"secret": "string"},
        "paginator": {"type": "cursor", "cursor_path": "meta.cursor", "cursor_param": "after"},
        "deduplicate": {"keys": ["token"]},
    }  # fmt: skip
    assert literal_secrets(config) == []
    assert literal_secrets({"connection_string": "${DB:-sqlite:///tracker.db}", "password": "", "key": None}) == []


def test_a_watcher_with_a_secret_does_not_get_into_a_dag() -> None:
    config = {"type": "file", "path": f"https://ann:{SECRET}@files/in"}
    watcher = AssetWatcher(name="w", trigger=NewObjectsTrigger(source="x", config=config))
    with DAG("watched", schedule=[Asset("inbox", watchers=[watcher])]) as dag:
        pass
    with pytest.raises(Exception, match="a secret stands at config.path as it is"):
        DagSerialization.to_dict(dag)
