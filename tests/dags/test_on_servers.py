"""The same Dag file away from one machine's disk: PostgreSQL as source, a bucket for artifacts, Valkey to serve from.

Only connections, environment and, for a database with other column names, the YAML differ.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Airflow, Run, Step
from tests.realdata import TRACKER, needs_tracker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.servers import Bucket

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG = "user_feature_pipeline"
USERS = (
    "user_id text, email text, age integer, status text, team_id text, weekly_capacity_hours float8, "
    "created_at timestamp"
)
ACTIVITY = (
    "event_id integer, user_id text, project_id text, task_id text, event_type text, skill text, hours float8, "
    "occurred_at timestamp"
)


def load(uri: str, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Create a table, with its schema, and fill it."""
    import psycopg

    with psycopg.connect(uri) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}".encode())
        connection.execute(f"CREATE TABLE {table} ({columns})".encode())
        with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)


def yaml_of(folder: Path, schema: str, **columns: dict[str, Any]) -> str:
    """Put the three example files into `folder`, reading from a schema of the connection `tracker`; return its path."""
    from ruamel.yaml import YAML

    shutil.copytree(REPOSITORY / "config", folder)
    file = folder / "ingestion_config.yaml"
    data = YAML().load(file)
    for source in ("user_data", "activity_data"):
        del data["sources"][source]["connection_string"]
        data["sources"][source] |= {
            "conn_id": "tracker",
            "table": f"{schema}.{data['sources'][source]['table']}",
            "columns": columns.get(source, {}),
        }
    with file.open("w") as stream:
        YAML().dump(data, stream)
    return str(folder)


@pytest.fixture
def tracker(airflow: Airflow, postgres: str) -> Airflow:
    """An Airflow with the example Dags and a connection to PostgreSQL."""
    return airflow.with_env(AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"), AIRFLOW_CONN_TRACKER=postgres)


def agree(run: Run, artifact: Artifact) -> None:
    """Check that what is served is what was computed, for everybody who was asked for."""
    computed = {row["user_id"]: row for row in artifact.table().to_pylist()}
    assert run.online
    for row in run.online:
        for name, value in row.items():
            assert value == pytest.approx(computed[row["user_id"]][name]), (row["user_id"], name)


def test_from_postgresql_through_a_bucket_to_valkey(
    tracker: Airflow, postgres: str, s3: Bucket, valkey: str, tmp_path: Path
) -> None:
    data = sample.write(tmp_path / "sample")
    with closing(sqlite3.connect(data.database)) as database:
        load(postgres, "sample_dag.users", USERS, database.execute("SELECT * FROM users"))
        load(postgres, "sample_dag.activity", ACTIVITY, database.execute("SELECT * FROM activity"))
    keys = {"login": s3.options.access_key, "password": s3.options.secret_key}
    place = {"endpoint_url": s3.options.endpoint_url, "region_name": s3.options.region}
    here = tracker.with_env(
        AIRFLOW__MLPIPE__ARTIFACT_ROOT=f"{s3.uri}/dag",
        AIRFLOW__MLPIPE__ARTIFACT_CONN_ID="lake",
        AIRFLOW_CONN_LAKE=json.dumps({"conn_type": "aws", **keys, "extra": place}),
        AIRFLOW__MLPIPE__CONFIG_FOLDER=yaml_of(tmp_path / "config", "sample_dag"),
        MLPIPE_FEAST_REGISTRY=f"sqlite:///{tmp_path}/registry.db",
        MLPIPE_ONLINE_STORE=f"redis://{valkey}",
    )

    (run,) = here.run(Step(DAG, "2026-01-15", online=["u_0001", "u_0002", "u_0003"]))

    assert set(run.states.values()) == {"success"}, run.log
    features = Artifact.open(run.xcom("extract_features"), s3.options)
    assert features.uri == f"{s3.uri}/dag/user_features/features/20260113T020000Z-20260114T020000Z"
    agree(run, features)
    # Nothing fell on this machine's disk, and no secret into log or XCom.
    assert not list(here.artifacts.rglob("*.parquet"))
    for secret in (s3.options.secret_key, postgres.partition("@")[0].rpartition(":")[2]):
        assert secret not in run.log
        assert secret not in json.dumps(run.tasks)


@needs_tracker
def test_a_real_tracker_needs_only_a_column_mapping(tracker: Airflow, postgres: str, tmp_path: Path) -> None:
    """961 users of four open-source projects; their table calls the skill an area, hours an amount, and has no age."""
    import pyarrow.csv
    import pyarrow.parquet

    users = pyarrow.csv.read_csv(TRACKER / "users.csv")
    columns = (
        "user_id text, email text, team_id text, status text, utc_offset_minutes integer, "
        "weekly_capacity_hours integer, created_at timestamptz"
    )
    load(postgres, "real.users", columns, (tuple(row.values()) for row in users.to_pylist()))
    activity = pyarrow.parquet.read_table(TRACKER / "activity.parquet")
    columns = ACTIVITY.replace("skill", "area").replace("hours", "amount").replace("timestamp", "timestamptz")
    load(postgres, "real.activity", columns, (tuple(row.values()) for row in activity.to_pylist()))
    mapping = {"user_data": {"age": None}, "activity_data": {"skill": "area", "hours": "amount"}}
    here = tracker.with_env(AIRFLOW__MLPIPE__CONFIG_FOLDER=yaml_of(tmp_path / "config", "real", **mapping))
    # Counted here by hand: tasks completed in the seven days before the end of the interval.
    end = datetime(2026, 8, 20, 2, tzinfo=UTC)
    done = Counter(
        row["user_id"]
        for row in activity.to_pylist()
        if row["event_type"] == "task_completed" and end - timedelta(days=7) <= row["occurred_at"] < end
    )
    known = {row["user_id"] for row in users.to_pylist() if row["created_at"] < end}
    busiest = [user for user, _ in done.most_common() if user in known][:5]

    (run,) = here.run(Step(DAG, "2026-08-21", online=busiest))

    assert set(run.states.values()) == {"success"}, run.log
    features = Artifact.open(run.xcom("extract_features"))
    assert features.manifest.details["as_of"].startswith("2026-08-20T02:00:00")
    assert features.manifest.rows > 900
    agree(run, features)
    assert {row["user_id"]: row["tasks_completed_7d"] for row in run.online} == {u: done[u] for u in busiest}
