"""docs/how-to/ingestion-streaming.md is true: its YAML loads, and its tables say what topics become."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.config.kafka import OURS
from airflow_provider_mlpipe.ingestion.kafka.decoding import message_columns
from airflow_provider_mlpipe.ingestion.kafka.ledger import PLAN
from airflow_provider_mlpipe.observability.metrics import REGISTRY
from tests.docs.howto import inline, page, sources
from tests.ingestion.kafka_support import run, source, topic, values
from tests.ingestion.support import read

if TYPE_CHECKING:
    from tests.broker import KafkaBroker

__all__ = ["topic"]

ROOT = Path(__file__).parents[2]
PAGE = page("ingestion-streaming")
SOURCES = sources(PAGE)


@pytest.mark.parametrize(("name", "source"), SOURCES, ids=[name for name, _ in SOURCES])
def test_the_examples_are_configuration(name: str, source: dict[str, Any]) -> None:
    assert config.source({"sources": {name: source}}, name).model.type == "kafka"


def test_the_places_to_start_and_the_policies_exist() -> None:
    [row] = re.findall(r"^\| `start` \| (.+) \|$", PAGE, flags=re.MULTILINE)
    starts = re.findall(r"`([^`]+)`", row)
    policies = re.findall(r"`(on_\w+: \w+|key_format: \w+|nested: \w+|partitions: \[[^`]+\])`", PAGE)
    assert len(starts) == 4
    assert len(policies) >= 5
    for given in [*({"start": inline(start)} for start in starts), *map(inline, policies)]:
        config.source({"type": "kafka", "topic": "t", **given}, "things")


def test_the_columns_of_every_message() -> None:
    said = dict(re.findall(r"^\| `(_kafka_\w+)` \| `([^`]+)` \|", PAGE, flags=re.MULTILINE))
    assert said == {column.name: str(column.kind) for column in message_columns("string")}


def test_what_the_page_calls_by_name() -> None:
    assert f"`{PLAN}`" in PAGE
    assert {"offsets_read", "lag"} <= set(REGISTRY)
    assert {"group.id", "enable.auto.commit"} <= OURS
    assert (ROOT / "dags" / "kafka_event_driven.py").exists()
    for extra in re.findall(r"'(\{\"bootstrap.*?\})'", PAGE, flags=re.DOTALL):
        assert json.loads(extra)["bootstrap.servers"]


def test_the_latest_state_by_key_with_the_columns_of_earlier_runs(kafka: KafkaBroker, topic: str, root: Any) -> None:
    given = dict(SOURCES)["customers"] | source(kafka, topic)
    kafka.produce(
        topic,
        [*values({"name": "Ann"}, key="1"), *values({"name": "Anne"}, key="1"), {"value": None, "key": b"2"}],
    )
    first = read(given, root, run("a")).table(["_kafka_key", "name", "_kafka_tombstone"]).to_pylist()
    assert sorted(map(tuple, map(dict.values, first))) == [("1", "Anne", False), ("2", None, True)]
    empty = read(given, root, run("b"))
    assert (empty.manifest.rows, "name" in empty.schema.names) == (0, True)
