"""Real runs with everybody listening: OpenLineage's provider, StatsD, OpenTelemetry, SMTP, Slack's webhook.

The receivers are real sockets in the test's process; the tasks run in processes of their own, as on a worker
(`tests.operators.supervised`). All runs happen once per session, for importing Airflow and Great Expectations costs
more than all of them.
"""

from __future__ import annotations

import atexit
import gzip
import json
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from airflow_provider_mlpipe import sample
from tests.operators.home import REPOSITORY, Airflow, Run, Step, environment, new_airflow, python
from tests.servers.processes import free_ports
from tests.servers.receivers import datagrams, handling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

__all__ = ["Observed", "Post", "observed", "posts"]

CONNECTIONS = {
    "AIRFLOW_CONN_SMTP_DEFAULT": {"conn_type": "smtp", "extra": {"disable_ssl": True, "disable_tls": True}},
    "AIRFLOW_CONN_SLACK": {"conn_type": "slackwebhook", "password": "T000/B000/s3cr3t"},
}


@dataclass
class Post:
    """What was sent to an HTTP server."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> bytes:
        """The body, unpacked."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body


@dataclass
class Observed:
    """What everybody received, and the runs that sent it, by name.

    Attributes:
        started: seconds since 1970, whole.
        called_back: the log of a process of the Dag processor that called the callbacks of ``rejected``.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    datagrams: list[str] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)
    artifacts: Path = Path()
    databases: dict[str, str] = field(default_factory=dict)
    started: int = field(default_factory=lambda: int(time.time()))
    called_back: str = ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """OpenLineage's events, in order."""
        return [json.loads(post.content) for post in self.posts if post.path == "/api/v1/lineage"]

    def event(self, run: str, task: str, kind: str) -> dict[str, Any]:
        """Return the event of a task's run."""
        end = self.runs[run].interval[1].replace(" ", "T")[:16]
        found = [
            event
            for event in self.events
            if event["job"]["name"] == task
            and event["eventType"] == kind
            and event["run"]["facets"]["nominalTime"]["nominalEndTime"].startswith(end)
        ]
        assert len(found) == 1, (run, task, kind, len(found))
        return found[0]


@contextmanager
def posts(into: list[Post]) -> Iterator[str]:
    """Receive whatever is posted to a free port, and answer as a webhook of Slack does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            into.append(Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()
            if self.path.startswith("/services"):
                self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    with handling(Handler) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _mails(into: list[Message]) -> Iterator[int]:
    """Be a mail server on a free port."""

    class Handler:
        async def handle_DATA(  # noqa: N802
            self, _server: Any, _session: Any, envelope: Any
        ) -> str:
            into.append(message_from_bytes(envelope.content))
            return "250 OK"

    (port,) = free_ports(1)
    server = Controller(Handler(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield port
    finally:
        server.stop()


@cache
def observed() -> Observed:
    """Run everything, and return what was received."""
    place = Path(tempfile.mkdtemp(prefix="mlpipe-observed-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    seen = Observed(artifacts=place / "artifacts")
    seen.databases = {
        "good": sample.write(place / "good").url,
        "bad": sample.write(place / "bad", broken=["duplicate-key", "null-email"]).url,
    }
    with ExitStack() as open_until_done:
        statsd = open_until_done.enter_context(datagrams(seen.datagrams))
        web = open_until_done.enter_context(posts(seen.posts))
        smtp = open_until_done.enter_context(_mails(seen.mails))
        airflow = new_airflow(place).with_env(
            **_settings(web, smtp), AIRFLOW__MLPIPE__ARTIFACT_ROOT=str(seen.artifacts)
        )
        for name in ("user_feature_pipeline.py", "training_set_weekly.py"):
            shutil.copy(REPOSITORY / "dags" / name, airflow.home / "dags")
        shutil.copy(Path(__file__).with_name("observed_cases.py"), airflow.home / "dags")
        as_workers_do = airflow.with_env(AIRFLOW__CORE__EXECUTOR="tests.operators.supervised.SupervisedExecutor")
        for given, steps in (
            (as_workers_do, _cases(seen.databases, statsd, web)),
            (airflow, _examples(seen.databases)),
        ):
            seen.runs |= dict(zip(steps, given.run(*steps.values()), strict=True))
        seen.called_back = _call_back(airflow, "rejected", seen.runs["rejected"].run_id)
    return seen


def _call_back(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """Have the Dag processor call a Dag's callbacks, and return its log."""
    script = str(Path(__file__).with_name("dag_processor.py"))
    env = environment(airflow.home, PYTHONPATH=str(REPOSITORY), MLPIPE_SAMPLE_DB="sqlite://", **airflow.env)
    done = python(script, dag_id, run_id, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _examples(databases: dict[str, str]) -> dict[str, Step]:
    """The Dags that people copy."""
    env = {"MLPIPE_SAMPLE_DB": databases["good"]}
    return {
        "pipeline": Step("user_feature_pipeline", "2026-01-15", env=env),
        "training": Step("training_set_weekly", "2026-01-18", env=env),
    }


def _cases(databases: dict[str, str], statsd: int, web: str) -> dict[str, Step]:
    """The Dags of `observed_cases`."""
    good, bad = ({"MLPIPE_SAMPLE_DB": databases[name]} for name in ("good", "bad"))
    to_statsd = {
        "AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_PORT": str(statsd),
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1", "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }  # fmt: skip
    off = {"AIRFLOW__METRICS__STATSD_ON": "False", "AIRFLOW__METRICS__OTEL_ON": "False"}
    to_otel = off | {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": web,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    return {
        "rejected": Step("rejected", "2026-01-15", env=bad | to_statsd),
        "mapped": Step("mapped", "2026-01-15", env=bad | to_statsd),
        "kept": Step("kept", "2026-01-15", env=bad | to_statsd),
        "absent": Step("absent", "2026-01-15", env=good | to_statsd),
        "otel": Step("plain", "2026-01-16", env=good | to_otel),
        "off": Step("plain", "2026-01-17", env=good | off),
    }


def _settings(web: str, smtp: int) -> dict[str, str]:
    addresses = {"AIRFLOW_CONN_SMTP_DEFAULT": ("127.0.0.1", smtp), "AIRFLOW_CONN_SLACK": (f"{web}/services", None)}
    return {
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": web, "endpoint": "api/v1/lineage"}),
        "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
        "AIRFLOW__MLPIPE__CONFIG_FOLDER": str(REPOSITORY / "config"),
        **{
            name: json.dumps(connection | {"host": addresses[name][0], "port": addresses[name][1]})
            for name, connection in CONNECTIONS.items()
        },
    }
