"""Topics against a broker that speaks the real protocol: what is read, what a retry reads, what is refused."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion import Connection, ingest
from airflow_provider_mlpipe.run import Interval, Run
from tests.broker import kafka_broker
from tests.ingestion.kafka_support import ids, run, source, spans, topic, values
from tests.ingestion.support import counts, quarantined, read
from tests.servers import PASSWORD, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.broker import KafkaBroker

__all__ = ["topic"]


def day(number: int) -> Run:
    return Run(interval=Interval(start=f"2026-01-{number:02}T00:00:00Z", end=f"2026-01-{number + 1:02}T00:00:00Z"))


def at(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)


# ------------------------------------------------------------------ what a row is


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


# ------------------------------------------------------------------ which offsets


def test_runs_follow_one_another_without_gap_or_overlap(kafka, topic, root):
    seen: list[int] = []
    for number in range(4):
        kafka.produce(topic, [message for p in range(4) for message in values(number * 10 + p, partition=p)])
        kafka.produce(topic, values({"id": number}, partition=number))
        artifact = read(source(kafka, topic), root, run(f"r{number}"))
        seen += ids(artifact)
        assert artifact.manifest.metrics["lag"] == 0
    assert seen == [0, 1, 2, 3]
    assert read(source(kafka, topic), root, run("r9")).manifest.rows == 0


def test_a_repeated_run_reads_the_same_offsets_whatever_came_since(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}))
    first = read(source(kafka, topic), root, run("a"))
    kafka.produce(topic, values({"id": 3}))
    assert ids(read(source(kafka, topic), root, run("b"))) == [3]
    again = read(source(kafka, topic), root, run("a"))
    assert again.fingerprint == first.fingerprint
    assert again.manifest.details["kafka"]["origin"] == "published"


def test_a_retry_reads_the_plan_of_the_try_that_failed(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError, match="max_error_rate"):
        read(source(kafka, topic, max_error_rate=0.1), root, run("a"))
    kafka.produce(topic, values({"id": 2}))
    artifact = read(source(kafka, topic), root, run("a"))
    assert (ids(artifact), spans(artifact)) == ([1], {0: (0, 2)})
    assert artifact.manifest.details["kafka"]["origin"] == "stored"
    assert artifact.manifest.metrics["lag"] == 1


def test_the_plan_of_a_failed_run_gives_way_to_what_another_run_published(kafka, topic, root):
    kafka.produce(topic, [*values({"id": 1}), {"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, max_error_rate=0.1), root, run("a"))
    assert ids(read(source(kafka, topic), root, run("b"))) == [1]
    kafka.produce(topic, values({"id": 2}))
    assert ids(read(source(kafka, topic), root, run("a"))) == [2]


def test_what_another_run_publishes_meanwhile_is_not_published_twice(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    mapping = source(kafka, topic, value_format="raw")

    def overtake(_: int) -> None:
        if not (root.below("things/raw/run-b").read("_manifest.json")):
            read(mapping, root, run("b"))

    with pytest.raises(SourceUnavailableError, match=r"\[0, 1\) was published by the run of partition 'run-b'"):
        read(mapping, root, run("a"), progress=overtake)
    assert read(mapping, root, run("a")).manifest.rows == 0


def test_bounds_leave_the_rest_to_the_next_run(kafka, topic, root):
    kafka.produce(
        topic, [m for p, n in enumerate((1, 5, 5)) for i in range(n) for m in values({"id": p * 10 + i}, partition=p)]
    )
    seen = []
    for number, (rows, lag) in enumerate([(5, 6), (5, 1), (1, 0)]):
        artifact = read(source(kafka, topic, max_records=5), root, run(str(number)))
        assert (artifact.manifest.rows, artifact.manifest.metrics["lag"]) == (rows, lag)
        seen += ids(artifact)
    assert sorted(seen) == [0, *range(10, 15), *range(20, 25)]


def test_max_seconds_publishes_what_came_and_the_next_run_goes_on(kafka, topic, root):
    kafka.produce(topic, [m for i in range(1200) for m in values({"id": i})])
    first = read(source(kafka, topic, max_seconds=1e-9), root, run("a"))
    assert 0 < first.manifest.rows < 1200
    assert first.manifest.metrics["lag"] == 1200 - first.manifest.rows
    again = read(source(kafka, topic, max_seconds=1e-9), root, run("a"))
    assert again.fingerprint == first.fingerprint, "a published plan is read to its end"
    rest = read(source(kafka, topic), root, run("b"))
    assert ids(again) + ids(rest) == list(range(1200))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("earliest", [0, 1, 2]),
        ("latest", []),
        ({"timestamp": "2026-01-13T00:00:00Z"}, [1, 2]),
        ({"timestamp": "2027-01-01"}, []),
        ({"offsets": {0: 2}}, [2]),
        (None, [0, 1, 2]),
    ],
    ids=str,
)
def test_where_the_first_run_begins(kafka, topic, root, start, expected):
    for number, moment in enumerate(("2026-01-12", "2026-01-13", "2026-01-14")):
        kafka.produce(topic, values({"id": number}, timestamp=at(moment)))
    found = read(source(kafka, topic, start=start), root).table().to_pylist()
    assert [row["id"] for row in found] == expected


def test_the_group_says_where_to_begin_and_is_told_how_far_it_came(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}, {"id": 2}, {"id": 3}))
    mapping = source(kafka, topic, group_id=f"g-{topic}")
    read({**mapping, "start": {"offsets": {0: 2}}}, root, run("a"))
    assert kafka.committed(f"g-{topic}", topic)[0] == 3
    kafka.produce(topic, values({"id": 4}))
    assert ids(read({**mapping, "dataset": "other"}, root, run("a"))) == [4], "another dataset, the same group"


def test_the_group_only_moves_forward(kafka, topic, root):
    mapping = source(kafka, topic, group_id=f"g-{topic}")
    for number in (1, 2):
        kafka.produce(topic, values({"id": number}))
        read(mapping, root, run(str(number)))
    read(mapping, root, run("1"))
    assert kafka.committed(f"g-{topic}", topic)[0] == 2


def test_nobody_is_told_of_what_was_not_published(kafka, topic, root):
    kafka.produce(topic, [{"value": b"bad"}])
    with pytest.raises(SourceRejectedError):
        read(source(kafka, topic, group_id=f"g-{topic}", max_error_rate=0), root)
    assert kafka.committed(f"g-{topic}", topic) == {}


# ------------------------------------------------------------------ intervals


def days_of(kafka: KafkaBroker, topic: str, moments: Iterable[str]) -> None:
    for number, moment in enumerate(moments):
        kafka.produce(topic, values({"id": number}, timestamp=at(moment)))


def test_an_interval_is_read_by_the_times_of_the_messages_in_any_order_of_days(kafka, topic, root):
    days_of(kafka, topic, ["2026-01-10T12:00", "2026-01-11T00:00", "2026-01-11T23:59", "2026-01-12T00:00"])
    mapping = source(kafka, topic, end="interval")
    assert [ids(read(mapping, root, day(number))) for number in (11, 10, 12)] == [[1, 2], [0], [3]]


def test_messages_that_are_late_go_to_the_run_that_reads_their_offset_and_none_is_lost(kafka, topic, root):
    days_of(kafka, topic, ["2026-01-10T12:00", "2026-01-11T01:00", "2026-01-10T23:00", "2026-01-12T05:00"])
    mapping = source(kafka, topic, end="interval", types={"id": "int"})
    assert ids(read(mapping, root, day(10))) == [0]
    assert ids(read(mapping, root, day(11))) == [1, 2]
    days_of(kafka, topic, ["2026-01-12T06:00", "2026-01-11T07:00"])
    found = [ids(read(mapping, root, day(number))) for number in (12, 13)]
    assert found == [[0, 1, 3], []]


def test_an_interval_is_needed_to_read_one(kafka, topic, root):
    kafka.produce(topic, values({"id": 1}))
    with pytest.raises(ConfigError, match="needs a data interval"):
        read(source(kafka, topic, end="interval"), root, run("a"))


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
