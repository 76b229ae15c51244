"""What others see of a run on the Airflow that is installed: assets, OpenLineage, StatsD, messages, and the tab.

One Dag runs once, each task in a process of its own as on a worker; then that version's own API server is asked.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.links.addresses import RUN_TAB, TAB, page, tab
from tests.operators.home import REPOSITORY, Run, Step
from tests.plugins.site import SECRET, Server, Site, served
from tests.servers.airflow_services import Api
from tests.servers.receivers import datagrams

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

LIES = {"linked": 403, "pipe": 403, "../secret": 403, "absent": 404}
"""Folders below the artifact root whose report a task claims, and how it is answered."""


@dataclass
class Seen:
    """What was received from the run of `cases/watched.py`."""

    site: Site
    datagrams: list[str]

    @property
    def run(self) -> Run:
        """The run."""
        return self.site.runs["watched"]

    def event(self, task: str, kind: str) -> dict[str, Any]:
        """Return OpenLineage's event of a task."""
        lines = (self.site.airflow.home / "lineage.json").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        (found,) = [one for one in told if one["job"]["name"] == f"watched.{task}" and one["eventType"] == kind]
        return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    place, received = tmp_path_factory.mktemp("face"), list[str]()
    dags = place / "dags"
    dags.mkdir()
    for name, file in {"watched": "airflow_versions/cases/watched.py", "pages": "plugins/cases/pages.py"}.items():
        (dags / f"{name}.py").write_text((REPOSITORY / "tests" / file).read_text())
    root = place / "airflow" / "mlpipe"
    with datagrams(received) as port:
        site = Site.new(
            place,
            AIRFLOW__CORE__DAGS_FOLDER=str(dags),
            AIRFLOW__CORE__EXECUTOR="tests.operators.supervised.SupervisedExecutor",
            AIRFLOW__OPENLINEAGE__TRANSPORT=json.dumps(
                {"type": "file", "log_file_path": str(place / "airflow" / "lineage.json"), "append": True}
            ),
            AIRFLOW__METRICS__STATSD_ON="True",
            AIRFLOW__METRICS__STATSD_HOST="127.0.0.1",
            AIRFLOW__METRICS__STATSD_PORT=str(port),
            AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED="True",
            MLPIPE_TEST_LIES=json.dumps([f"{root}/{lie}/_report.html" for lie in LIES]),
        )
        with closing(sqlite3.connect(site.files / "news.db")) as connection, connection:
            connection.execute("CREATE TABLE news (id INTEGER, at TIMESTAMP)")
            connection.execute("INSERT INTO news VALUES (1, '2026-01-13 10:00:00')")
        site.run(watched=Step("watched", "2026-01-16"), liar=Step("liar", None))
    site.lay_traps()
    return Seen(site, received)


@pytest.fixture(scope="module")
def server(seen: Seen) -> Iterator[Server]:
    with served(seen.site, AIRFLOW__CORE__EXECUTOR="LocalExecutor", AIRFLOW__OPENLINEAGE__DISABLED="True") as server:
        yield server
    assert [line for line in seen.site.complaints() if "mlpipe" in line] == []


def test_the_run_is_what_the_tests_are_about(seen: Seen) -> None:
    done = dict.fromkeys(["people", "by_asset", "news", "keeps_state"], "success")
    assert seen.run.states == {**done, "judged": "failed"}, seen.run.log


# ------------------------------------------------------------------ assets


def test_the_event_of_an_asset_says_what_was_published(seen: Seen, server: Server) -> None:
    api = Api(server.url, server.of("viewer").token)
    (asset,) = api.get("/api/v2/assets?name_pattern=watched_people")["assets"]
    (event,) = api.get(f"/api/v2/assets/events?asset_id={asset['id']}")["asset_events"]
    artifact = Artifact.open(seen.run.xcom("people"))

    assert event["extra"]["artifact"] == artifact.uri
    assert event["extra"]["fingerprint"] == artifact.fingerprint
    assert event["extra"]["rows"] == 43


def test_a_task_finds_the_artifact_by_the_asset(seen: Seen) -> None:
    assert seen.run.xcom("by_asset", "report") == f"{seen.run.xcom('people')}/_report.html"


