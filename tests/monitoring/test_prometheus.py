"""A real run's metrics in a real Prometheus: the alerts that it raises, and the answers that the dashboard gets.

The runs are those of `tests.operators.observed`. Where a statsd_exporter is installed, it receives their datagrams and
maps them; Debian has none, so elsewhere the few lines below do what monitoring/statsd-mapping.yaml says.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.servers import answers, free_ports, process, until
from tests.servers.receivers import handling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operators.observed import Observed

FOLDER = Path(__file__).parents[2] / "monitoring"
RULES = FOLDER / "prometheus-rules.yaml"
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: airflow, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


def program(name: str) -> str:
    """Return where a program is."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install prometheus")
    return found


def expressions() -> list[str]:
    """Return what the dashboard asks, for all Dags and data sets."""
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    found += [each["expr"] for each in dashboard["annotations"]["list"]]
    return [text.replace("$dataset", ".*").replace("$dag", ".*") for text in found]


def test_alerts_are_raised_when_they_should_be() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(Path(__file__).with_name("alerts.yaml"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_the_rules_and_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    asked = tmp_path / "asked.json"
    rules = [{"record": f"asked:{number}", "expr": text} for number, text in enumerate(expressions())]
    asked.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(RULES), str(asked)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
    assert "duplicate" not in done.stdout


# ------------------------------------------------------------------ real runs


@contextmanager
def exporter(datagrams: list[str]) -> Iterator[int]:
    """Yield the port where the gauges of `datagrams` can be scraped."""
    if (installed := shutil.which("statsd_exporter")) is None:
        with _exposed("".join(_mapped(datagrams))) as port:
            yield port
        return
    web, statsd = free_ports(2)
    command = [
        installed, f"--web.listen-address=127.0.0.1:{web}", f"--statsd.listen-udp=127.0.0.1:{statsd}",
        "--statsd.listen-tcp=", f"--statsd.mapping-config={FOLDER / 'statsd-mapping.yaml'}",
    ]  # fmt: skip
    with process(command, lambda: answers(web)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram.encode(), ("127.0.0.1", statsd))
        yield web


def _mapped(datagrams: list[str]) -> Iterator[str]:
    """Yield the newest value of every gauge of ours as Prometheus reads it."""
    newest: dict[str, str] = {}
    for datagram in datagrams:
        if match := re.fullmatch(r"airflow\.mlpipe\.(\w+)\.(\w+),([^:]*):([-\d.e]+)\|g", datagram):
            labels = ",".join(f'{name}="{value}"' for name, value in (tag.split("=") for tag in match[3].split(",")))
            newest[f"airflow_mlpipe_{match[1]}_{match[2]}{{{labels}}}"] = match[4]
    yield from (f"{name} {value}\n" for name, value in sorted(newest.items()))


@contextmanager
def _exposed(text: str) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with handling(Handler) as port:
        yield port


class Prometheus:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Return whether it answers questions."""
        try:
            with urlopen(f"{self._url}/-/ready") as answer:
                return bool(answer.status == 200)
        except OSError:  # refused, or 503
            return False

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now."""
        try:
            with urlopen(f"{self._url}/api/v1/query?{urlencode({'query': expression})}") as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except HTTPError as error:
            pytest.fail(f"{expression}: {error.read().decode()}")
        return found

    def firing(self) -> set[tuple[str, str, str]]:
        """Return alert, Dag and data set of what is alerted of."""
        found = [each["metric"] for each in self('ALERTS{alertstate="firing"}')]
        return {(each["alertname"], each.get("dag_id", ""), each["dataset"]) for each in found}


@pytest.fixture(scope="module")
def seen() -> Observed:
    from tests.operators.observed import observed

    return observed()


@pytest.fixture(scope="module")
def prometheus(seen: Observed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A server that has scraped, and evaluated the rules."""
    command = program("prometheus")
    place = tmp_path_factory.mktemp("prometheus")
    (port,) = free_ports()
    with exporter(seen.datagrams) as scraped:
        (place / "prometheus.yml").write_text(CONFIGURATION.format(rules=RULES, port=scraped))
        options = [f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data"]
        options += [f"--web.listen-address=127.0.0.1:{port}"]
        server = Prometheus(port)
        with process([command, *options], server.ready, output=place / "log"):
            until(lambda: ("MlpipeDataRejected", "rejected", "people") in server.firing(), "an alert")
            yield server


@pytest.mark.slow
@pytest.mark.airflow
def test_what_a_run_sent_can_be_asked_for(seen: Observed, prometheus: Prometheus) -> None:
    for index in range(3):
        (found,) = prometheus(f'airflow_mlpipe_ingest_records_read{{dag_id="mapped", map_index="{index}"}}')

        assert float(found["value"][1]) == seen.runs["mapped"].xcom(f"people[{index}]", "metrics")["records_read"]
        assert found["metric"].items() >= {"dataset": "people", "task_id": "people"}.items()
    (unmapped,) = prometheus('airflow_mlpipe_ingest_records_read{dag_id="kept"}')
    assert "map_index" not in unmapped["metric"]


@pytest.mark.slow
@pytest.mark.airflow
def test_rejected_data_and_a_quarantine_are_alerted_of_and_nothing_else(prometheus: Prometheus) -> None:
    quarantined = ("MlpipeQuarantineShare", "kept", "kept")
    (share,) = prometheus(
        'airflow_mlpipe_validate_rows_quarantined{dag_id="kept"} / airflow_mlpipe_validate_rows_validated'
    )

    assert prometheus.firing() - {quarantined} == {("MlpipeDataRejected", "rejected", "people")}
    assert (quarantined in prometheus.firing()) == (float(share["value"][1]) > 0.05)


@pytest.mark.slow
@pytest.mark.airflow
def test_when_each_task_last_succeeded_is_recorded(prometheus: Prometheus) -> None:
    until(lambda: len(prometheus("task:mlpipe_last_success_timestamp:max14d")) >= 4, "what is recorded")
    found = [each["metric"] for each in prometheus("task:mlpipe_last_success_timestamp:max14d")]

    assert {(each["dag_id"], each["task_id"], each["stage"]) for each in found} == {
        ("rejected", "people", "ingest"),
        ("kept", "people", "ingest"),
        ("kept", "check", "validate"),
        ("mapped", "people", "ingest"),
    }


@pytest.mark.slow
@pytest.mark.airflow
def test_prometheus_answers_every_question_of_the_dashboard(prometheus: Prometheus) -> None:
    asked = expressions()
    answered = [text for text in asked if prometheus(text)]

    assert len(answered) > len(asked) / 3  # no example Dag has all stages; none was refused
