"""The operators on a real Airflow: arguments, mapping, intervals without length, retries and failures.

The Dags are in cases/cases.py. They run in one process (`story`), as importing Great Expectations and Feast costs more
than all runs together; each test looks at its part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe import sample
from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.feature_extraction import compare
from tests.operators.home import Run, Step, new_airflow
from tests.servers import free_ports

if TYPE_CHECKING:
    from airflow_provider_mlpipe.sample import Sample

pytestmark = pytest.mark.airflow

INTERVAL = "20260113T020000Z-20260114T020000Z"
PASSWORD = "hunter2-of-the-tracker"
PRIVATE = "ann.of.the.crew@secret.org"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's sample and artifacts are."""
    return tmp_path_factory.mktemp("operators")


@pytest.fixture(scope="module")
def data(place: Path) -> Sample:
    """The sample that the Dags read."""
    return sample.write(place / "sample")


@pytest.fixture(scope="module")
def story(place: Path, data: Sample) -> dict[str, Run]:
    """One run of each Dag of cases.py, and of `no_length` one without a logical date."""
    (port,) = free_ports()
    theirs = place / "theirs" / "people.csv"
    theirs.parent.mkdir()
    theirs.write_text(f"id,age,email\n1,30,{PRIVATE}\n2,200,{PRIVATE}\n")
    down = {"conn_type": "postgres", "host": "127.0.0.1", "port": port, "login": "ann", "password": PASSWORD}
    airflow = new_airflow(place).with_env(
        AIRFLOW__CORE__DAGS_FOLDER=str(Path(__file__).with_name("cases")),
        AIRFLOW_CONN_TRACKER=json.dumps({"conn_type": "sqlite", "host": str(data.database)}),
        AIRFLOW_CONN_SERVER_THAT_IS_DOWN=json.dumps({**down, "schema": "tracker"}),
        AIRFLOW_VAR_ROOT=str(place / "elsewhere"),
        AIRFLOW_VAR_THEIRS=str(theirs),
    )
    steps = {
        "choices": Step("choices", "2026-01-15"),
        "outcomes": Step("outcomes", "2026-01-15"),
        "mapped": Step("mapped", "2026-01-15"),
        "partitions": Step("partitions", "2026-01-15"),
        "since": Step("since", "2026-01-15"),
        "no_length": Step("no_length", "2026-01-15"),
        "no_date": Step("no_length", None),
        "publishes": Step("publishes", "2026-01-15"),
        "takes_up": Step("takes_up", None),
        "failures": Step("failures", "2026-01-15"),
    }
    return dict(zip(steps, airflow.run(*steps.values()), strict=True))


def test_arguments_are_templates_and_decide(story: dict[str, Run], place: Path) -> None:
    """dataset, conn_id, as_of, artifact_root and a mapping as config, on one task."""
    artifact = Artifact.open(story["choices"].xcom("people"))

    assert artifact.uri == f"{place}/elsewhere/crew/raw/{INTERVAL}"
    assert artifact.manifest.details["window"][1].startswith("2026-01-07T02:00:00")
    # Without them the same source goes to the default root, under its own name, as of the interval's end.
    usual = Artifact.open(story["mapped"].xcom("ingest[0]"))
    assert usual.uri == f"{place}/airflow/mlpipe/people/raw/{INTERVAL}-m0000"
    assert usual.manifest.rows > artifact.manifest.rows > 0


def test_a_manifest_says_who_wrote_it(story: dict[str, Run]) -> None:
    run = Artifact.open(story["mapped"].xcom("ingest[1]")).manifest.run

    assert (run["dag_id"], run["task_id"], run["map_index"], run["try_number"]) == ("mapped", "ingest", 1, 1)
    assert run["run_id"] == story["mapped"].run_id
    assert [text[:16] for text in run["interval"]] == ["2026-01-13T02:00", "2026-01-14T02:00"]


def test_data_that_failed_without_failing_the_task_still_does_not_go_online(story: dict[str, Run]) -> None:
    run = story["choices"]

    assert run.states["judged"] == "success"
    assert run.xcom("judged", "validation")["passed"] is False
    assert run.xcom("judged", "validation")["errors"] == 1
    assert run.states["gate"] == "failed"
    assert run.tasks["gate"]["try_number"] == 1
    assert run.states["no_gate"] == "success", "store={'require_validation': False} opens the gate"
    assert "ERROR FAILED" in run.log


