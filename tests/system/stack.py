"""A whole Airflow of its own: four services on PostgreSQL with LocalExecutor, or `airflow standalone`; on free ports.

What differs from an Airflow that people run is how often it looks at files and at the database, and how long it waits
for an answer.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cryptography.fernet import Fernet

from airflow_provider_mlpipe import sample
from tests import servers
from tests.operators.home import REPOSITORY, environment
from tests.servers.airflow_services import Api, Service, ports, start

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SERVICES", "SLOW", "Ran", "Stack", "airflow_on_postgresql", "airflow_standalone"]

SLOW = 900
"""Seconds until something counts as stuck, on a machine that is busy with other tests."""

SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")
OVER = {"success", "failed"}
DAGS = Path(__file__).with_name("dags")
PASSWORDS = {"admin": "pw-admin", "viewer": "pw-viewer", "stranger": "pw-stranger"}
SETTINGS = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__CORE__PARALLELISM": "4",
    # A machine that is busy with other tests is slow to answer; tasks would give up after five seconds.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",
    # And slow to parse; and a scheduler that was not heard of for 30 s takes its own tasks for orphans.
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "600",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "900",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CONNECTION_TEST__TIMEOUT": "900",
}


@dataclass
class Ran:
    """A Dag run, once it is over.

    Attributes:
        api: who asks.
        path: of the run, in the API.
        document: what the API says of it.
    """

    api: Api
    path: str
    document: dict[str, Any]

    @property
    def state(self) -> str:
        """How it ended."""
        return str(self.document["state"])

    @property
    def dag_id(self) -> str:
        """Its Dag."""
        return str(self.document["dag_id"])

    @property
    def page(self) -> str:
        """The path of its page in the plugin."""
        return f"/mlpipe/dags/{self.dag_id}/runs/{quote(self.run_id, safe='')}"

    @property
    def run_id(self) -> str:
        """Its id."""
        return str(self.document["dag_run_id"])

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        """The task instances by task, with the map index behind the name of a mapped one."""
        found = self.api.get(f"{self.path}/taskInstances?limit=100")["task_instances"]
        return {ti["task_id"] + (f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""): ti for ti in found}

    @property
    def states(self) -> dict[str, str]:
        """The tasks' states."""
        return {name: str(ti["state"]) for name, ti in self.tasks.items()}

    def xcom(self, task: str, key: str = "return_value") -> Any:
        """What a task pushed."""
        return self.api.get(f"{self.path}/taskInstances/{task}/xcomEntries/{key}?deserialize=true")["value"]

    def links(self, task: str) -> dict[str, str | None]:
        """The extra links of a task."""
        found: dict[str, str | None] = self.api.get(f"{self.path}/taskInstances/{task}/links")["extra_links"]
        return found

    def log(self, task: str, attempt: int = 1) -> list[dict[str, Any]]:
        """The log of one try, as the API serves it: event, level, logger."""
        found: list[dict[str, Any]] = self.api.get(
            f"{self.path}/taskInstances/{task}/logs/{attempt}?full_content=true"
        )["content"]
        return found

    def text(self, task: str, attempt: int = 1) -> str:
        """The log of one try, to look for words in."""
        return json.dumps(self.log(task, attempt), ensure_ascii=False)