def test_before_3_3_a_watermark_is_kept_in_a_file(seen: Seen) -> None:
    keeps_state = seen.run.xcom("keeps_state")
    kept = seen.site.root / "news" / "raw" / "_watermark.json"

    assert keeps_state == (tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3))
    assert kept.exists() != keeps_state


# ------------------------------------------------------------------ OpenLineage, StatsD, messages


def test_openlineage_is_told_of_inputs_outputs_and_columns(seen: Seen) -> None:
    event = seen.event("people", "COMPLETE")
    (output,), (source,) = event["outputs"], event["inputs"]

    assert output["name"].endswith("/people/raw")
    assert source["name"].startswith(str(seen.site.files))
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 43
    assert [one["field"] for one in output["facets"]["columnLineage"]["fields"]["age"]["inputFields"]] == ["age"]
    assert {field["name"] for field in output["facets"]["schema"]["fields"]} > {"id", "age"}
    seen.event("people", "START")


def test_openlineage_is_told_which_rule_failed(seen: Seen) -> None:
    (judged,) = seen.event("judged", "FAIL")["inputs"]
    told = judged["inputFacets"]["dataQualityAssertions"]["assertions"]

    assert [(one["assertion"], one["column"]) for one in told if not one["success"]] == [("range", "age")]
    assert judged["inputFacets"]["dataQualityMetrics"]["rowCount"] == 43


def test_statsd_receives_what_a_task_has_in_its_xcom(seen: Seen) -> None:
    found = (re.fullmatch(r"airflow\.(mlpipe\.[^:]+):([-\d.e]+)\|g", text) for text in seen.datagrams)
    gauges = {match[1]: float(match[2]) for match in found if match}
    for task, stage in (("people", "ingest"), ("judged", "validate")):
        metrics = seen.run.xcom(task, "metrics")
        tags = f"dataset=people,dag_id=watched,task_id={task}"
        assert len(metrics) > 8
        assert {name: gauges[f"mlpipe.{stage}.{name},{tags}"] for name in metrics} == metrics


def test_a_message_says_what_became_of_the_data(seen: Seen) -> None:
    assert "[PASSED] watched.people" in seen.run.log
    assert "[FAILED] watched.judged: people: 1 rule of severity ERROR failed" in seen.run.log
    assert "airflow tasks clear watched" in seen.run.log


# ------------------------------------------------------------------ the tab


def test_who_may_see_a_report(seen: Seen, server: Server) -> None:
    viewer = server.of("viewer")
    report = page("watched", seen.run.run_id, "judged")
    for path in (report, f"{report}/report", page("watched", seen.run.run_id)):
        asked = [who.get(path) for who in (server, server.of("stranger"), viewer, server.of("viewer", by_cookie=True))]
        assert [answer.status for answer in asked] == [401, 403, 200, 200], path
        assert not any("people" in refused.text for refused in asked[:2])
    shown = viewer.get(report).text
    assert "Blocked: 1 error" in shown
    assert "age" in shown
    assert viewer.get(f"{report}/report").text == Artifact.open(seen.run.xcom("people")).read_beside(
        "_report.html"
    ).decode()  # fmt: skip


def test_airflow_knows_the_tabs_and_the_button(seen: Seen, server: Server) -> None:
    api, run = Api(server.url, server.of("viewer").token), quote(seen.run.run_id, safe="")
    (plugin,) = [one for one in api.get("/api/v2/plugins?limit=100")["plugins"] if one["name"] == "mlpipe"]
    tabs = {view["destination"]: view["url_route"] for view in plugin["external_views"]}
    links = api.get(f"/api/v2/dags/watched/dagRuns/{run}/taskInstances/judged/links")["extra_links"]

    assert tabs == {"task_instance": TAB, "dag_run": RUN_TAB}
    assert links == {"Validation report": tab("watched", seen.run.run_id, "judged")}


def test_only_files_below_the_artifact_root_are_served(seen: Seen, server: Server) -> None:
    viewer, run = server.of("viewer"), seen.site.runs["liar"].run_id
    for index, (lie, status) in enumerate(LIES.items()):
        for kind in ("", "report"):
            answer = viewer.get(page("liar", run, "lies", index, kind=kind))
            assert answer.status == status, lie
            assert SECRET not in answer.text
