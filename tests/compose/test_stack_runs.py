"""The compose file's commands and environment bring the example DAG's features online, on real servers.

One DAG run on PostgreSQL, a bucket and Valkey, started by the file's own init command; the tests look at what it left.
"""

from __future__ import annotations

import json
import urllib.error
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.sample import write
from tests import servers
from tests.compose.local import Local, local_stack
from tests.compose.services import NAMES, airflow_services, healthy

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG, VIEW = "user_feature_pipeline", "user_profile_features"
SLOW = 300
"""Seconds until something counts as stuck, on a machine that is busy with other tests."""

TASKS = {"ingest_users", "ingest_activity", "validate_users", "validate_activity", "extract_features", "materialize"}


@dataclass
class Outcome:
    """The stack after the init service and one run of the DAG, and what these two printed."""

    stack: Local
    init: subprocess.CompletedProcess[str]
    dag: subprocess.CompletedProcess[str]

    def artifacts(self) -> list[Artifact]:
        """Return every artifact below the artifact root."""
        root = Storage(self.environment["AIRFLOW__MLPIPE__ARTIFACT_ROOT"], self.stack.s3)
        import pyarrow.fs as pafs

        found = root.filesystem.get_file_info(pafs.FileSelector(root.root, recursive=True))
        manifests = [info.path for info in found if info.base_name == "_manifest.json"]
        return [Artifact.open(f"s3://{path.rpartition('/')[0]}", self.stack.s3) for path in manifests]

    @property
    def environment(self) -> dict[str, str]:
        return self.stack.environment("airflow-scheduler")

    def query(self, url: str, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
            return connection.execute(sql.encode()).fetchall()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    with local_stack(tmp_path_factory.mktemp("stack")) as stack:
        init = stack.run("airflow-init")
        assert init.returncode == 0, init.stdout[-4000:]
        dag = stack.run("airflow-scheduler", ["airflow", "dags", "test", DAG, f"{datetime.now(UTC):%Y-%m-%d}"])
        yield Outcome(stack, init, dag)


def test_the_dag_succeeds(outcome: Outcome) -> None:
    assert outcome.dag.returncode == 0, outcome.dag.stdout[-6000:]
    url = outcome.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")

    states = outcome.query(url, "SELECT run_id, state, count(*) FROM task_instance GROUP BY run_id, state")

    assert states
    assert all((state, tasks) == ("success", 6) for _, state, tasks in states)


def test_the_services_are_healthy_and_run_the_dag_on_schedule(outcome: Outcome) -> None:
    """The four Airflow services by their own commands: a login, a DAG switched on, its newest day run and published."""
    with airflow_services(outcome.stack) as anybody:
        states = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        servers.until(
            lambda: all(anybody.call("GET", "/api/v2/monitor/health")[name]["status"] == "healthy" for name in states),
            "every service healthy", seconds=SLOW,
        )  # fmt: skip
        assert [healthy(outcome.stack, name) for name in NAMES] == [True] * 4
        with pytest.raises(urllib.error.HTTPError, match="401"):
            anybody.login("admin", "wrong")
        api = anybody.login("admin", outcome.stack.secrets["AIRFLOW_ADMIN_PASSWORD"])
        servers.until(lambda: api.answers(f"/api/v2/dags/{DAG}"), "the DAG processor finds the DAG", seconds=SLOW)
        api.call("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        path = f"/api/v2/dags/{DAG}/dagRuns"
        scheduled = f"{path}?run_type=scheduled&state=success&state=failed"
        servers.until(lambda: api.call("GET", scheduled)["total_entries"] > 0, "the scheduled run ends", seconds=SLOW)
        run = api.call("GET", scheduled)["dag_runs"][0]
        tasks = api.call("GET", f"{path}/{run['dag_run_id']}/taskInstances")["task_instances"]

    assert {task["task_id"]: task["state"] for task in tasks} == dict.fromkeys(TASKS, "success")
    published = [found.manifest for found in outcome.artifacts() if found.manifest.run["run_id"] == run["dag_run_id"]]
    assert {"user_data", "activity_data", "user_features"} <= {manifest.dataset for manifest in published}
    end = f"{datetime.fromisoformat(run['data_interval_end']):%Y%m%dT%H%M%SZ}"
    assert all(manifest.partition.endswith(end) for manifest in published)


def test_the_sample_is_in_postgresql_as_it_is_in_sqlite(outcome: Outcome, tmp_path: Path) -> None:
    sample = write(tmp_path, until=date.fromisoformat(outcome.stack.secrets["SAMPLE_UNTIL"]), days=90)
    url = outcome.environment["MLPIPE_SAMPLE_DB"]

    for table, rows in sample.rows.items():
        assert outcome.query(url, f"SELECT count(*) FROM {table}") == [(rows,)]
    [(first, last)] = outcome.query(url, "SELECT min(occurred_at), max(occurred_at) FROM activity")
    assert first >= sample.start.replace(tzinfo=first.tzinfo)
    assert last.utcoffset() is not None


def test_the_connections_reach_what_the_environment_names(outcome: Outcome) -> None:
    environment = outcome.environment
    tracker = environment["AIRFLOW_CONN_TRACKER"].replace("postgres://", "postgresql://")
    artifacts = json.loads(environment["AIRFLOW_CONN_MLPIPE_ARTIFACTS"])

    assert outcome.query(tracker, "SELECT count(*) > 0 FROM users") == [(True,)]
    assert artifacts["conn_type"] == "aws"
    assert artifacts["extra"]["endpoint_url"] == outcome.stack.s3.endpoint_url


def test_artifacts_land_in_the_bucket_with_their_verdicts(outcome: Outcome) -> None:
    found = outcome.artifacts()
    stages = {(artifact.manifest.dataset, artifact.manifest.stage) for artifact in found}

    assert {("user_data", "raw"), ("activity_data", "raw"), ("user_features", "features")} <= stages
    for artifact in found:
        assert artifact.manifest.rows > 0
        if artifact.manifest.stage == "raw":
            verdict = artifact.verdict()
            assert verdict is not None
            assert verdict["passed"]
    assert not (outcome.stack.folder / "opt/airflow/mlpipe").exists(), "nothing fell back to the local root"


def test_features_are_in_valkey_and_need_its_password(outcome: Outcome) -> None:
    import redis

    url = outcome.environment["MLPIPE_ONLINE_STORE"]
    days = [
        artifact.manifest
        for artifact in outcome.artifacts()
        if (artifact.manifest.dataset, artifact.manifest.stage) == ("user_features", "features")
    ]
    newest = max(days, key=lambda manifest: manifest.partition)

    with redis.Redis.from_url(url) as client:
        assert client.dbsize() == newest.rows > 0
    with (
        redis.Redis.from_url(url.replace(outcome.stack.secrets["VALKEY_PASSWORD"], "wrong")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_registry_is_in_postgresql(outcome: Outcome) -> None:
    url = outcome.environment["MLPIPE_FEAST_REGISTRY"]

    assert outcome.query(url, "SELECT feature_view_name FROM feature_views") == [(VIEW,)]


def test_each_role_is_kept_to_its_own_database(outcome: Outcome) -> None:
    url = outcome.environment["MLPIPE_SAMPLE_DB"]

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        outcome.query(url, "CREATE ROLE mine")
    with pytest.raises(psycopg.OperationalError):
        outcome.query(url.replace(outcome.stack.secrets["TRACKER_DB_PASSWORD"], "wrong"), "SELECT 1")


def test_the_login_takes_the_password_of_env(outcome: Outcome) -> None:
    file = Path(outcome.environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])

    assert json.loads(file.read_text()) == {"admin": outcome.stack.secrets["AIRFLOW_ADMIN_PASSWORD"]}
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("step", ["login", "bucket", "sample"])
def test_every_step_of_the_init_service_can_be_repeated(outcome: Outcome, step: str) -> None:
    again = outcome.stack.run("airflow-init", ["python", f"/opt/mlpipe/{step}.py"])

    assert again.returncode == 0, again.stdout


def test_no_secret_is_printed(outcome: Outcome) -> None:
    for name, secret in outcome.stack.secrets.items():
        if name not in {"MINIO_ROOT_USER", "SAMPLE_UNTIL"}:
            assert secret not in outcome.init.stdout, name
            assert secret not in outcome.dag.stdout, name
