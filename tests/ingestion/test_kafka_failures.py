"""What topics are refused for: messages that are not there any more, brokers, settings, what is not installed."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection, ingest
from tests.broker import kafka_broker
from tests.ingestion.kafka_support import ids, run, source, topic, values
from tests.ingestion.support import read
from tests.servers import PASSWORD, free_ports

if TYPE_CHECKING:
    from tests.broker import KafkaBroker

__all__ = ["topic"]


# ------------------------------------------------------------------ what is not there any more


def lose_some(kafka: KafkaBroker, topic: str) -> None:
    """Have the broker delete the oldest messages: it keeps 5 MB."""
    kafka.produce(topic, [m for i in range(3, 10) for m in values({"id": i, "text": "x" * 900_000})])


def test_messages_that_retention_deleted_are_an_error_that_names_them(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    read(source(kafka, topic, max_records=1), root, run("a"))
    lose_some(kafka, topic)
    with pytest.raises(SourceRejectedError, match=rf"{topic}/0: offsets \[1, \d\) are planned and no longer there"):
        read(source(kafka, topic), root, run("b"))


def test_messages_that_retention_deleted_are_skipped_on_request_and_counted(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    read(source(kafka, topic, max_records=1), root, run("a"))
    lose_some(kafka, topic)
    artifact = read(source(kafka, topic, on_gap="skip"), root, run("b"))
    skipped = artifact.manifest.details["kafka"]["skipped"][f"{topic}/0"]
    assert skipped + artifact.manifest.rows == 8
    assert ids(artifact)[-1] == 9


def test_a_stored_plan_whose_messages_went_meanwhile(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, max_error_rate=0), root, run("a"))
    lose_some(kafka, topic)
    with pytest.raises(SourceRejectedError, match="no longer there"):
        read(source(kafka, topic), root, run("a"))
    artifact = read(source(kafka, topic, on_gap="skip"), root, run("a"))
    assert artifact.manifest.rows == 0
    assert artifact.manifest.details["kafka"]["skipped"] == {f"{topic}/0": 2}
    assert artifact.manifest.details["kafka"]["offsets_without_message"] == 0


def test_what_is_published_is_never_replaced_by_less(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    first = read(source(kafka, topic), root, run("a"))
    lose_some(kafka, topic)
    with pytest.raises(SourceRejectedError, match="What is published stays"):
        read(source(kafka, topic, on_gap="skip"), root, run("a"))
    assert Artifact.open(first.uri).fingerprint == first.fingerprint


def test_a_topic_that_was_made_anew(topic, root, caplog):
    with kafka_broker() as old:
        old.produce(topic, values({"id": 1}, {"id": 2}, {"id": 3}))
        read(source(old, topic), root, run("a"))
    with kafka_broker() as new:
        new.produce(topic, values({"id": 7}))
        with pytest.raises(SourceRejectedError, match=rf"{topic}/0 ends at 1, before 3"):
            read(source(new, topic), root, run("b"))
        assert ids(read(source(new, topic, on_recreated="restart"), root, run("b"))) == [7]
        new.produce(topic, values({"id": 8}))
        assert ids(read(source(new, topic), root, run("c"))) == [8], "from now on the new topic counts"
        with pytest.raises(SourceRejectedError, match="What is published stays"):
            read(source(new, topic, on_recreated="restart"), root, run("a"))


# ------------------------------------------------------------------ what goes wrong


def test_an_unknown_topic_is_named_and_not_made(kafka, root):
    with pytest.raises(SourceRejectedError, match=r"topic 'nowhere': .*Unknown topic"):
        read(source(kafka, "nowhere"), root)
    with pytest.raises(SourceRejectedError, match="Unknown topic"):
        read(source(kafka, "nowhere"), root)


def test_nobody_at_the_address(root):
    [port] = free_ports()
    mapping = {"type": "kafka", "topic": "t", "bootstrap_servers": f"127.0.0.1:{port}", "timeout_seconds": 1}
    with pytest.raises(SourceUnavailableError, match=rf"kafka://127.0.0.1:{port}/t.*(refused|transport failure)"):
        read(mapping, root)


def test_a_broker_that_wants_another_way_of_signing_in(kafka, topic, root):
    settings = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ann",
        "sasl.password": PASSWORD,
    }
    with pytest.raises(SourceRejectedError, match="authentication failed") as caught:
        read(source(kafka, topic, settings=settings, timeout_seconds=1), root)
    assert PASSWORD not in str(caught.value)


def test_a_setting_that_librdkafka_does_not_know(kafka, topic, root):
    with pytest.raises(SourceRejectedError, match="No such configuration property"):
        read(source(kafka, topic, settings={"no.such.thing": 1}), root)


def test_settings_of_a_connection_reach_the_client_and_stay_secret(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    connection = Connection(kafka={"bootstrap.servers": kafka.address, "ssl.key.password": PASSWORD})
    artifact = ingest(
        config.source({"type": "kafka", "topic": topic}, "things"), root=root, run=run("a"), connection=connection
    )
    assert ids(artifact) == [1]
    assert PASSWORD not in repr(connection)
    assert connection.secrets == {PASSWORD}
    with pytest.raises(ConfigError, match="nothing says where the brokers are"):
        read({"type": "kafka", "topic": topic}, root)


def test_a_broker_that_dies_in_the_middle(topic, root):
    with kafka_broker() as kafka:
        kafka.produce(topic, [m for i in range(3000) for m in values({"id": i, "text": "x" * 1000})])
        mapping = source(kafka, topic, value_format="raw", batch_size=500, timeout_seconds=2)
        mapping["settings"] = {"queued.max.messages.kbytes": 64, "fetch.message.max.bytes": 16_000, "fetch.max.bytes": 16_000,
                               "message.max.bytes": 16_000}  # fmt: skip

        def kill(_: int) -> None:
            kafka.process.kill()

        with pytest.raises(SourceUnavailableError, match=rf"nothing came for 2 s: {topic}/0 at [\d,]+ of 3,000"):
            read(mapping, root, run("a"), progress=kill)
    assert not root.below("things/raw/run-a").read("_manifest.json")
    assert root.below("things/raw/run-a").read("_offsets.json")


def test_a_commit_that_fails_is_a_warning(topic, root, caplog):
    with kafka_broker() as kafka:
        kafka.produce(topic, values({"id": 1}))

        def kill(_: int) -> None:
            kafka.process.kill()

        with caplog.at_level(logging.WARNING):
            artifact = read(source(kafka, topic, group_id="g", timeout_seconds=1), root, run("a"), progress=kill)
    assert ids(artifact) == [1]
    assert "published, but the offsets of group 'g' could not be committed" in caplog.text


def test_a_topic_is_not_read_into_a_bare_file(kafka, topic):
    from airflow_provider_mlpipe.ingestion.readers import reader_of

    with pytest.raises(ConfigError, match="not into a file"):
        reader_of(config.source(source(kafka, topic), "things"), Connection(), window=None, run=run("a"), as_of=None)


def test_plans_and_manifests_in_a_bucket(kafka, topic, s3):
    place = Storage(f"{s3.uri}/{topic}", s3.options)
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, max_error_rate=0.1), place, run("a"))
    kafka.produce(topic, values({"id": 2}))
    assert [ids(read(source(kafka, topic), place, run(name))) for name in ("a", "b", "a")] == [[1], [2], [1]]


@pytest.mark.parametrize(("missing", "kind"), [("confluent_kafka", "json"), ("fastavro", "avro")])
def test_what_is_not_installed_is_named(root, monkeypatch, missing, kind):
    monkeypatch.setitem(sys.modules, missing, None)
    mapping = {"type": "kafka", "topic": "t", "bootstrap_servers": "b:9092", "value_format": kind}
    mapping |= {"avro_schema": "string"} if kind == "avro" else {}
    with pytest.raises(ConfigError, match=rf"{missing.replace('_', '-')} is not installed.*\n.*\[kafka\]"):
        read(mapping, root)


def test_a_lost_or_broken_index_is_made_again(kafka, topic, root: Storage):
    kafka.produce(topic, values({"id": 1}))
    read(source(kafka, topic), root, run("a"))
    stage = root.below("things/raw")
    read(source(kafka, topic), root, run("b"))
    for content in (b"{", b"[1]", json.dumps({"run-a": [[1, 1], None], "gone": [[1, 1], None]}).encode()):
        stage.replace("_kafka_index.json", content)
        assert read(source(kafka, topic), root, run("c")).manifest.rows == 0
    assert set(json.loads(stage.read("_kafka_index.json"))) >= {"run-a", "run-b"}
