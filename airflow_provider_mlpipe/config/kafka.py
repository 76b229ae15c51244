"""How Kafka topics are read: which offsets, and what the messages hold. Part of ``ingestion_config.yaml``."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads annotations at run time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, model_validator

from airflow_provider_mlpipe.config.section import Section

__all__ = ["OURS", "KafkaOptions", "SchemaRegistry", "StartAtOffsets", "StartAtTime"]

OURS = frozenset(
    ["bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset",
     "enable.partition.eof", "isolation.level"]
)  # fmt: skip
"""librdkafka's properties that decide which offsets are read, and which are therefore not settings."""


class StartAtTime(Section):
    """Begin with the first message of this time or later.

    Attributes:
        timestamp: ISO 8601; UTC unless it says otherwise.
    """

    timestamp: datetime


class StartAtOffsets(Section):
    """Begin at these offsets.

    Attributes:
        offsets: by partition; a partition that is not named begins with its oldest message.
    """

    offsets: dict[NonNegativeInt, NonNegativeInt] = Field(min_length=1)


class SchemaRegistry(Section):
    """Where the Avro schemas are that messages name by number (Confluent's wire format).

    Attributes:
        url: of the registry, or of whatever speaks its API.
        username: for HTTP basic authentication.
        password: for HTTP basic authentication.
        timeout_seconds: per request.
    """

    url: str = Field(pattern=r"^https?://")
    username: str | None = None
    password: SecretStr | None = None
    timeout_seconds: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _both(self) -> SchemaRegistry:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


def _registry_by_url(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
    return {"url": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
    return [value] if isinstance(value, str) else value


def _texts(value: Any) -> Any:  # noqa: ANN401 - whatever stands in the YAML
    """Write numbers and truth values as librdkafka takes them."""
    if not isinstance(value, dict):
        return value
    return {
        name: str(item).lower() if isinstance(item, bool) else str(item) if isinstance(item, (int, float)) else item
        for name, item in value.items()
    }


_Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._\-]{1,249}$")]


class KafkaOptions(Section):
    """What a Kafka source has beside what every source has.

    Attributes:
        topic: a topic, or a list of topics.
        bootstrap_servers: ``host:port``, several separated by commas; or `conn_id`.
        conn_id: the Airflow connection of type ``kafka`` (operators only); its extra is the client's configuration.
        partitions: only these partitions of every topic; all if absent.
        group_id: the consumer group that is told how far the published runs have come. It also says where the first run
            begins. Nobody else may be a member of it.
        start: where the first run begins, if neither an earlier run nor `group_id` says it: ``earliest``, ``latest``,
            ``{timestamp: 2026-01-13T02:00:00Z}`` or ``{offsets: {0: 1200}}``.
        end: ``latest``: a run reads from where the newest published run ended to what is there when it is planned.
            ``interval``: a run reads the messages of its data interval, by their timestamps, so that days can be
            backfilled in any order.
        max_records: offsets to plan at most, shared between the partitions; the rest is the next run's.
        max_seconds: stop reading after this long; the rest is the next run's.
        value_format: ``json`` (an object per message), ``avro``, or ``raw`` (one column ``value`` of bytes).
        key_format: ``string`` (UTF-8) or ``raw`` (bytes).
        avro_schema: the schema to read Avro values as: inline, or the path of a file, seen from the configuration.
        schema_registry: the address of a schema registry, or its keys.
        nested: what becomes of objects and lists inside messages: ``json`` text, ``struct`` columns, or ``flatten``;
            ``json`` for JSON values, ``struct`` for Avro values if absent.
        on_gap: messages of the plan were deleted by the topic's retention: ``fail``, or ``skip`` them and say so.
        on_recreated: the topic ends before where the last run ended, so it was deleted and made again: ``fail``, or
            ``restart`` with its oldest message.
        settings: further properties of librdkafka, e.g. ``security.protocol``; passwords and keys never appear in logs.
        timeout_seconds: for an answer of a broker, and for the next message of the plan.
    """

    topic: Annotated[
        list[_Topic], BeforeValidator(_listed, json_schema_input_type=_Topic | list[_Topic]), Field(min_length=1)
    ]
    bootstrap_servers: str | None = None
    conn_id: str | None = None
    partitions: list[NonNegativeInt] | None = Field(default=None, min_length=1)
    group_id: str | None = Field(default=None, min_length=1)
    start: Literal["earliest", "latest"] | StartAtTime | StartAtOffsets | None = None
    end: Literal["latest", "interval"] = "latest"
    max_records: PositiveInt | None = None
    max_seconds: PositiveFloat | None = None
    value_format: Literal["json", "avro", "raw"] = "json"
    key_format: Literal["string", "raw"] = "string"
    avro_schema: dict[str, Any] | list[Any] | str | None = None
    schema_registry: Annotated[
        SchemaRegistry | None, BeforeValidator(_registry_by_url, json_schema_input_type=str | SchemaRegistry)
    ] = None
    nested: Literal["json", "struct", "flatten"] | None = None
    on_gap: Literal["fail", "skip"] = "fail"
    on_recreated: Literal["fail", "restart"] = "fail"
    settings: Annotated[
        dict[str, SecretStr], BeforeValidator(_texts, json_schema_input_type=dict[str, str | int | float | bool])
    ] = {}
    timeout_seconds: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _whole_intervals(self) -> KafkaOptions:
        if self.end == "interval" and (self.max_records or self.max_seconds or self.start):
            raise ValueError(
                "end: interval reads all messages of the interval; start, max_records and max_seconds do not apply"
            )
        if isinstance(self.start, StartAtOffsets) and len(self.topic) > 1:
            raise ValueError("start: {offsets: ...} is for one topic")
        return self

    @model_validator(mode="after")
    def _readable(self) -> KafkaOptions:
        if self.value_format == "avro" and self.avro_schema is None and self.schema_registry is None:
            raise ValueError("value_format: avro needs avro_schema or schema_registry")
        if self.value_format != "avro" and self.avro_schema is not None:
            raise ValueError("avro_schema goes with value_format: avro")
        return self

    @model_validator(mode="after")
    def _no_other_way(self) -> KafkaOptions:
        taken = sorted(OURS & set(self.settings))
        if taken:
            raise ValueError(f"{', '.join(taken)} is not a setting: bootstrap_servers, group_id and start decide that")
        if getattr(self, "incremental", None) is not None:
            raise ValueError("incremental is not for topics: offsets decide what is read; see start and end")
        return self