def test_rows_are_taken_out_and_features_of_the_others_go_online(story: dict[str, Run]) -> None:
    run = story["outcomes"]

    assert {run.states[task] for task in ("people", "today", "checked", "features", "gate")} == {"success"}
    passed_on = run.xcom("checked")
    assert passed_on["activity"] == run.xcom("today"), "nothing was wrong with it, so it is passed on as it is"
    clean, raw = Artifact.open(passed_on["people"]), Artifact.open(run.xcom("people"))
    assert clean.uri.endswith(f"/people/validated/{INTERVAL}")
    assert (raw.verdict() or {})["passed"] is False
    assert max(age for age in clean.table()["age"].to_pylist() if age is not None) <= 30
    bad = Artifact.open(run.xcom("checked", "quarantine")["people"])
    assert clean.manifest.rows + bad.manifest.rows == raw.manifest.rows
    assert run.xcom("checked", "quarantine")["activity"] is None
    told = run.xcom("checked", "validation")
    assert (told["people"]["passed"], told["people"]["rows_quarantined"]) == (True, bad.manifest.rows)
    assert run.xcom("checked", "metrics")["rows_quarantined"] == bad.manifest.rows
    assert Artifact.open(run.xcom("features")).manifest.rows == clean.manifest.rows


def test_a_file_that_no_task_wrote_is_judged_and_its_folder_left_alone(story: dict[str, Run], place: Path) -> None:
    run = story["outcomes"]

    assert run.states["theirs"] == "failed"
    assert run.tasks["theirs"]["try_number"] == 1
    assert "No rows were taken out: at least 1 of 2 rows (50 %) would go to quarantine" in run.log
    assert [path.name for path in (place / "theirs").iterdir()] == ["people.csv"]
    home = place / "airflow" / "mlpipe" / "theirs" / "external" / INTERVAL
    assert {"_manifest.json", "_validation.json", "_report.html"} <= {path.name for path in home.iterdir()}


def test_sensitive_values_are_in_no_log_xcom_or_report(story: dict[str, Run], place: Path) -> None:
    run = story["outcomes"]
    emails = [PRIVATE, *Artifact.open(run.xcom("people")).table()["email"].to_pylist()]

    told = run.log + json.dumps(run.tasks)
    root = place / "airflow" / "mlpipe"
    for folder in ("theirs/external", "people/raw", "people/validated", "people/validated-quarantine"):
        told += "".join(file.read_text(errors="replace") for file in (root / folder / INTERVAL).glob("_*"))
    assert not [email for email in emails if email in told]


def test_mapped_tasks_do_not_get_in_each_others_way(story: dict[str, Run]) -> None:
    run = story["mapped"]

    assert set(run.states.values()) == {"success"}
    assert len(run.states) == 4
    for index in (0, 1):
        assert run.xcom(f"ingest[{index}]").endswith(f"{INTERVAL}-m{index:04d}")
        assert run.xcom(f"validate[{index}]") == run.xcom(f"ingest[{index}]")


def test_mapped_parts_are_merged_and_a_history_holds_the_same_day(story: dict[str, Run], place: Path) -> None:
    run = story["choices"]
    merged, history = Artifact.open(run.xcom("merged")), Artifact.open(run.xcom("history"))

    assert merged.uri == f"{place}/elsewhere/user_features/features/{INTERVAL}"
    parts = [Artifact.open(run.xcom(f"parts[{index}]")) for index in range(2)]
    assert [part.uri.split("/")[-2:] for part in parts] == [
        ["features-chunks", f"{INTERVAL}-m{index:04d}"] for index in range(2)
    ]
    assert sum(part.manifest.rows for part in parts) == merged.manifest.rows
    assert [day["as_of"][:16] for day in history.manifest.details["days"]] == [
        "2026-01-12T02:00", "2026-01-13T02:00", "2026-01-14T02:00",
    ]  # fmt: skip
    assert compare(history, [merged]) == ()


def test_partitions_read_by_mapped_tasks_are_one_artifact_to_what_follows(
    story: dict[str, Run], data: Sample, place: Path
) -> None:
    run = story["partitions"]

    assert run.states["checked"] == run.states["features"] == "success"
    parts = [Artifact.open(run.xcom(f"people[{index}]")) for index in range(3)]
    assert [part.manifest.partition for part in parts] == [f"{INTERVAL}-m{index:04d}" for index in range(3)]
    together = Artifact.open(run.xcom("checked"))
    assert together.uri == f"{place}/elsewhere/partitions/people/raw-all/{INTERVAL}"
    assert together.manifest.rows == sum(part.manifest.rows for part in parts) == data.rows["users"]
    assert {item.uri for item in together.manifest.inputs} == {part.uri for part in parts}
    assert len(set(together.table()["user_id"].to_pylist())) == data.rows["users"]
    assert not list((place / "elsewhere/partitions/people/raw-all" / INTERVAL).glob("*.parquet")), "no row is copied"
    assert (together.verdict() or {})["passed"] is True
    assert Artifact.open(run.xcom("features")).manifest.rows == data.rows["users"]


def test_parameters_need_a_query(story: dict[str, Run]) -> None:
    assert story["partitions"].states["no_query"] == "failed"
    assert "source 'people' has no query that they could be values of" in story["partitions"].log


