"""Decorated functions and pipelines on a real Airflow: what each publishes, and what is said of a wrong one.

The Dags are in cases/functions.py. They run in one process (`story`); each test looks at its part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Run, Step, new_airflow

if TYPE_CHECKING:
    from typing import Any

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

CASES = Path(__file__).with_name("cases")
INTERVAL = "20260113T020000Z-20260114T020000Z"
DAGS = ("functions", "mapped_functions", "refused_functions", "pipelines", "mapped_pipelines")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of each Dag."""
    place = tmp_path_factory.mktemp("decorators")
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(CASES),
        AIRFLOW__MLPIPE__CONFIG_FOLDER=str(REPOSITORY / "config"),
        MLPIPE_SAMPLE_DB=sample.write(place / "sample").url,
    )
    return dict(zip(DAGS, airflow.run(*(Step(dag, "2026-01-15") for dag in DAGS)), strict=True))


def rows_of(run: Run, task: str) -> list[dict[str, Any]]:
    return Artifact.open(run.xcom(task)).table().to_pylist()


def test_rows_of_a_generator_pass_the_contract(story: dict[str, Run]) -> None:
    """By the decorator's types, keys and required columns; what does not fit goes to the quarantine."""
    run = story["functions"]
    artifact = Artifact.open(run.xcom("people"))

    assert artifact.uri.endswith(f"/crew/raw/{INTERVAL}")
    assert [(row["user_id"], row["age"]) for row in artifact.table().to_pylist()] == [("ann", 41), ("ben", 31)]
    metrics = run.xcom("people", "metrics")
    assert (metrics["records_read"], metrics["records_failed"], metrics["duplicates_dropped"]) == (4, 1, 1)
    (bad,) = Artifact.open(artifact.manifest.details["quarantine"]).table().to_pylist()
    assert "cleo" in json.dumps(bad, default=str)


def test_rules_go_by_the_artifact_that_the_function_is_given(story: dict[str, Run]) -> None:
    run = story["functions"]

    assert run.states["check"] == run.states["check_activity"] == "success", run.log
    assert run.xcom("check") == run.xcom("people")
    # The age of 41 breaks a WARNING, with the default of a parameter; the reference to the crew holds.
    assert run.xcom("check", "validation")["warnings"] == 1
    assert run.xcom("check_activity", "validation")["passed"] is True


def test_a_declaration_is_computed_as_of_the_run(story: dict[str, Run]) -> None:
    run = story["functions"]
    features = Artifact.open(run.xcom("crew_features"))

    assert {row["user_id"]: row["tasks_completed_7d"] for row in features.table().to_pylist()} == {"ann": 2, "ben": 1}
    assert features.manifest.details["feast"]["tags"] == {"team": "growth"}
    assert features.read_beside("_proof.json") is not None
    assert run.xcom("online", "view") == "crew_features"


def test_a_table_is_published_stamped_and_served(story: dict[str, Run]) -> None:
    run = story["functions"]
    scores = Artifact.open(run.xcom("scores"))

    assert scores.uri.endswith(f"/scores/features/{INTERVAL}")
    assert {row["user_id"]: row["score"] for row in scores.table().to_pylist()} == {"ann": 0.41, "ben": 0.31}
    assert {row["event_timestamp"].isoformat() for row in scores.table().to_pylist()} == {"2026-01-14T02:00:00+00:00"}
    assert scores.manifest.details["computed_by"].startswith("scores() at ")
    # The gate asked for the verdict of what the table was computed from.
    assert [item.name for item in scores.manifest.inputs] == ["users"]
    assert scores.read_beside("_proof.json") is None
    assert run.xcom("scores_online", "view") == "scores"
    assert run.xcom("scores_online", "metrics")["mismatches"] == 0


