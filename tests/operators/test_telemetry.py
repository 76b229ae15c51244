"""What a stage measured goes to Airflow's metrics: as gauges, by names and tags that Airflow and its backends take.

The sockets are real: StatsD's datagrams and OpenTelemetry's export arrive in this process, sent by tasks that run in
processes of their own (`tests.operators.observed`).
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe.observability import REGISTRY
from airflow_provider_mlpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operators.observed import Observed

RUN = Run(dag_id="my.dag", task_id="group.ingest", run_id="manual__2026-01-14")
TAGS = "dataset=users,dag_id=my.dag,task_id=group.ingest"


@pytest.fixture
def stats() -> Iterator[Any]:
    """Airflow's metrics, to be set up; afterwards as in a process that has none."""
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    yield stats
    if hasattr(stats._backend, "statsd"):
        stats._backend.statsd.close()
    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """A StatsD server's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        yield listening


def statsd(receiver: socket.socket) -> Any:
    """Return what makes Airflow's own StatsD logger, InfluxDB's tags on."""
    from airflow.sdk._shared.observability.metrics.statsd_logger import get_statsd_logger
    from statsd import StatsClient

    host, port = receiver.getsockname()
    return lambda: get_statsd_logger(
        stats_class=StatsClient, host=host, port=port, prefix="airflow", influxdb_tags_enabled=True,
        statsd_influxdb_enabled=True,
    )  # fmt: skip


def test_every_metric_of_the_registry_passes_airflows_own_validators(stats: Any, receiver: socket.socket) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    stats.initialize(factory=statsd(receiver), export_legacy_names=True)
    for stage in ("ingest", "validate", "extract", "materialize", "train"):
        names = [name for name, metric in REGISTRY.items() if metric.stage in {stage, "any"}]
        emit(dict.fromkeys(names, 1), stage=stage, dataset="users", run=RUN)

        sent = [receiver.recv(65_535).decode() for _ in names]
        assert sorted(sent) == sorted(f"airflow.mlpipe.{stage}.{name},{TAGS}:1|g" for name in names)


def test_opentelemetry_takes_the_names_too() -> None:
    from airflow.sdk._shared.observability.metrics.otel_logger import name_is_otel_safe

    assert all(name_is_otel_safe("airflow", f"mlpipe.materialize.{name}") for name in REGISTRY)


def test_a_tag_that_a_backend_would_refuse_is_made_one_that_it_takes(stats: Any, receiver: socket.socket) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    stats.initialize(factory=statsd(receiver), export_legacy_names=False)
    emit({"records_read": 7}, stage="ingest", dataset="a,b=c d", run=Run(dag_id="däg", task_id="t"))

    assert receiver.recv(65_535) == b"airflow.mlpipe.ingest.records_read,dataset=a_b_c_d,dag_id=d_g,task_id=t:7|g"


def test_a_mapped_task_is_told_from_the_others_by_its_index(stats: Any, receiver: socket.socket) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    stats.initialize(factory=statsd(receiver), export_legacy_names=False)
    for index in range(2):
        emit({"records_read": 7 + index}, stage="ingest", dataset="users", run=replace(RUN, map_index=index))

        told = f"airflow.mlpipe.ingest.records_read,{TAGS},map_index={index}:{7 + index}|g"
        assert receiver.recv(65_535).decode() == told


def test_what_is_no_number_of_ours_is_not_sent(stats: Any, receiver: socket.socket) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    stats.initialize(factory=statsd(receiver), export_legacy_names=False)
    emit(
        {"records_read": float("nan"), "retries": None, "pages": "3", "surprise": 1, "requests": 2},
        stage="ingest",
        dataset="users",
        run=RUN,
    )

    assert receiver.recv(65_535).startswith(b"airflow.mlpipe.ingest.requests,")


def test_without_metrics_nothing_happens(stats: Any) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    emit({"records_read": 7}, stage="ingest", dataset="users", run=RUN)


def test_a_backend_that_fails_fails_no_task(stats: Any, caplog: pytest.LogCaptureFixture) -> None:
    from airflow_provider_mlpipe.operators.telemetry import emit

    def unreachable() -> Any:
        raise RuntimeError("no route")

    stats.initialize(factory=unreachable, export_legacy_names=False)
    emit({"records_read": 7, "records_written": 7}, stage="ingest", dataset="users", run=RUN)

    assert [record.getMessage() for record in caplog.records] == [
        "Metrics were not sent: mlpipe.ingest.records_read and what follows"
    ]


# ------------------------------------------------------------------ real runs


@pytest.fixture(scope="module")
def seen() -> Observed:
    from tests.operators.observed import observed

    return observed()


@pytest.fixture(scope="module")
def gauges(seen: Observed) -> dict[str, float]:
    """What arrived at StatsD, as name with tags -> the last value."""
    found = (re.fullmatch(r"airflow\.(mlpipe\.[^:]+):([-\d.e]+)\|(\w+)", text) for text in seen.datagrams)
    matched = [match for match in found if match]
    assert {match[3] for match in matched} == {"g"}
    return {match[1]: float(match[2]) for match in matched}


@pytest.mark.slow
@pytest.mark.airflow
def test_statsd_receives_what_a_task_has_in_its_xcom(seen: Observed, gauges: dict[str, float]) -> None:
    for task, stage, dataset in (("people", "ingest", "people"), ("check", "validate", "people")):
        metrics = seen.runs["rejected"].xcom(task, "metrics")
        tags = f"dataset={dataset},dag_id=rejected,task_id={task}"

        assert len(metrics) > 8
        assert {name: gauges[f"mlpipe.{stage}.{name},{tags}"] for name in metrics} == metrics


@pytest.mark.slow
@pytest.mark.airflow
def test_rejected_data_is_counted_too(gauges: dict[str, float]) -> None:
    assert gauges["mlpipe.validate.errors,dataset=people,dag_id=rejected,task_id=check"] > 0


@pytest.mark.slow
@pytest.mark.airflow
def test_of_mapped_tasks_every_one_is_seen(seen: Observed, gauges: dict[str, float]) -> None:
    for index in range(3):
        metrics = seen.runs["mapped"].xcom(f"people[{index}]", "metrics")
        tags = f"dataset=people,dag_id=mapped,task_id=people,map_index={index}"

        assert {name: gauges[f"mlpipe.ingest.{name},{tags}"] for name in metrics} == metrics
    read = {
        gauges[f"mlpipe.ingest.records_read,dataset=people,dag_id=mapped,task_id=people,map_index={n}"]
        for n in range(3)
    }
    assert len(read) == 3


@pytest.mark.slow
@pytest.mark.airflow
def test_a_success_says_when_it_was_and_what_it_was_about(seen: Observed, gauges: dict[str, float]) -> None:
    for task, stage, dataset in (("people", "ingest", "kept"), ("check", "validate", "kept")):
        tags = f"dataset={dataset},dag_id=kept,task_id={task}"
        end = datetime.fromisoformat(seen.runs["kept"].interval[1]).timestamp()

        assert gauges[f"mlpipe.{stage}.last_success_as_of,{tags}"] == end
        assert seen.started <= gauges[f"mlpipe.{stage}.last_success_timestamp,{tags}"] <= time.time()


@pytest.mark.slow
@pytest.mark.airflow
def test_a_failure_is_no_success(gauges: dict[str, float]) -> None:
    rejected = {name for name in gauges if name.endswith("dag_id=rejected,task_id=check")}

    assert gauges["mlpipe.validate.rejected,dataset=people,dag_id=rejected,task_id=check"] == 1
    assert gauges["mlpipe.validate.rejected,dataset=kept,dag_id=kept,task_id=check"] == 0
    assert not {name for name in rejected if "last_success" in name}
    assert not {name for name in gauges if "dag_id=absent" in name}


@pytest.mark.slow
@pytest.mark.airflow
def test_opentelemetry_receives_gauges_with_the_same_names_and_tags(seen: Observed) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    points: dict[str, tuple[float, dict[str, str]]] = {}
    for post in seen.posts:
        if post.path != "/v1/metrics":
            continue
        for resource in ExportMetricsServiceRequest.FromString(post.content).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name.startswith("airflow.mlpipe."):
                    assert metric.WhichOneof("data") == "gauge"
                    (point,) = metric.gauge.data_points
                    value = point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
                    points[metric.name] = value, {tag.key: tag.value.string_value for tag in point.attributes}
    metrics = seen.runs["otel"].xcom("people", "metrics")

    about, when = (points.pop(f"airflow.mlpipe.ingest.last_success_{what}")[0] for what in ("as_of", "timestamp"))
    assert about == datetime.fromisoformat(seen.runs["otel"].interval[1]).timestamp()
    assert seen.started <= when <= time.time()
    assert {name.removeprefix("airflow.mlpipe.ingest."): value for name, (value, _) in points.items()} == metrics
    assert points["airflow.mlpipe.ingest.records_read"][1] == {
        "dataset": "people", "dag_id": "plain", "task_id": "people",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.airflow
def test_a_task_without_metrics_runs_the_same(seen: Observed) -> None:
    assert seen.runs["off"].states == {"people": "success"}
    assert not [line for line in seen.runs["off"].log.splitlines() if "Metrics were not sent" in line]
