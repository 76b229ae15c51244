"""Avro values: with a schema of the configuration, and with numbers of a registry's schemas."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError, SourceUnavailableError
from tests.ingestion.kafka_support import run, source, topic
from tests.ingestion.support import counts, quarantined, read
from tests.servers import PASSWORD, Answer, json_api

if TYPE_CHECKING:
    from collections.abc import Mapping

fastavro = pytest.importorskip("fastavro", reason="no Avro: pip install fastavro")

__all__ = ["topic"]


def record(*fields: Any, name: str = "order") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields]}


def avro(schema: Any, value: Any, number: int | None = None) -> dict[str, Any]:
    """Return a message with an Avro value, framed with a schema's number if one is given."""
    stream = io.BytesIO(b"" if number is None else b"\0" + number.to_bytes(4, "big"))
    stream.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return {"value": stream.getvalue()}


def registry(schemas: Mapping[int, Any], latest: Mapping[str, int], **routes: Any) -> dict[str, Any]:
    """Return the routes of a registry."""
    found: dict[str, Any] = {f"/schemas/ids/{n}": {"schema": json.dumps(schema)} for n, schema in schemas.items()}
    found |= {f"/subjects/{subject}/versions/latest": {"id": number} for subject, number in latest.items()}
    return found | routes