@dataclass
class Stack:
    """A running Airflow.

    Attributes:
        home: AIRFLOW_HOME.
        environment: of its processes.
        anybody: its API, for who has not logged in.
        source: the sample database.
        day: when the stack was started, at midnight.
        hour: of the day, at which the daily Dags begin; as far from now as can be, so that none begins meanwhile.
        logs: where the output of each service goes.
    """

    home: Path
    environment: dict[str, str]
    source: Path
    day: datetime
    hour: int
    anybody: Api = field(init=False)
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        """Know where the API is."""
        self.anybody = self.api = Api(f"http://127.0.0.1:{self.environment['AIRFLOW__API__PORT']}")

    @property
    def artifacts(self) -> Path:
        """The artifact root."""
        return self.home / "mlpipe"

    def day_end(self, days_ago: int) -> datetime:
        """Return when a day ends for the daily Dags: today, or days ago."""
        return self.day + timedelta(hours=self.hour) - timedelta(days=days_ago)

    def as_user(self, name: str) -> Api:
        """Return the API for a user."""
        return self.anybody.login(name, PASSWORDS[name])

    def output(self, service: str) -> str:
        """Return what a service has printed so far."""
        return (self.home / f"{service}.log").read_text(errors="replace")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ...`` beside the services."""
        return subprocess.run(
            [sys.executable, "-m", "airflow", *words], env=self.environment, cwd=self.home, text=True,
            capture_output=True, timeout=SLOW, check=False,
        )  # fmt: skip

    def tried(self, dag: str, date: datetime, **conf: Any) -> subprocess.CompletedProcess[str]:
        """Run ``airflow dags test`` beside the services, the Dag paused meanwhile.

        The command puts its run into the database as one that runs. The scheduler would look at it as at any other, and
        now and then queue a task that the command is about to run; whichever comes second fails.
        """
        self.api.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": True})
        done = self.command("dags", "test", dag, f"{date:%Y-%m-%dT%H:%M}", "--conf", json.dumps(conf))
        self.api.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
        return done

    def healthy(self) -> bool:
        """Return whether every service says so."""
        found = self.anybody.get("/api/v2/monitor/health")
        names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all(found[name]["status"] == "healthy" for name in names)

    def unpause(self, dag: str) -> None:
        """Switch a Dag on, once it is there."""
        servers.until(lambda: self.api.answers(f"/api/v2/dags/{dag}"), f"{dag} is found", seconds=SLOW)
        self.api.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def watch(self, dag: str) -> None:
        """Switch a Dag on whose asset is watched: which it is once its file was parsed again."""
        self.unpause(dag)
        token = self.api.get(f"/api/v2/dags/{dag}")["file_token"]
        self.api.call("PUT", f"/api/v2/parseDagFile/{token}")

    def trigger(self, dag: str, date: datetime | None = None, **conf: Any) -> str:
        """Start a run and return its path in the API."""
        body = {"logical_date": None if date is None else date.isoformat(), "conf": conf}
        return self._path(self.api.call("POST", f"/api/v2/dags/{dag}/dagRuns", body))

    def clear(self, dag: str, run_id: str) -> None:
        """Let a run that is over run again, whole."""
        body = {"dag_run_id": run_id, "dry_run": False, "only_failed": False, "reset_dag_runs": True}
        self.api.call("POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)

    def runs(self, dag: str, query: str = "") -> list[str]:
        """Return the paths of a Dag's runs, the oldest first."""
        found = self.api.get(f"/api/v2/dags/{dag}/dagRuns?limit=100&order_by=run_after&{query}")["dag_runs"]
        return [self._path(run) for run in found]

    def scheduled(self, dag: str) -> Ran:
        """Wait until the run is over that the scheduler made by itself when the Dag was switched on."""
        query = "run_type=scheduled"
        servers.until(lambda: self.runs(dag, query) != [], f"a scheduled run of {dag}", seconds=SLOW)
        return self.over(self.runs(dag, query)[0])

    def events(self, asset: str) -> list[dict[str, Any]]:
        """Return the events of an asset, the oldest first."""
        found: list[dict[str, Any]] = self.api.get(
            f"/api/v2/assets/events?asset_id={self._asset(asset)}&order_by=timestamp"
        )["asset_events"]
        return found

    def watermark(self) -> datetime:
        """Return until when the incremental source was read, as its asset's state says."""
        [entry] = self.api.get(f"/api/v2/assets/{self._asset('system_news')}/state-store")["asset_state_store"]
        assert entry["key"] == "mlpipe_watermark/news"
        return datetime.fromisoformat(entry["value"])

    def _asset(self, name: str) -> int:
        [found] = self.api.get(f"/api/v2/assets?name_pattern={name}")["assets"]
        return int(found["id"])

    def over(self, run: str) -> Ran:
        """Wait until a run is over."""
        servers.until(lambda: self.api.get(run)["state"] in OVER, f"{run} ends", seconds=SLOW)
        return Ran(self.api, run, self.api.get(run))

    def _path(self, run: dict[str, Any]) -> str:
        return f"/api/v2/dags/{run['dag_id']}/dagRuns/{quote(run['dag_run_id'], safe='')}"


