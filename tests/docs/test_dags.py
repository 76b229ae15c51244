"""The guide to Dags: each of its Python blocks is a Dag file, parsed without a look at any file, and run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.docs.howto import blocks, page
from tests.operators.home import REPOSITORY, Run, Step, environment, new_airflow, python

if TYPE_CHECKING:
    from pathlib import Path

PAGE = page("dags")
FILES = {re.findall(r'DAG\("(\w+)"', text)[0]: text for text in blocks(PAGE, "python")}
"""The blocks, by their Dag."""

PARSED = """
import json, sys
from airflow.sdk import DAG

made, leave = [], DAG.__exit__
DAG.__exit__ = lambda dag, *rest: made.append(dag) or leave(dag, *rest)
for name, text in json.loads(sys.argv[1]).items():
    exec(compile(text, f"dags.md: {name}", "exec"), {})
found = {dag.dag_id: {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks} for dag in made}
print("FOUND", json.dumps(found))
"""


def test_every_dag_of_the_page_is_wired_as_it_says(tmp_path: Path) -> None:
    """In a folder without any YAML: nothing is read."""
    ran = python("-W", "error", "-c", PARSED, json.dumps(FILES), env=environment(tmp_path))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.rpartition("FOUND ")[2])
    assert set(found) == set(FILES)
    (named,) = re.findall(r"The tasks are those that\none would write: (.*?), in a\ngroup", PAGE, flags=re.DOTALL)
    assert {f"user_features.{name}" for name in re.findall(r"`(\w+)`", named)} == set(found["three_lines"])
    assert found["two_sets"]["team_features.extract"] == [
        "team_features.validate_teams", "user_features.validate_activity", "user_features.validate_users",
    ]  # fmt: skip
    assert found["by_functions"] == {
        "logins": [], "check_logins": ["logins"], "risk": ["check_logins"], "online": ["risk"],
    }  # fmt: skip
    assert found["by_project"] == {"projects": [], "ingest": ["projects"], "validate": ["ingest"]}


def test_every_example_is_told_of() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE.rpartition("## Examples")[2], flags=re.MULTILINE))
    assert told == {file.stem for file in (REPOSITORY / "dags").glob("*.py")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of each."""
    place = tmp_path_factory.mktemp("guide")
    airflow = new_airflow(place).with_env(
        AIRFLOW__MLPIPE__CONFIG_FOLDER=str(REPOSITORY / "config"), MLPIPE_SAMPLE_DB=sample.write(place / "sample").url
    )
    for name, text in FILES.items():
        (airflow.home / "dags" / f"{name}.py").write_text(text)
    return dict(zip(FILES, airflow.run(*(Step(name, "2026-01-15") for name in FILES)), strict=True))


@pytest.mark.airflow
@pytest.mark.slow
def test_every_dag_of_the_page_runs(story: dict[str, Run]) -> None:
    for name, run in story.items():
        assert set(run.states.values()) == {"success"}, f"{name}: {run.log}"
    assert story["by_functions"].xcom("online", "view") == "user_risk"
    assert Artifact.open(story["by_functions"].xcom("risk")).manifest.rows == 300
    parts = story["by_project"]
    rows = [Artifact.open(parts.xcom(f"ingest[{index}]")).manifest.rows for index in (0, 1)]
    assert Artifact.open(parts.xcom("validate")).manifest.rows == sum(rows) > 0
