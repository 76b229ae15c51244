"""The example pipeline, Feast included, on the Airflow that is installed: `make test-airflow` runs this on each version.

Everything happens in processes of their own, as users start them, so what an old Airflow warns of is its own affair.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, environment, new_airflow, python

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.operators.home import Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG, DAY = "user_feature_pipeline", "20260113T020000Z-20260114T020000Z"
MOMENT = ["--as-of", "2026-01-14T02:00:00Z"]
COMMANDS = {
    "errors": ["dags", "list-import-errors", "--output", "json"],
    "providers": ["providers", "list", "--output", "json"],
    "hooks": ["providers", "hooks", "--output", "json"],
    "root": ["config", "get-value", "mlpipe", "artifact_root"],
    "ingest": ["mlpipe", "ingest", "user_data", "--conn-id", "tracker", *MOMENT, "--root", "by-hand", "--json"],
    "online": ["mlpipe", "online", "user_profile_features", "u_0001", "u_0002", "--json"],
}
CLI_OF_PROVIDERS = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 2)
needs_cli = pytest.mark.skipif(not CLI_OF_PROVIDERS, reason="before Airflow 3.2 providers bring no commands")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """An Airflow with the sample and the example Dags."""
    place = tmp_path_factory.mktemp("version")
    url = sample.write(place / "sample").url
    connection = {"conn_type": "sqlite", "host": url.removeprefix("sqlite:///")}
    return new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"),
        AIRFLOW_CONN_TRACKER=json.dumps(connection),
        MLPIPE_SAMPLE_DB=url,
        PYTHONPATH=str(REPOSITORY),
    )


@pytest.fixture(scope="module")
def run(airflow: Airflow) -> CompletedProcess[str]:
    """``airflow dags test`` of the example: ingest, validate, extract, materialize."""
    return airflow.command("dags", "test", DAG, "2026-01-15")


@pytest.fixture(scope="module")
def answers(airflow: Airflow, run: CompletedProcess[str]) -> dict[str, Any]:
    """What Airflow's command line says after the run."""
    known = COMMANDS if CLI_OF_PROVIDERS else {name: it for name, it in COMMANDS.items() if it[0] != "mlpipe"}
    output: Path = airflow.home / "ended.json"
    driver = str(REPOSITORY / "tests" / "operators" / "command_lines.py")
    env = environment(airflow.home, **airflow.env)
    done = python(driver, str(output), json.dumps(list(known.values())), env=env)
    assert output.exists(), done.stdout + done.stderr
    return dict(zip(known, json.loads(output.read_text()), strict=True))


def test_the_version_is_one_that_we_say_we_support() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    floor = re.search(r'"apache-airflow>=([\d.]+)', text)

    assert floor is not None
    assert tuple(map(int, version("apache-airflow").split(".")[:2])) >= tuple(map(int, floor[1].split(".")[:2]))


def test_the_pipeline_runs(airflow: Airflow, run: CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stdout + run.stderr
    features = Artifact.open(str(airflow.artifacts / "user_features" / "features" / DAY))
    assert features.manifest.rows > 0
    for dataset in ("user_data", "activity_data"):
        verdict = Artifact.open(str(airflow.artifacts / dataset / "raw" / DAY)).verdict()
        assert verdict is not None
        assert verdict["passed"] is True


@needs_cli
def test_the_features_are_online(answers: dict[str, Any]) -> None:
    rows = json.loads(answers["online"]["out"])["rows"]

    assert [row["user_id"] for row in rows] == ["u_0001", "u_0002"]
    assert all(row["tasks_completed_7d"] is not None for row in rows)


def test_no_example_dag_fails_to_import(answers: dict[str, Any]) -> None:
    assert "Traceback" not in answers["errors"]["out"] + answers["errors"]["err"]
    assert answers["errors"]["code"] == 0, answers["errors"]


def test_airflow_knows_the_provider(airflow: Airflow, answers: dict[str, Any]) -> None:
    assert "airflow-provider-mlpipe" in answers["providers"]["out"]
    assert "airflow_provider_mlpipe.hooks.feast.FeastHook" in answers["hooks"]["out"]
    assert answers["root"]["out"].strip() == str(airflow.artifacts)


@needs_cli
def test_airflow_mlpipe_reads_by_a_connection(airflow: Airflow, answers: dict[str, Any]) -> None:
    assert answers["ingest"]["code"] == 0, answers["ingest"]
    by_hand = json.loads(answers["ingest"]["out"])
    by_dag = Artifact.open(str(airflow.artifacts / "user_data" / "raw" / DAY))

    assert by_hand["fingerprint"] == by_dag.fingerprint