@contextmanager
def airflow_on_postgresql(folder: Path, **settings: str) -> Iterator[Stack]:
    """Start the four services on PostgreSQL, with LocalExecutor, and the example Dag with those of these tests.

    Args:
        folder: an empty one, for everything.
        settings: added to the environment.
    """
    with servers.postgres_server() as database:
        database.psql("CREATE DATABASE airflow")
        stack = _laid_out(
            folder,
            AIRFLOW__CORE__EXECUTOR="LocalExecutor",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database.uri.replace("://", "+psycopg2://").replace(
                "/postgres", "/airflow"
            ),
            AIRFLOW__CORE__AUTH_MANAGER="tests.plugins.fence.Fence",
            SYSTEM_DATABASE=database.uri,
            AIRFLOW_CONN_TRACKER=database.uri,
            **settings,
        )
        migrated = stack.command("db", "migrate")
        assert migrated.returncode == 0, migrated.stdout + migrated.stderr
        services = [
            Service(
                name, [sys.executable, "-m", "airflow", name], stack.environment, stack.home, stack.home / f"{name}.log"
            )
            for name in SERVICES
        ]  # fmt: skip
        # Tasks ask the API server for their work, so it comes first.
        services[0] = replace(services[0], ready=lambda: stack.anybody.answers("/api/v2/version"))
        with start(services):
            yield _ready(stack)


@contextmanager
def airflow_standalone(folder: Path) -> Iterator[tuple[Stack, subprocess.Popen[bytes]]]:
    """Run ``airflow standalone`` on its own SQLite database, in a process group of its own; Ctrl-C ends it."""
    stack = _laid_out(folder)
    log = stack.home / "standalone.log"
    command = [sys.executable, "-m", "airflow", "standalone"]
    with servers.process(
        command, lambda: stack.anybody.answers("/api/v2/version"), stop=signal.SIGINT, patience=SLOW,
        output=log, env=stack.environment, cwd=stack.home, start_new_session=True,
    ) as process:  # fmt: skip
        yield _ready(stack), process


def _laid_out(folder: Path, **settings: str) -> Stack:
    """Make AIRFLOW_HOME with Dags, YAML, passwords and the sample."""
    home = folder / "airflow"
    shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "dags/user_feature_pipeline.py", home / "dags")
    shutil.copytree(REPOSITORY / "config", home / "config")
    (home / "passwords.json").write_text(json.dumps(PASSWORDS))
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = (now.hour + 12) % 24
    data = sample.write(folder / "sample", until=(today + timedelta(days=1)).date(), days=60)
    listening = ports()
    address = f"http://127.0.0.1:{listening['AIRFLOW__API__PORT']}"
    return Stack(
        home,
        environment(
            home,
            PATH=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            PYTHONPATH=str(REPOSITORY),  # for the fence
            AIRFLOW__CORE__FERNET_KEY=Fernet.generate_key().decode(),
            AIRFLOW__API__SECRET_KEY=Fernet.generate_key().decode(),
            # Long enough that nobody warns of it.
            AIRFLOW__API_AUTH__JWT_SECRET=Fernet.generate_key().decode() * 2,
            AIRFLOW__API__BASE_URL=address,
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{address}/execution/",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,viewer:viewer,stranger:user",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=str(home / "passwords.json"),
            AIRFLOW__LOGGING__JSON_LOGS="True",
            SYSTEM_DAY=f"{today:%Y-%m-%d}",
            SYSTEM_HOUR=str(hour),
            MLPIPE_SAMPLE_DB=f"sqlite:///{data.database}",
            **SETTINGS,
            **listening,
            **settings,
        ),
        data.database,
        today,
        hour,
    )


def _ready(stack: Stack) -> Stack:
    stack.api = stack.as_user("admin")
    servers.until(stack.healthy, "every service is healthy", seconds=SLOW)
    return stack