LOCAL = datetime(2026, 1, 2, 3)  # noqa: DTZ001 - a local time has no zone
TYPES = [
    ("boolean", True, "bool", True),
    ("int", -7, "int32", -7),
    ("long", 2**62, "int64", 2**62),
    ("float", 0.5, "double", 0.5),
    ("double", 0.1, "double", 0.1),
    ("bytes", b"\x00\xff", "binary", b"\x00\xff"),
    ("string", "é", "string", "é"),
    ({"type": "enum", "name": "e", "symbols": ["A", "B"]}, "B", "string", "B"),
    ({"type": "fixed", "name": "f", "size": 2}, b"ab", "binary", b"ab"),
    ({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}, Decimal("-12.34"), "decimal128(20, 2)",
     Decimal("-12.34")),
    ({"type": "bytes", "logicalType": "decimal", "precision": 50, "scale": 0}, Decimal(10) ** 45, "decimal256(50, 0)",
     Decimal(10) ** 45),
    ({"type": "int", "logicalType": "date"}, date(1969, 7, 20), "date32[day]", date(1969, 7, 20)),
    ({"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000), "time64[us]", time(1, 2, 3, 4000)),
    ({"type": "long", "logicalType": "timestamp-millis"}, datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
     "timestamp[us, tz=UTC]", datetime(2026, 1, 2, 3, 4, 5, 6000, UTC)),
    ({"type": "long", "logicalType": "timestamp-micros"}, datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
     "timestamp[us, tz=UTC]", datetime(2026, 1, 2, 3, 4, 5, 6, UTC)),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, LOCAL, "timestamp[us]", LOCAL),
    ({"type": "string", "logicalType": "uuid"}, UUID(int=7), "string", str(UUID(int=7))),
    (["null", "long"], None, "int64", None),
    (["null", "long"], 3, "int64", 3),
    (["null", "long", "string"], "x", "string", "x"),
    (["null", "long", "string"], 3, "string", "3"),
    ({"type": "array", "items": ["null", "int"]}, [1, None], "list<item: int32>", [1, None]),
    ({"type": "map", "values": "long"}, {"a": 1}, "map<string, int64>", [("a", 1)]),
    (record(("y", "string"), ("z", ["null", "bytes"]), name="inner"), {"y": "a", "z": None},
     "struct<y: string, z: binary>", {"y": "a", "z": None}),
]  # fmt: skip


def test_every_type_arrives_exactly(kafka, topic, root):
    schema = record(*((f"c{number}", kind) for number, (kind, *_) in enumerate(TYPES)))
    kafka.produce(topic, [avro(schema, {f"c{number}": value for number, (_, value, *_) in enumerate(TYPES)})])
    found = read(source(kafka, topic, value_format="avro", avro_schema=schema), root).table()
    [row] = found.to_pylist()
    for number, (kind, _, arrow, value) in enumerate(TYPES):
        assert str(found.schema.field(f"c{number}").type) == arrow, kind
        assert row[f"c{number}"] == value, kind


@pytest.mark.parametrize(
    ("nested", "expected"),
    [
        ("struct", {"by": {"name": "Ann", "tags": ["x"]}}),
        ("json", {"by": '{"name":"Ann","tags":["x"]}'}),
        ("flatten", {"by__name": "Ann", "by__tags": '["x"]'}),
    ],
)
def test_records_inside(kafka, topic, root, nested, expected):
    inner = record(("name", "string"), ("tags", {"type": "array", "items": "string"}), name="person")
    schema = record(("by", ["null", inner]))
    kafka.produce(topic, [avro(schema, {"by": {"name": "Ann", "tags": ["x"]}}), avro(schema, {"by": None})])
    mapping = source(kafka, topic, value_format="avro", avro_schema=schema, nested=nested)
    first, second = read(mapping, root).table(list(expected)).to_pylist()
    assert first == expected
    assert set(second.values()) == {None}


def test_a_type_that_holds_itself_is_text(kafka, topic, root):
    schema = record(("v", "int"), ("next", ["null", "node"]), name="node")
    kafka.produce(topic, [avro(schema, {"v": 1, "next": {"v": 2, "next": None}})])
    mapping = source(kafka, topic, value_format="avro", avro_schema=schema, nested="json")
    assert read(mapping, root).table(["next"]).to_pylist() == [{"next": '{"v":2,"next":null}'}]


def test_a_schema_may_stand_in_a_file_and_need_not_be_a_record(kafka, topic, root, tmp_path):
    path = tmp_path / "price.avsc"
    path.write_text('"double"')
    kafka.produce(topic, [avro("double", 1.5)])
    mapping = source(kafka, topic, value_format="avro", avro_schema=str(path))
    assert read(mapping, root).table(["value"]).to_pylist() == [{"value": 1.5}]


@pytest.mark.parametrize("schema", ["nowhere.avsc", {"type": "nonsense"}, "[1"])
def test_a_schema_that_cannot_be_read(kafka, topic, root, schema):
    kafka.produce(topic, [{"value": b""}])
    with pytest.raises(ConfigError, match="avro_schema: cannot be read"):
        read(source(kafka, topic, value_format="avro", avro_schema=schema), root)


def test_bytes_that_are_not_of_the_schema_are_quarantined(kafka, topic, root):
    schema = record(("id", "long"), ("name", "string"))
    good = avro(schema, {"id": 1, "name": "a"})
    bad = [{"value": b"\xff" * 40}, {"value": b""}, {"value": good["value"] + b"x"}, {"value": b"\x02\x63abc"}]
    kafka.produce(topic, [good, *bad, {"value": None, "key": b"k"}])
    artifact = read(source(kafka, topic, value_format="avro", avro_schema=schema), root)
    assert counts(artifact) == (6, 2, 4, 0)
    reasons = [reason for reason, _ in quarantined(artifact)]
    assert all("not of the schema" in reason or "longer than" in reason for reason in reasons)


# ------------------------------------------------------------------ a registry

OLD = record(("id", "long"))
NEW = {**OLD, "fields": [*OLD["fields"], {"name": "note", "type": "string", "default": "none"}]}


def test_values_are_read_as_the_newest_schema_of_the_moment_of_the_plan(kafka, topic, root):
    latest = {f"{topic}-value": 2}
    with json_api(registry({1: OLD, 2: NEW, 3: OLD}, latest)) as api:
        mapping = source(kafka, topic, value_format="avro", schema_registry=api.url)
        kafka.produce(topic, [avro(OLD, {"id": 1}, 1), avro(NEW, {"id": 2, "note": "x"}, 2), avro(OLD, {"id": 3}, 9)])
        artifact = read(mapping, root, run("a"))
        assert artifact.table(["id", "note"]).to_pylist() == [{"id": 1, "note": "none"}, {"id": 2, "note": "x"}]
        [(reason, _)] = quarantined(artifact)
        assert "schema 9 is not in the registry" in reason
        assert sum(request.path == "/schemas/ids/1" for request in api.requests) == 1
    with json_api(registry({1: OLD, 2: NEW, 3: OLD}, {f"{topic}-value": 3})) as api:
        again = read({**mapping, "schema_registry": api.url}, root, run("a"))
        assert again.fingerprint == artifact.fingerprint, "the plan has the number of the schema"


def test_an_empty_topic_has_the_columns_of_the_registrys_schema(kafka, topic, root):
    kafka.produce(topic, [avro(OLD, {"id": 1}, 1)])
    with json_api(registry({1: OLD}, {f"{topic}-value": 1})) as api:
        mapping = source(kafka, topic, value_format="avro", schema_registry=api.url, start="latest")
        artifact = read(mapping, root)
    assert (artifact.manifest.rows, str(artifact.schema.field("id").type)) == (0, "int64")


def test_without_a_subject_the_columns_are_told_from_the_values(kafka, topic, root):
    kafka.produce(topic, [avro(OLD, {"id": 1}, 1), avro(NEW, {"id": 2, "note": "x"}, 2)])
    with json_api(registry({1: OLD, 2: NEW}, {})) as api:
        found = read(source(kafka, topic, value_format="avro", schema_registry=api.url), root)
    assert found.table(["id", "note"]).to_pylist() == [{"id": 1, "note": None}, {"id": 2, "note": "x"}]


def test_a_schema_of_the_configuration_comes_first(kafka, topic, root):
    kafka.produce(topic, [avro(NEW, {"id": 2, "note": "x"}, 2)])
    with json_api(registry({2: NEW}, {})) as api:
        mapping = source(kafka, topic, value_format="avro", schema_registry=api.url, avro_schema=OLD)
        assert "note" not in read(mapping, root).schema.names


def test_json_behind_a_schemas_number_is_json(kafka, topic, root):
    kafka.produce(topic, [{"value": b'\0\0\0\0\7{"id": 1}'}])
    assert read(source(kafka, topic), root).table(["id"]).to_pylist() == [{"id": 1}]


def test_values_without_a_number_are_quarantined(kafka, topic, root):
    kafka.produce(topic, [avro(OLD, {"id": 1}), {"value": b"\0\0"}])
    with json_api(registry({}, {})) as api:
        artifact = read(source(kafka, topic, value_format="avro", schema_registry=api.url), root)
    assert counts(artifact) == (2, 0, 2, 0)
    assert all("does not begin with the number of a schema" in reason for reason, _ in quarantined(artifact))


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Answer("busy", status=503), SourceUnavailableError), (Answer({}, status=401), SourceRejectedError),
     (Answer("<html>"), SourceRejectedError), (Answer(status=0), SourceUnavailableError)],
    ids=["503", "401", "HTML", "hangs up"],
)  # fmt: skip
def test_a_registry_that_does_not_answer_as_it_should(kafka, topic, root, answer, error):
    kafka.produce(topic, [avro(OLD, {"id": 1}, 1)])
    with json_api({f"/subjects/{topic}-value/versions/latest": answer}) as api, pytest.raises(error):
        read(source(kafka, topic, value_format="avro", schema_registry=api.url), root)


def test_the_registry_is_asked_with_its_own_password(kafka, topic, root):
    kafka.produce(topic, [avro(OLD, {"id": 1}, 1)])
    with json_api(registry({1: OLD}, {f"{topic}-value": 1})) as api:
        who = {"url": api.url, "username": "ann", "password": PASSWORD}
        artifact = read(source(kafka, topic, value_format="avro", schema_registry=who), root)
        sent = {request.headers["Authorization"] for request in api.requests}
    assert sent == {f"Basic {b64encode(f'ann:{PASSWORD}'.encode()).decode()}"}
    assert PASSWORD not in artifact.manifest.to_json().decode()
