"""The example pipeline on the sample: it ends with features online, or stops where the data is bad.

Every run here is a run of the Dag file that people copy, with the three YAML files beside it, on a real Airflow with a
real database. They happen in one process (`story`), because importing Great Expectations and Feast costs more than
all runs together; each test looks at its part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from tests.operators.home import REPOSITORY, Airflow, Run, Step, new_airflow

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.airflow

DAG = "user_feature_pipeline"
TASKS = {"ingest_users", "ingest_activity", "validate_users", "validate_activity", "extract_features", "materialize"}
DATES = ("2026-01-15", "2026-01-16", "2026-01-17")
FLAWS = {
    # flaw: the rule's key in the YAML, the column, and how the log counts
    "duplicate-key": ("unique_columns", "user_id"),
    "null-email": ("required_columns", "email"),
    "age-200": ("range_constraints", "age"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the samples and the artifacts of this module are."""
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def users(place: Path) -> list[str]:
    """Three users who are there from the beginning."""
    return ["u_0001", "u_0002", "u_0003"]


@pytest.fixture(scope="module")
def story(place: Path, users: list[str]) -> dict[str, Run]:
    """All runs by name: days in order, one of them again, days in reverse, and one per flaw."""
    steps: dict[str, Step] = {}

    def root(name: str) -> dict[str, str]:
        return {"AIRFLOW__MLPIPE__ARTIFACT_ROOT": str(place / name)}

    good = {"MLPIPE_SAMPLE_DB": sample.write(place / "good").url}
    for date in DATES:
        steps[f"forward {date}"] = Step(DAG, date, env=good | root("forward"), online=users)
    steps["again"] = Step(DAG, DATES[2], env=good | root("forward"), online=users)
    for date in reversed(DATES):
        steps[f"reverse {date}"] = Step(DAG, date, env=good | root("reverse"), online=users)
    for position, flaw in enumerate(FLAWS):
        url = sample.write(place / "samples" / flaw, broken=[flaw]).url
        steps[flaw] = Step(DAG, DATES[position], env={"MLPIPE_SAMPLE_DB": url} | root(flaw))
    airflow = new_airflow(place).with_env(AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"))
    return dict(zip(steps, airflow.run(*steps.values()), strict=True))


def test_it_runs_as_the_readme_says(airflow: Airflow, tmp_path: Path) -> None:
    """`airflow dags test user_feature_pipeline 2026-01-15` from the repository, with nothing but a sample."""
    data = sample.write(tmp_path / "sample")
    here = airflow.with_env(AIRFLOW__CORE__DAGS_FOLDER=str(REPOSITORY / "dags"), MLPIPE_SAMPLE_DB=data.url)

    done = here.command("dags", "test", DAG, "2026-01-15")

    assert done.returncode == 0, done.stdout + done.stderr
    features = Artifact.open(str(here.artifacts / "user_features" / "features" / "20260113T020000Z-20260114T020000Z"))
    assert features.manifest.rows > 0


def test_every_task_succeeds_at_its_first_try(story: dict[str, Run]) -> None:
    run = story[f"forward {DATES[0]}"]

    assert run.states == dict.fromkeys(TASKS, "success")
    assert {task["try_number"] for task in run.tasks.values()} == {1}


def test_a_run_covers_the_day_before_two_oclock_and_artifacts_are_named_after_it(story: dict[str, Run]) -> None:
    run = story[f"forward {DATES[0]}"]

    assert [text[:16] for text in run.interval] == ["2026-01-13 02:00", "2026-01-14 02:00"]
    for task in TASKS:
        assert run.xcom(task).endswith("/20260113T020000Z-20260114T020000Z")
    assert Artifact.open(run.xcom("extract_features")).manifest.details["as_of"].startswith("2026-01-14T02:00:00")


def test_xcom_carries_addresses_and_small_numbers_only(story: dict[str, Run]) -> None:
    run = story[f"forward {DATES[0]}"]

    assert run.xcom("validate_users") == run.xcom("ingest_users")
    assert run.xcom("materialize") == run.xcom("extract_features")
    assert run.xcom("materialize", "view") == "user_profile_features"
    assert run.xcom("validate_users", "validation")["passed"] is True
    assert run.xcom("validate_users", "report") == run.xcom("ingest_users") + "/_report.html"
    rows = Artifact.open(run.xcom("ingest_users")).manifest.rows
    assert run.xcom("ingest_users", "metrics")["records_written"] == rows
    assert run.xcom("materialize", "metrics")["mismatches"] == 0
    for task in TASKS:
        assert len(str(run.tasks[task]["xcoms"])) < 4000


def test_what_the_store_answers_is_what_the_artifact_holds(story: dict[str, Run], users: list[str]) -> None:
    run = story[f"forward {DATES[0]}"]
    table = Artifact.open(run.xcom("extract_features")).table().to_pylist()
    computed = {row["user_id"]: row for row in table}

    for row in run.online:
        features = {name: value for name, value in row.items() if name != "user_id"}
        assert features
        for name, value in features.items():
            assert value == pytest.approx(computed[row["user_id"]][name]), (row["user_id"], name)
    assert [row["user_id"] for row in run.online] == users


def test_the_log_tells_what_happened_in_a_line_per_stage(story: dict[str, Run]) -> None:
    log = story[f"forward {DATES[0]}"].log

    for line in ("Ingested user_data:", "Ingested activity_data:", "Validated user_data:", "Extracted user_features",
                 "Materialized user_profile_features:"):  # fmt: skip
        assert log.count(line) == 1, line
    assert "Traceback" not in log


def test_the_same_interval_again_is_the_same_place_and_content(story: dict[str, Run]) -> None:
    first, again = story[f"forward {DATES[2]}"], story["again"]

    for task in TASKS:
        assert again.xcom(task) == first.xcom(task)
    assert again.states == dict.fromkeys(TASKS, "success")
    assert again.online == first.online


def test_days_in_any_order_give_the_same_artifacts(story: dict[str, Run]) -> None:
    for date in DATES:
        forward, reverse = story[f"forward {date}"], story[f"reverse {date}"]
        for task in ("ingest_users", "ingest_activity", "extract_features"):
            one, other = Artifact.open(forward.xcom(task)), Artifact.open(reverse.xcom(task))
            assert one.fingerprint == other.fingerprint, (date, task)
            assert one.uri != other.uri


def test_each_day_has_its_own_rows(story: dict[str, Run]) -> None:
    prints = [Artifact.open(story[f"forward {date}"].xcom("extract_features")).fingerprint for date in DATES]

    assert len(set(prints)) == len(DATES)


def test_the_newest_day_stays_online_whatever_order_the_days_came_in(story: dict[str, Run]) -> None:
    newest = story[f"forward {DATES[-1]}"].online

    assert story[f"reverse {DATES[-1]}"].online == newest
    assert story[f"reverse {DATES[0]}"].online == newest, "an older day went over a newer one"


@pytest.mark.parametrize("flaw", FLAWS)
def test_bad_data_stops_at_validation_without_a_retry(story: dict[str, Run], flaw: str) -> None:
    run = story[flaw]

    assert run.state == "failed"
    assert run.states == {
        "ingest_users": "success",
        "ingest_activity": "success",
        "validate_users": "failed",
        "validate_activity": "success",
        "extract_features": "upstream_failed",
        "materialize": "upstream_failed",
    }
    assert run.tasks["validate_users"]["try_number"] == 1


@pytest.mark.parametrize("flaw", FLAWS)
def test_bad_data_leaves_verdict_and_report_and_nothing_online(story: dict[str, Run], flaw: str, place: Path) -> None:
    run = story[flaw]
    judged = Artifact.open(run.xcom("ingest_users"))
    verdict = judged.verdict()

    assert verdict is not None
    assert verdict["passed"] is False
    assert run.xcom("validate_users", "validation")["passed"] is False
    report = judged.read_beside("_report.html")
    assert report is not None
    assert run.xcom("validate_users", "report") == f"{judged.uri}/_report.html"
    assert not list((place / flaw).rglob("*online*"))
    assert not (place / flaw / "user_features").exists()


@pytest.mark.parametrize(("flaw", "key", "column"), [(flaw, *named) for flaw, named in FLAWS.items()])
def test_the_log_names_rule_column_counts_samples_and_line(
    story: dict[str, Run], flaw: str, key: str, column: str
) -> None:
    log = story[flaw].log
    config = REPOSITORY / "config" / "validation_config.yaml"
    line = next(number for number, text in enumerate(config.read_text().splitlines(), 1) if key in text)

    assert f"validation_config.yaml:{line}" in log
    assert column in log
    rows = Artifact.open(story[flaw].xcom("ingest_users")).manifest.rows
    assert f"of {rows}" in log.replace(",", "")
