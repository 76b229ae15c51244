"""Apply, materialize, wait for freshness, push, on a real Airflow, with Feast where a connection of its type says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import open_store
from tests.feature_store.feature_artifacts import VIEW, expected, features, online, scores
from tests.operators.home import Run, Step, new_airflow

pytestmark = pytest.mark.airflow

TODAY, TOMORROW = scores(30, seed=1), scores(10, seed=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feast-operators")


@pytest.fixture(scope="module")
def root(place: Path) -> Storage:
    """Airflow's default artifact root."""
    return Storage(str(place / "airflow" / "mlpipe"))


@pytest.fixture(scope="module")
def run(place: Path, root: Storage) -> Run:
    """One run of the Dag, for the day whose end is when TODAY was computed."""
    airflow = new_airflow(place)
    connection = {
        "conn_type": "feast",
        "extra": {"project": "by_connection", "online_connection": str(place / "online.db"), "online_type": "sqlite"},
    }
    ready = airflow.with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).with_name("feast_cases")),
        AIRFLOW_CONN_FEAST_DEFAULT=json.dumps(connection),
        AIRFLOW_VAR_FEAST="feast_default",
        FEATURES_TODAY=features(root, TODAY, day=14).uri,
        FEATURES_TOMORROW=features(root, TOMORROW, day=15).uri,
    )
    (found,) = ready.run(Step("feast", "2026-01-14T02:00:00Z"))
    return found


@pytest.fixture(scope="module")
def store(place: Path) -> FeatureStore:
    return FeatureStore(project="by_connection", online_store={"type": "sqlite", "path": str(place / "online.db")})


def test_each_task_ends_as_it_should(run: Run) -> None:
    assert run.states == {
        **dict.fromkeys(["applied", "materialized", "fresh", "pushed", "tested"], "success"),
        **dict.fromkeys(["too_early", "wrong", "no_view"], "failed"),
    }, run.log


def test_apply_says_what_feast_knows_now(run: Run) -> None:
    assert (run.xcom("applied", "view"), run.xcom("applied", "service")) == (VIEW, f"{VIEW}_service")
    assert run.xcom("applied") == run.xcom("materialized")


def test_the_connection_says_where_and_the_file_how(run: Run, root: Storage, store: FeatureStore) -> None:
    assert run.xcom("materialized", "metrics")["rows_materialized"] == 30
    assert run.xcom("materialized", "metrics")["rows_read_back"] == 5
    assert [view.name for view in open_store(store, root).list_feature_views()] == [VIEW]


def test_the_sensor_is_about_the_runs_moment(run: Run) -> None:
    found = run.xcom("fresh")

    assert (found["view"], found["place"], found["age_seconds"]) == (VIEW, "registry", 0.0)
    assert found["newest"] == found["as_of"] == "2026-01-14T02:00:00+00:00"
    assert f"{VIEW} is not fresh as of 2026-01-13T02:00:00+00:00: newest in offline: nothing" in run.log


def test_a_push_is_served(run: Run, root: Storage, store: FeatureStore) -> None:
    assert run.xcom("pushed", "metrics")["rows_materialized"] == 10
    assert online(store, root, TOMORROW) == expected(TOMORROW)
    assert online(store, root, TODAY.slice(10)) == expected(TODAY.slice(10))


def test_the_test_button_says_what_is_there(run: Run) -> None:
    assert run.xcom("tested") == [True, f"Registry and online store answer. Feature views: {VIEW}."]


def test_what_a_retry_cannot_mend_is_not_tried_again(run: Run) -> None:
    assert {name: run.tasks[name]["try_number"] for name in ("wrong", "no_view")} == {"wrong": 1, "no_view": 1}
    assert "no place named 'onlin'. Did you mean 'online'?" in run.log
    assert f"no feature view named 'user_profiles'. Did you mean '{VIEW}'?" in run.log
