"""Topics as a source: the plan, the messages, and the group's commit after everything is published."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import ConfigError, SourceUnavailableError
from airflow_provider_mlpipe.ingestion.connection import kafka_secrets
from airflow_provider_mlpipe.ingestion.conversion import convert, schema_of
from airflow_provider_mlpipe.ingestion.detection import Frame, detected
from airflow_provider_mlpipe.ingestion.failures import Overloaded, Unreadable
from airflow_provider_mlpipe.ingestion.kafka.client import KafkaClient
from airflow_provider_mlpipe.ingestion.kafka.decoding import PREFIX, decoder_of, message_columns, position
from airflow_provider_mlpipe.ingestion.kafka.ledger import DETAIL, Ledger
from airflow_provider_mlpipe.ingestion.kafka.planning import Planner
from airflow_provider_mlpipe.ingestion.kafka.reading import Reading
from airflow_provider_mlpipe.ingestion.kafka.registry import Registry
from airflow_provider_mlpipe.ingestion.records import expected_columns
from airflow_provider_mlpipe.ingestion.stream import Chunk, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import Configured, KafkaSource, Source
    from airflow_provider_mlpipe.ingestion.connection import Connection
    from airflow_provider_mlpipe.ingestion.kafka.decoding import Decoder
    from airflow_provider_mlpipe.ingestion.kafka.plan import Plan
    from airflow_provider_mlpipe.ingestion.kafka.planning import Planned
    from airflow_provider_mlpipe.run import Run

__all__ = ["KafkaReader"]

logger = logging.getLogger(__name__)


class KafkaReader:
    """Reads the offsets of one run.

    Args:
        source: the configured source.
        model: its content.
        connection: settings resolved from an Airflow connection.
        stage: the folder of the dataset's raw partitions: the manifests there say what is read already.
        run: who reads.
        as_of: the end of the interval, instead of the run's.

    Raises:
        ConfigError: nothing says where the brokers are, or the client is not installed.
    """

    def __init__(
        self,
        source: Configured[Source],
        model: KafkaSource,
        connection: Connection,
        *,
        stage: Storage | None,
        run: Run,
        as_of: datetime | None = None,
    ) -> None:
        self._source, self._model, self._run, self._as_of = source, model, run, as_of
        self._connection = connection
        self._require_client()
        self._settings = self._properties()
        if stage is None:
            raise ConfigError.invalid(
                where=source.where("type"),
                key="type",
                problem="a topic is read into artifacts, whose manifests say which offsets are read, not into a file",
                hint="Use ingest(), mlpipe ingest or SourceIngestOperator.",
            )
        self._ledger = Ledger(stage, run.partition)

    @property
    def location(self) -> str:
        """Brokers and topics."""
        return f"kafka://{self._settings['bootstrap.servers']}/{','.join(self._model.topic)}"

    @property
    def secrets(self) -> frozenset[str]:
        """Passwords and keys of the connection and the registry, and every setting's value that is text."""
        registry = self._model.schema_registry
        settings = {name: value.get_secret_value() for name, value in self._model.settings.items()}
        found = set(kafka_secrets(settings))
        if registry is not None and registry.password is not None:
            found.add(registry.password.get_secret_value())
        return frozenset(filter(None, found | self._connection.secrets))

    def _require_client(self) -> None:
        needed = {
            "confluent_kafka": "type",
            **({"fastavro": "value_format"} if self._model.value_format == "avro" else {}),
        }
        for name, key in needed.items():
            if find_spec(name) is None:
                raise ConfigError.invalid(
                    where=self._source.where(key),
                    key=key,
                    problem=f"{name.replace('_', '-')} is not installed",
                    hint="pip install 'airflow-provider-mlpipe[kafka]'",
                )

    def _properties(self) -> dict[str, Any]:
        given = {name: value.get_secret_value() for name, value in self._model.settings.items()}
        found = {**self._connection.kafka, **given}
        servers = found.get("bootstrap.servers") or self._model.bootstrap_servers
        if not servers:
            conn_id = self._model.conn_id
            raise ConfigError.invalid(
                where=self._source.where("conn_id"),
                key=f"source {self._source.name!r}",
                problem="nothing says where the brokers are" if conn_id is None
                else f"the connection {conn_id!r} is Airflow's, and nobody resolved it here",
                hint="Set bootstrap_servers, or run it through SourceIngestOperator with conn_id.",
            )  # fmt: skip
        return {**found, "bootstrap.servers": servers}

    @contextmanager
    def open(self) -> Iterator[Stream]:
        """Plan, read, and when that is published tell the group.

        Whoever publishes does it while the context lasts: it is left without an error only after that.
        """
        model = self._model
        registry = None if model.schema_registry is None else Registry(model.schema_registry)
        client = KafkaClient(self._settings, group=model.group_id, timeout=model.timeout_seconds)
        try:
            planned = self._planned(client, registry)
            decoder = decoder_of(self._source, model, registry, planned.plan.schemas)
            reading = Reading(
                client, planned.plan, timeout=model.timeout_seconds, skip=model.on_gap == "skip",
                seconds=None if planned.origin == "published" else model.max_seconds,
            )  # fmt: skip
            with self._stream(reading, decoder, planned) as stream:
                yield stream
            self._commit(client, planned.plan.until(reading.reached))
        finally:
            client.close()
            if registry is not None:
                registry.close()

    def _planned(self, client: KafkaClient, registry: Registry | None) -> Planned:
        def schemas() -> dict[str, int]:
            if registry is None or self._model.avro_schema is not None or self._model.value_format != "avro":
                return {}
            found = {topic: registry.latest(f"{topic}-value") for topic in self._model.topic}
            return {topic: number for topic, number in found.items() if number is not None}

        return Planner(
            self._source, self._model, client, self._ledger, self._run, as_of=self._as_of, schemas=schemas
        ).planned()

    @contextmanager
    def _stream(self, reading: Reading, decoder: Decoder, planned: Planned) -> Iterator[Stream]:
        about = message_columns(self._model.key_format)
        frames = self._frames(reading, decoder)
        if decoder.columns is not None:
            columns = [*decoder.columns, *about]
            chunks = (_chunk(columns, frame) for frame in frames)
            stream = Stream(schema_of(columns), chunks)
            stream.chunks = self._closing(stream, chunks, reading, planned)
            yield stream
            return
        order = [self._theirs(name) for name in self._model.types]
        with detected(frames, about, order, structs=self._model.nested == "struct") as stream:
            stream.chunks = self._closing(stream, stream.chunks, reading, planned)
            yield stream

    def _theirs(self, ours: str) -> str:
        return self._model.columns.get(ours, ours) or ours

    def _frames(self, reading: Reading, decoder: Decoder) -> Iterator[Frame]:
        for messages in reading.batches(self._model.batch_size):
            yield decoder.frame(messages)
        if not decoder.valued and decoder.columns is None:  # no value tells the columns: the configuration does
            own = {column.name for column in message_columns(self._model.key_format)}
            yield Frame(0, {name: [] for name in expected_columns(self._model) if name not in own})

    def _closing(self, stream: Stream, chunks: Iterator[Chunk], reading: Reading, planned: Planned) -> Iterator[Chunk]:
        """Give the chunks, then say what was read; refuse it if somebody else published it meanwhile."""
        messages = 0
        for chunk in chunks:
            messages += chunk.batch.num_rows + len(chunk.rejected)
            yield replace(chunk, rejected=tuple(_placed(item) for item in chunk.rejected))
        plan = planned.plan.until(reading.reached)
        self._refuse_twice(plan)
        left = planned.lag + planned.plan.size - plan.size
        skipped = {**planned.skipped, **reading.skipped}
        stream.counts.update(offsets_read=plan.size, lag=left)
        stream.details[DETAIL] = {
            "plan": plan.as_dict(),
            "origin": planned.origin,
            "skipped": {f"{topic}/{partition}": count for (topic, partition), count in sorted(skipped.items())},
            # Compaction, the markers of transactions, aborted transactions.
            "offsets_without_message": plan.size - messages - sum(reading.skipped.values()),
        }

    def _refuse_twice(self, plan: Plan) -> None:
        for name, other in self._ledger.others().items():
            span = plan.overlap(other)
            if span is not None:
                raise SourceUnavailableError(
                    f"source {self._source.name!r}: {span} was published by the run of partition {name!r} while this "
                    "run read it",
                    hint="Nothing was published. A retry plans anew. Set max_active_runs=1, so that runs wait for each "
                    "other.",
                    source=self._source.name,
                )

    def _commit(self, client: KafkaClient, plan: Plan) -> None:
        """Tell the group, forward only. The manifest is the truth: what goes wrong here changes nothing."""
        group = self._model.group_id
        if group is None:
            return
        try:
            committed = client.committed(group, [span.place for span in plan.spans])
            news = {span.place: span.end for span in plan.spans if span.end > committed.get(span.place, -1)}
            if news:
                client.commit(news)
        except (Overloaded, Unreadable) as error:
            logger.warning(
                "source %s: published, but the offsets of group %r could not be committed: %s. The manifest says how "
                "far it is; the next run goes on from there",
                self._source.name, group, error,
            )  # fmt: skip


def _chunk(columns: list[Any], frame: Frame) -> Chunk:
    found = convert(columns, frame.values, frame.rows)
    return Chunk(found.batch, (*frame.rejected, *found.rejected))


def _placed(item: Any) -> Any:  # noqa: ANN401 - a Rejected
    """Say where a message stands that was decoded, and whose values do not fit."""
    names = [f"{PREFIX}{name}" for name in ("topic", "partition", "offset")]
    if item.position or not all(name in item.row for name in names):
        return item
    return replace(item, position=position(*(item.row[name] for name in names)))