def test_mapped_functions_publish_apart_and_are_taken_together(story: dict[str, Run]) -> None:
    run = story["mapped_functions"]

    assert set(run.states.values()) == {"success"}, run.log
    assert [Artifact.open(run.xcom(f"tables[{index}]")).manifest.rows for index in (0, 1)] == [3, 3]
    assert [run.xcom(f"each[{index}]") for index in (0, 1)] == [run.xcom(f"tables[{index}]") for index in (0, 1)]
    assert run.xcom("parts[1]").endswith(f"/parts/raw/{INTERVAL}-m0001")
    assert Artifact.open(run.xcom("together")).manifest.rows == 5


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("nothing", "nothing(): returned nothing, not rows, a table or a source"),
        ("a_path", "a_path(): returned a str, not rows, a table or a source"),
        ("one_row", "A source has a type; one row is [row]."),
        ("rows_for_a_database", "type: database reads its rows by itself, and a function gave some"),
        ("no_rules", "no_rules(): returned a list, not rules"),
        ("no_artifact", "'crew' of check(): is 3, an int, not an artifact's address"),
        ("user_numbers", "user_numbers(): returned an int, not a declaration or a table"),
        ("twice", "1 of 2 keys come more than once, such as 'ann'"),
        ("user_stamped", "event_timestamp is set by the run"),
        ("wrong_source", "wrong_source(): unknown key 'tabel'"),
        ("wrong_options", "wrong_options(): unknown key 'required_column'"),
        ("wrong_rules", "wrong_rules(): unknown key 'most' in crew.range_constraints.age"),
        ("broken_rules", "broken_rules()"),
        ("wrong_features", "wrong_features()"),
        ("user_windowed", "aggregation_window: says how to compute features, and they came as a table"),
    ],
)
def test_a_wrong_function_is_told_what_and_where_without_a_retry(story: dict[str, Run], task: str, said: str) -> None:
    run = story["refused_functions"]

    assert run.states[task] == "failed"
    assert run.tasks[task]["try_number"] == 1
    assert said in run.log.replace("\\'", "'")
    if f"{task}()" in said:
        source = (CASES / "functions.py").read_text().splitlines()
        line = 1 + source.index(next(text for text in source if text.startswith(f"def {task}("))) - 1
        assert f"functions.py:{line}: {task}()" in run.log


def test_an_error_of_the_function_is_the_tasks_and_is_retried(story: dict[str, Run]) -> None:
    run = story["refused_functions"]

    assert run.tasks["broken"]["try_number"] == 2
    assert "LookupError: page 2 is gone" in run.log
    assert not Path(run.xcom("people")).parents[2].joinpath("broken", "raw", INTERVAL, "_manifest.json").exists()


def test_a_pipeline_goes_from_the_files_to_the_store_and_is_shared(story: dict[str, Run]) -> None:
    run = story["pipelines"]

    assert run.states == dict.fromkeys(
        [f"user_features.{task}" for task in (
            "ingest_users", "validate_users", "ingest_activity", "validate_activity", "extract", "materialize")]
        + ["more.user_loads.extract", "more.user_loads.materialize"],
        "success",
    ), run.log  # fmt: skip
    first, more = (Artifact.open(run.xcom(f"{group}.extract")) for group in ("user_features", "more.user_loads"))
    assert first.manifest.rows == more.manifest.rows > 200
    assert [item.fingerprint for item in first.manifest.inputs] == [item.fingerprint for item in more.manifest.inputs]
    assert run.xcom("more.user_loads.materialize", "metrics")["rows_materialized"] == more.manifest.rows


def test_a_pipeline_in_a_mapped_group_runs_for_each(story: dict[str, Run]) -> None:
    run = story["mapped_pipelines"]

    assert set(run.states.values()) == {"success"}, run.log
    teams = [{row["team_id"] for row in rows_of(run, f"of_team.user_features.validate_users[{i}]")} for i in (0, 1)]
    assert teams == [{"atlas-backend"}, {"cobalt-devops"}]
    features = [Artifact.open(run.xcom(f"of_team.user_features.extract[{i}]")) for i in (0, 1)]
    assert [item.manifest.partition for item in features] == [f"{INTERVAL}-m0000", f"{INTERVAL}-m0001"]
    assert features[0].fingerprint != features[1].fingerprint
