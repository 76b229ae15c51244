"""From messages to rows: what the value holds, and beside it where the message stood."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.ingestion.conversion import ColumnType
from airflow_provider_mlpipe.ingestion.detection import Frame
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable
from airflow_provider_mlpipe.ingestion.kafka.avro import columns_of
from airflow_provider_mlpipe.ingestion.kafka.registry import HEAD, MAGIC, Registry, UnknownSchema
from airflow_provider_mlpipe.ingestion.nesting import flattened
from airflow_provider_mlpipe.ingestion.records import parsed
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    from airflow_provider_mlpipe.config import Configured, KafkaSource, Source

__all__ = ["Decoder", "declared_schema", "decoder_of", "message_columns", "position"]

PREFIX = "_kafka_"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Decode = Callable[[bytes], Mapping[str, Any]]


class Undecodable(Exception):  # noqa: N818 - it never leaves the package
    """A message that is not what the configuration says; the text says why."""


def message_columns(key_format: str) -> list[ColumnType]:
    """Return the columns that every message has, whatever its value."""
    import pyarrow as pa

    headers = pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.binary())]))
    kinds = {
        "topic": pa.string(), "partition": pa.int32(), "offset": pa.int64(), "timestamp": pa.timestamp("us", "UTC"),
        "key": pa.string() if key_format == "string" else pa.binary(), "tombstone": pa.bool_(),
    }  # fmt: skip
    columns = [ColumnType(PREFIX + name, kind) for name, kind in kinds.items()]
    return [*columns, ColumnType(f"{PREFIX}headers", headers, fit=lambda value: value)]


def position(topic: str, partition: int, offset: int) -> str:
    """Return how a message is named in a quarantine."""
    return f"{topic}/{partition}/{offset}"


@dataclass
class Decoder:
    """Makes frames of messages.

    Attributes:
        decode: from a value to a row.
        key_format: ``string`` or ``raw``.
        columns: of the values, if something declares them.
        valued: whether any message had a value so far.
    """

    decode: Decode
    key_format: str
    columns: list[ColumnType] | None = None
    valued: bool = False

    def frame(self, messages: list[Any]) -> Frame:
        """Return the messages as rows, and those that cannot be read."""
        records: list[Mapping[str, Any]] = []
        rejected: list[Rejected] = []
        for message in messages:
            try:
                records.append(self._record(message))
            except Undecodable as error:
                rejected.append(_rejected(message, str(error)))
        names = dict.fromkeys(name for record in records for name in record)
        return Frame(len(records), {name: [record.get(name) for record in records] for name in names}, rejected)

    def _record(self, message: Any) -> dict[str, Any]:  # noqa: ANN401 - confluent_kafka has no types
        about = _about(message, self.key_format)
        content = message.value()
        if content is None:
            return about
        record = self.decode(content)
        clash = next((name for name in record if name in about), None)
        if clash is not None:
            raise Undecodable(f"its value has a field {clash!r}, which is a column of ours")
        self.valued = True
        return {**record, **about}


def _about(message: Any, key_format: str) -> dict[str, Any]:  # noqa: ANN401
    key = message.key()
    if key_format == "string" and key is not None:
        try:
            key = key.decode()
        except UnicodeDecodeError:
            raise Undecodable("its key is not UTF-8; set key_format: raw") from None
    try:
        kind, milliseconds = message.timestamp()
        moment = None if kind == 0 else _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise Undecodable("its timestamp is beyond the year 9999") from None
    headers = message.headers()
    return {
        f"{PREFIX}topic": message.topic(),
        f"{PREFIX}partition": message.partition(),
        f"{PREFIX}offset": message.offset(),
        f"{PREFIX}timestamp": moment,
        f"{PREFIX}key": key,
        f"{PREFIX}tombstone": message.value() is None,
        f"{PREFIX}headers": headers and [{"key": name, "value": _bytes(value)} for name, value in headers],
    }


def _bytes(value: Any) -> bytes | None:  # noqa: ANN401 - of a header
    return value.encode() if isinstance(value, str) else value


def _rejected(message: Any, reason: str) -> Rejected:  # noqa: ANN401
    where = position(message.topic(), message.partition(), message.offset())
    row = {
        f"{PREFIX}topic": message.topic(), f"{PREFIX}partition": message.partition(),
        f"{PREFIX}offset": message.offset(), f"{PREFIX}timestamp": message.timestamp()[1],
        f"{PREFIX}key": _shown(message.key()), "value": _shown(message.value()),
    }  # fmt: skip
    return Rejected(f"{where}: {reason}", row, rule="record", position=where)


def _shown(content: bytes | None) -> Any:  # noqa: ANN401 - text if it is, else bytes
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return content


# ------------------------------------------------------------------ what a value holds


def decoder_of(
    source: Configured[Source], model: KafkaSource, registry: Registry | None, schemas: Mapping[str, int]
) -> Decoder:
    """Return what decodes the values of a source.

    Args:
        source: the configured source, for messages.
        model: its content.
        registry: where the schemas are.
        schemas: numbers of the plan's schemas, by topic.

    Raises:
        ConfigError: the Avro schema cannot be read.
    """
    import pyarrow as pa

    if model.value_format == "raw":
        return Decoder(lambda content: {"value": content}, model.key_format, [ColumnType("value", pa.binary())])
    if model.value_format == "json":
        flat = model.nested == "flatten"
        return Decoder(lambda content: _json(content, flat=flat), model.key_format)
    return _avro_decoder(source, model, registry, schemas)


def _json(content: bytes, *, flat: bool) -> Mapping[str, Any]:
    # JSON text cannot begin with a zero byte; what registries put before it is not needed to read it.
    body = content[HEAD:] if content[:1] == b"\0" else content
    try:
        record = parsed(body)
    except ValueError as error:
        raise Undecodable(f"its value is no JSON: {error}") from None
    if not isinstance(record, dict):
        raise Undecodable(f"its value is a {type(record).__name__}, not an object")
    return _flat(record) if flat else record


def _flat(record: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return flattened(record)
    except Unreadable as error:  # one such message must not hold up all others
        raise Undecodable(str(error)) from None


def _avro_decoder(
    source: Configured[Source], model: KafkaSource, registry: Registry | None, schemas: Mapping[str, int]
) -> Decoder:
    import fastavro

    declared = declared_schema(source, model)
    if declared is None and registry is not None and len(set(schemas.values())) == 1:
        declared = registry.schema(next(iter(schemas.values())))
    try:
        wanted = None if declared is None else fastavro.parse_schema(declared)
    except Exception as error:  # a schema may be wrong in any way, and each raises another class
        raise _wrong_schema(source, str(error)) from error
    nested = model.nested or "struct"
    read = _Avro(wanted, registry, flat=nested == "flatten")
    return Decoder(read, model.key_format, None if wanted is None else columns_of(wanted, nested=nested))


class _Avro:
    """Reads values as `wanted`, by the schema that they were written with."""

    def __init__(self, wanted: Any, registry: Registry | None, *, flat: bool) -> None:  # noqa: ANN401 - a parsed schema
        self._wanted, self._registry, self._flat = wanted, registry, flat
        self._written: dict[int, Any] = {}

    def __call__(self, content: bytes) -> Mapping[str, Any]:
        import fastavro

        written, body = self._wanted, content
        if self._registry is not None:
            written, body = self._framed(content, self._registry)
        stream = io.BytesIO(body)
        try:
            found = fastavro.schemaless_reader(stream, written, self._wanted)
        except Exception as error:  # noqa: BLE001 - bytes that are not Avro raise whatever they lead to
            raise Undecodable(f"its value is not of the schema: {type(error).__name__}: {error}") from None
        if stream.read(1):
            raise Undecodable("its value is longer than the schema says")
        if not isinstance(found, dict):
            return {"value": found}
        return _flat(found) if self._flat else found

    def _framed(self, content: bytes, registry: Registry) -> tuple[Any, bytes]:
        import fastavro

        if len(content) < HEAD or content[0] != MAGIC:
            raise Undecodable("its value does not begin with the number of a schema")
        number = int.from_bytes(content[1:HEAD], "big")
        if number not in self._written:
            try:
                self._written[number] = fastavro.parse_schema(registry.schema(number))
            except UnknownSchema as error:
                raise Undecodable(str(error)) from None
            except (Overloaded, Unreadable):
                raise
            except fastavro.schema.SchemaParseException as error:
                raise Undecodable(f"schema {number} cannot be read: {error}") from None
        return self._written[number], content[HEAD:]


def declared_schema(source: Configured[Source], model: KafkaSource) -> Any:  # noqa: ANN401 - any JSON
    """Return the Avro schema of the configuration, read from its file if it names one; None if there is none.

    Raises:
        ConfigError: the file is not there, or holds no JSON.
    """
    given = model.avro_schema
    if not isinstance(given, str):
        return given
    text = given.strip()
    try:
        if not text.startswith(("{", "[", '"')):
            beside = Path(source.document.name).parent / text
            text = (beside if beside.is_file() else Path(text)).read_text(encoding="utf-8")
        return json.loads(text)
    except (OSError, ValueError) as error:
        raise _wrong_schema(source, str(error)) from error


def _wrong_schema(source: Configured[Source], problem: str) -> ConfigError:
    return ConfigError.invalid(
        where=source.where("avro_schema"),
        key="avro_schema",
        problem=f"cannot be read: {problem}",
        hint="Give an Avro schema (inline, or the path of a file that holds one).",
    )
