"""Topics against a broker that speaks the real protocol: what a row is, and what cannot be one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ConfigError
from tests.ingestion.kafka_support import ids, source, topic, values
from tests.ingestion.support import counts, quarantined, read

__all__ = ["topic"]


def test_a_message_is_a_row_with_everything_that_kafka_says_of_it(kafka, topic, root):
    kafka.produce(
        topic,
        values({"id": 1, "by": {"name": "Ann"}}, key="a", partition=2, timestamp=1_700_000_000_123,
               headers=[("trace", b"\x00\xff"), ("trace", None)]),
    )  # fmt: skip
    artifact = read(source(kafka, topic), root)
    [row] = artifact.table().to_pylist()
    assert row == {
        "_kafka_topic": topic, "_kafka_partition": 2, "_kafka_offset": 0,
        "_kafka_timestamp": datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC),
        "_kafka_key": "a", "_kafka_tombstone": False,
        "_kafka_headers": [{"key": "trace", "value": b"\x00\xff"}, {"key": "trace", "value": None}],
        "id": 1, "by": '{"name":"Ann"}',
    }  # fmt: skip
    assert str(artifact.schema.field("_kafka_timestamp").type) == "timestamp[us, tz=UTC]"


def test_nulls_unicode_many_batches_and_names_as_from_every_other_source(kafka, topic, root):
    records = [
        {"id": n, "name": None if n % 7 == 0 else f"Zoë 日本 🚀 {n}", "amount": n / 8, "at": f"2026-01-13 02:00:{n % 60:02}.{n:06}",
         **{f"c{wide}": wide for wide in range(200)}}
        for n in range(251)
    ]  # fmt: skip
    kafka.produce(topic, [message for n, record in enumerate(records) for message in values(record, partition=n % 4)])
    mapping = source(kafka, topic, columns={"user_id": "id", "age": None}, required_columns=["user_id"], batch_size=50)
    seen: list[int] = []
    first = read(mapping, root, progress=seen.append)
    found = sorted(first.table().to_pylist(), key=lambda row: row["user_id"])
    assert [(row["user_id"], row["name"], row["amount"], row["c199"], row["age"]) for row in found] == [
        (record["id"], record["name"], record["amount"], 199, None) for record in records
    ]
    assert [row["at"].isoformat(sep=" ") for row in found[1:]] == [record["at"] for record in records[1:]]
    assert counts(first) == (251, 251, 0, 0)
    assert (len(seen) > 4, seen[-1]) == (True, 251)
    assert read({**mapping, "batch_size": 33}, root).fingerprint == first.fingerprint


def test_what_cannot_be_read_is_quarantined_with_its_place(kafka, topic, root):
    good, bad = (
        values({"id": 1}),
        [{"value": b"{bad"}, {"value": b"[1]"}, {"value": b""}, {"value": b"{}", "key": b"\xff"}],
    )
    clash = values({"id": 2, "_kafka_offset": 7})
    kafka.produce(topic, [*good, *bad, *clash, {"value": None, "key": b"1"}])
    artifact = read(source(kafka, topic), root)
    assert counts(artifact) == (7, 2, 5, 0)
    place = Artifact.open(artifact.manifest.details["quarantine"])
    found = place.table().to_pylist()
    assert [item["position"] for item in found] == [f"{topic}/0/{offset}" for offset in (1, 2, 3, 4, 5)]
    assert "no JSON" in found[0]["reason"]
    assert "a list, not an object" in found[1]["reason"]
    assert "key is not UTF-8" in found[3]["reason"]
    assert "'_kafka_offset'" in found[4]["reason"]
    assert json.loads(found[0]["row"])["value"] == "{bad"


def test_a_type_that_does_not_fit_says_where_the_message_is(kafka, topic, root):
    kafka.produce(topic, values({"id": "1"}, {"id": "x"}))
    artifact = read(source(kafka, topic, types={"id": "int"}), root)
    assert counts(artifact) == (2, 1, 1, 0)
    [(_, row)] = quarantined(artifact)
    assert (row["_kafka_topic"], row["_kafka_offset"]) == (topic, 1)


def test_a_tombstone_is_a_row_of_nulls_that_says_so(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}, key="a"), {"value": None, "key": b"a"}])
    found = read(source(kafka, topic, deduplicate={"keys": ["_kafka_key"], "order_by": ["_kafka_offset"]}), root)
    assert counts(found) == (2, 1, 0, 1)
    [row] = found.table().to_pylist()
    assert (row["_kafka_tombstone"], row["id"], row["_kafka_offset"]) == (True, None, 1)


def test_raw_values_and_keys_are_bytes(kafka, topic, root):
    kafka.produce(topic, [{"value": b"\x00\xff", "key": b"\xfe"}, {"value": b""}, {"value": None}])
    found = read(source(kafka, topic, value_format="raw", key_format="raw"), root).table()
    assert found["value"].to_pylist() == [b"\x00\xff", b"", None]
    assert found["_kafka_key"].to_pylist() == [b"\xfe", None, None]
    assert found["_kafka_tombstone"].to_pylist() == [False, False, True]


def test_an_empty_topic_has_the_columns_that_the_configuration_names(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    told = source(kafka, topic, types={"amount": "decimal(12,2)"}, required_columns=["order"], start="latest")
    artifact = read(told, root)
    kinds = {field.name: str(field.type) for field in artifact.schema}
    assert artifact.manifest.rows == 0
    assert (kinds["amount"], kinds["order"]) == ("decimal128(12, 2)", "null")
    assert kinds["_kafka_offset"] == "int64"


def test_a_column_that_is_declared_is_there_even_if_no_message_of_the_run_has_it(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    artifact = read(source(kafka, topic, types={"note": "string"}), root)
    assert artifact.table(["id", "note"]).to_pylist() == [{"id": 1, "note": None}]


def test_a_message_of_four_megabytes(kafka, topic, root):
    kafka.produce(topic, values({"id": 1, "text": "x" * 4_000_000}, {"id": 2}))
    assert ids(read(source(kafka, topic), root)) == [1, 2]


def test_several_topics_and_chosen_partitions(kafka, topic, root):
    for name in (topic, f"{topic}b"):
        for partition in range(3):
            kafka.produce(name, values({"id": partition}, partition=partition))
    found = read({**source(kafka, topic, partitions=[0, 2]), "topic": [topic, f"{topic}b"]}, root).table().to_pylist()
    assert {(row["_kafka_topic"], row["id"]) for row in found} == {
        (name, partition) for name in (topic, f"{topic}b") for partition in (0, 2)
    }
    with pytest.raises(ConfigError, match=f"there is no {topic}/9"):
        read(source(kafka, topic, partitions=[9]), root)
