"""Commands in bulk to a real Valkey: replies in order, errors, lost connections, and Feast's way to log in."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis

from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.feature_store.arrow_engine import pipeline
from tests import servers
from tests.feature_store.feature_artifacts import expected, features, online, scores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_mlpipe.artifacts import Storage


@pytest.fixture
def client(valkey: str) -> Iterator[redis.Redis]:
    """A client with one connection of its own."""
    host, port = valkey.split(":")
    with redis.Redis(host=host, port=int(port)).client() as found:
        yield found


def commands(*words: list[bytes]) -> memoryview:
    """Return commands as they stand on the wire."""
    found = b""
    for command in words:
        found += b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command)
    return memoryview(found)


@pytest.mark.parametrize("with_hiredis", [True, False])
def test_replies_come_in_order_and_as_bytes(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, with_hiredis: bool
) -> None:
    if not with_hiredis:
        monkeypatch.setattr(pipeline, "_hiredis", lambda *_: None)
    key = uuid.uuid4().hex.encode()
    sent = [[b"HSET", key, b"%d" % i, b"\xff\r\n$-1\r\n%d" % i] for i in range(3_000)]
    assert pipeline.exchange(client.connection, commands(*sent), 3_000) == [1] * 3_000
    asked = [[b"HMGET", key, b"%d" % i] for i in range(3_001)]
    found = pipeline.exchange(client.connection, commands(*asked), 3_001)
    assert found == [b"\xff\r\n$-1\r\n%d" % i for i in range(3_000)] + [None]
    assert client.ping()


def test_a_connection_that_was_lost_is_made_again(client: redis.Redis, valkey: str) -> None:
    host, port = valkey.split(":")
    with redis.Redis(host=host, port=int(port)) as other:
        other.client_kill_filter(_id=str(client.client_id()))
    assert pipeline.exchange(client.connection, commands([b"ECHO", b"a"], [b"ECHO", b"b"]), 2) == [b"a", b"b"]


def test_a_server_that_is_gone_is_an_error_of_the_connection() -> None:
    with servers.valkey() as address:
        host, port = address.split(":")
        alone = redis.Redis(host=host, port=int(port), retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1)).client()
        assert alone.ping()
    with alone, pytest.raises(redis.ConnectionError):
        pipeline.exchange(alone.connection, commands([b"PING"]), 1)


def test_the_first_error_is_raised_and_no_reply_is_left(client: redis.Redis) -> None:
    key = uuid.uuid4().hex.encode()
    client.set(key, "text")
    sent: list[list[bytes]] = [[b"ECHO", b"before"], [b"HSET", key, b"a", b"b"], [b"ECHO", b"after"]]
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        pipeline.exchange(client.connection, commands(*sent), 3)
    assert client.echo("mine") == b"mine"


def test_user_password_and_database_are_those_of_the_connection_string(
    root: Storage, valkey: str, client: redis.Redis
) -> None:
    user = f"u{uuid.uuid4().hex}"
    client.acl_setuser(user, enabled=True, passwords=[f"+{servers.PASSWORD}"], keys=["*"], categories=["+@all"])
    settings: dict[str, Any] = {"type": "redis", "connection_string": f"{valkey},db=5"}
    settings["connection_string"] += f",username={user},password={servers.PASSWORD}"
    store = FeatureStore(project=f"p{uuid.uuid4().hex}", online_store=settings)
    table = scores(20)
    materialize(features(root, table), store, root=root)
    assert online(store, root, table) == expected(table)
    host, port = valkey.split(":")
    with redis.Redis(host=host, port=int(port), db=5) as fifth:
        assert len([key for key in fifth.scan_iter() if key.endswith(store.project.encode())]) == 20
