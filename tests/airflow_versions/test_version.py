"""Operators, decorators, mapping and Feast on the Airflow that is installed: `make test-airflow` runs this on each version.

Everything happens in processes of their own, as users start them, so what an old Airflow warns of is its own affair.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, environment, new_airflow, python

if TYPE_CHECKING:
    from pathlib import Path

    from tests.operators.home import Airflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG, DAY = "user_feature_pipeline", "20260113T020000Z-20260114T020000Z"
PUBLISHED = {
    DAG: ["user_features/features"],
    "project_team_features": ["project_activity/raw-all", "project_features/features", "team_features/features"],
    "functions": ["crew/raw", "crew_features/features", "scores/features"],
    "mapped_functions": ["parts/raw-all"],
    "pipelines": [],
    "mapped_pipelines": [],
    "poked": ["poked_objects/raw", "poked_rows/raw"],
}
"""Dags that are run, and some of what each publishes."""
MOMENT = ["--as-of", "2026-01-14T02:00:00Z"]
COMMANDS = {
    "errors": ["dags", "list-import-errors", "--output", "json"],
    "providers": ["providers", "list", "--output", "json"],
    "hooks": ["providers", "hooks", "--output", "json"],
    "provider": ["providers", "get", "airflow-provider-mlpipe", "--output", "json"],
    "links": ["providers", "links", "--output", "json"],
    "triggers": ["providers", "triggers", "--output", "json"],
    "notifications": ["providers", "notifications", "--output", "json"],
    "plugins": ["plugins", "--output", "json"],
    "options": ["config", "list", "--section", "mlpipe", "--defaults"],
    "root": ["config", "get-value", "mlpipe", "artifact_root"],
    "ingest": ["mlpipe", "ingest", "user_data", "--conn-id", "tracker", *MOMENT, "--root", "by-hand", "--json"],
    "online": ["mlpipe", "online", "user_profile_features", "u_0001", "u_0002", "--json"],
}
CLI_OF_PROVIDERS = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 2)
needs_cli = pytest.mark.skipif(not CLI_OF_PROVIDERS, reason="before Airflow 3.2 providers bring no commands")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """An Airflow with the sample, the example Dags and those of the decorators' tests."""
    place = tmp_path_factory.mktemp("version")
    url = sample.write(place / "sample").url
    with closing(sqlite3.connect(place / "poked.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, at TIMESTAMP)")
    dags = place / "dags"
    dags.mkdir()
    folders = {"examples": "dags", "decorators": "tests/decorators/cases", "versions": "tests/airflow_versions/cases"}
    for name, folder in folders.items():
        (dags / name).symlink_to(REPOSITORY / folder)
    connection = {"conn_type": "sqlite", "host": url.removeprefix("sqlite:///")}
    return new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(dags),
        AIRFLOW__MLPIPE__CONFIG_FOLDER=str(REPOSITORY / "config"),
        AIRFLOW_CONN_TRACKER=json.dumps(connection),
        CASES_PLACE=str(place),
        MLPIPE_SAMPLE_DB=url,
        PYTHONPATH=str(REPOSITORY),
    )


@pytest.fixture(scope="module")
def answers(airflow: Airflow) -> dict[str, Any]:
    """What Airflow's command line says: first ``dags test`` of every Dag, then the rest."""
    runs = {dag: ["dags", "test", dag, "2026-01-15"] for dag in PUBLISHED}
    known = runs | {name: it for name, it in COMMANDS.items() if CLI_OF_PROVIDERS or it[0] != "mlpipe"}
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


@pytest.mark.parametrize("dag", PUBLISHED)
def test_a_dag_runs(dag: str, airflow: Airflow, answers: dict[str, Any]) -> None:
    assert answers[dag]["code"] == 0, answers[dag]
    for place in PUBLISHED[dag]:
        published = [path.parent for path in (airflow.artifacts / place).glob("*/_manifest.json")]
        assert any(Artifact.open(str(folder)).manifest.rows for folder in published), place


@pytest.mark.parametrize("dataset", ["user_data", "activity_data"])
def test_what_the_example_reads_has_passed(dataset: str, airflow: Airflow, answers: dict[str, Any]) -> None:
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
    assert "airflow-provider-mlpipe" in answers["provider"]["out"]
    assert "airflow_provider_mlpipe.links.report.ReportLink" in answers["links"]["out"]
    assert "airflow_provider_mlpipe.triggers.sources" in answers["triggers"]["out"]
    assert "airflow_provider_mlpipe.notifications.notifier.MlpipeNotifier" in answers["notifications"]["out"]
    assert '"mlpipe"' in answers["plugins"]["out"]
    assert "artifact_root" in answers["options"]["out"]
    assert answers["root"]["out"].strip() == str(airflow.artifacts)


@pytest.mark.parametrize("command", [name for name, words in COMMANDS.items() if words[0] != "mlpipe"])
def test_a_command_of_airflow_has_nothing_to_complain_of(command: str, answers: dict[str, Any]) -> None:
    answer = answers[command]
    said = answer["out"] + answer["err"]

    assert answer["code"] == 0, answer
    assert not [line for line in said.splitlines() if "mlpipe" in line and re.search("warn|error|Traceback", line)]


@needs_cli
def test_airflow_mlpipe_reads_by_a_connection(airflow: Airflow, answers: dict[str, Any]) -> None:
    assert answers["ingest"]["code"] == 0, answers["ingest"]
    by_hand = json.loads(answers["ingest"]["out"])
    by_dag = Artifact.open(str(airflow.artifacts / "user_data" / "raw" / DAY))

    assert by_hand["fingerprint"] == by_dag.fingerprint