def test_a_test_run_reads_the_watermark_of_the_asset_and_leaves_it(story: dict[str, Run], place: Path) -> None:
    run = story["since"]
    artifact = Artifact.open(run.xcom("since"))

    assert run.xcom("production") == "2026-01-14T00:00:00+00:00"
    assert artifact.manifest.details["window"][0] == "2026-01-14T00:00:00+00:00"
    assert artifact.manifest.details["window"][1].startswith("2026-01-15")
    assert artifact.manifest.rows > 0
    assert run.xcom("after") == "2026-01-14T00:00:00+00:00", "`dags test` shares production's database"
    assert "the watermark is not moved" in run.log
    assert not (place / "airflow/mlpipe/since/raw/_watermark.json").exists()


def test_an_event_of_an_asset_says_what_was_published(story: dict[str, Run]) -> None:
    run = story["publishes"]
    events = story["takes_up"].xcom("events")
    artifact = Artifact.open(run.xcom("in_a_group.people"))

    (people,), (checked,) = events["people"], events["checked"]
    assert people["artifact"] == checked["artifact"] == artifact.uri
    assert (people["rows"], people["fingerprint"]) == (artifact.manifest.rows, artifact.fingerprint)
    assert people["schema_hash"] == checked["schema_hash"]
    assert "verdict" not in people, "nobody had judged it then"
    assert checked["verdict"]["passed"] is True
    assert (checked["verdict"]["warnings"], checked["verdict"]["rules_failed"]) == (1, 1)
    assert checked["report"] == run.xcom("checked", "report")


def test_each_asset_of_a_task_that_publishes_several_gets_its_own(story: dict[str, Run]) -> None:
    events = story["takes_up"].xcom("events")

    (today,), (both,) = events["today"], events["both"]
    assert today["artifact"] == story["publishes"].xcom("in_a_group.today")
    assert set(both["artifacts"]) == {"people", "today"}
    assert both["artifacts"]["today"] == today


def test_data_that_was_refused_sends_no_event(story: dict[str, Run]) -> None:
    assert story["publishes"].states["blocked"] == "failed"
    assert story["takes_up"].xcom("events")["blocked"] == []


def test_a_dag_takes_the_artifact_from_the_event(story: dict[str, Run]) -> None:
    run = story["takes_up"]

    assert run.xcom("newest") == run.xcom("by_alias") == story["publishes"].xcom("in_a_group.people")
    told = run.xcom("events")
    assert told["crowd"] == told["people"]
    assert run.xcom("by_name") == {"mine": story["publishes"].xcom("in_a_group.people")}


def test_an_asset_that_never_had_an_artifact_is_said_to_have_none(story: dict[str, Run]) -> None:
    run = story["takes_up"]

    assert (run.states["nothing"], run.tasks["nothing"]["try_number"]) == ("failed", 1)
    said = "task nothing: artifact_of(blocked): no event of this asset"
    lines = [line for line in run.log.splitlines() if said in line]
    assert len(lines) == 1, run.log


def test_an_interval_without_length_falls_back_to_the_logical_date_and_the_log_explains(story: dict[str, Run]) -> None:
    run = story["no_length"]
    artifact = Artifact.open(run.xcom("people"))

    assert run.interval[0] == run.interval[1]
    assert artifact.manifest.details["window"][1].startswith(run.interval[1][:10])
    assert artifact.manifest.partition.startswith("run-manual__")
    assert "a data interval of no length" in run.log
    assert "CronDataIntervalTimetable" in run.log


def test_a_window_of_one_interval_is_refused_if_there_is_none(story: dict[str, Run]) -> None:
    """`window: interval` on an interval without length would read nothing, every day, and call it success."""
    run = story["no_length"]

    assert run.states["today"] == "failed"
    assert run.tasks["today"]["try_number"] == 1
    assert "needs a data interval that has a length" in run.log


def test_a_run_without_a_logical_date_is_about_when_it_was_triggered(story: dict[str, Run], data: Sample) -> None:
    artifact = Artifact.open(story["no_date"].xcom("people"))

    assert "no data interval" in story["no_date"].log
    # That is now, after the sample's end: everybody is there.
    assert artifact.manifest.rows == data.rows["users"]


def test_a_server_that_is_down_is_tried_again(story: dict[str, Run]) -> None:
    refused = story["failures"].tasks["refused"]

    assert refused["state"] == "failed"
    assert refused["try_number"] == 3, "one try and two retries"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("no_table", "no_such_table"),
        ("no_source", "Did you mean 'people'?"),
        ("no_config", "config_folder"),
        ("no_connection", "no Airflow connection named 'absent'"),
        ("no_artifact", "no artifact at /absent"),
    ],
)
def test_what_no_retry_can_mend_is_not_tried_again(story: dict[str, Run], task: str, message: str) -> None:
    run = story["failures"]

    assert run.states[task] == "failed"
    assert run.tasks[task]["try_number"] == 1
    assert message in run.log


def test_no_secret_reaches_log_xcom_or_artifact(story: dict[str, Run], place: Path) -> None:
    for run in story.values():
        assert PASSWORD not in run.log
        assert PASSWORD not in json.dumps(run.tasks)
    for file in [*place.rglob("*.json"), *place.rglob("*.log"), *place.rglob("*.html")]:
        assert PASSWORD not in file.read_text(errors="replace"), file
