"""The pages themselves: what they say in every state, and that nothing of the data becomes part of them."""

from __future__ import annotations

import base64
import doctest
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.links import addresses
from airflow_provider_mlpipe.plugins import findings
from airflow_provider_mlpipe.plugins.facts import Past, RunRecord, TaskRecord
from airflow_provider_mlpipe.plugins.run_page import run_page
from airflow_provider_mlpipe.plugins.task_page import artifact_page, mapped_page, task_page
from airflow_provider_mlpipe.plugins.vault import Vault
from airflow_provider_mlpipe.reporting.document import palettes
from airflow_provider_mlpipe.run import Run
from airflow_provider_mlpipe.validation import validate

if TYPE_CHECKING:
    from airflow_provider_mlpipe.plugins.layout import Page

HOSTILE = "<script>alert(1)</script>"
AS_OF = datetime(2026, 1, 14, 2, tzinfo=UTC)
RUN = RunRecord(
    dag_id="etl", run_id="manual__1", state="success", run_after=AS_OF, logical_date=None, interval=None
)  # fmt: skip
PASSED = {"passed": True, "errors": 0, "warnings": 0, "skipped": 0, "total_checks": 3, "rows_validated": 9}


def a_task(operator: str = "ValidateOperator", state: str = "success", **xcoms: Any) -> TaskRecord:
    return TaskRecord(
        dag_id="etl", run_id="manual__1", task_id="check", map_index=-1, state=state, operator=operator,
        called=operator, try_number=1, started=AS_OF, ended=AS_OF, xcoms=xcoms,
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, dict[str, Any]]:
    """An artifact with hostile names and values that was judged, and what the operator pushes of it."""
    root = Storage(str(tmp_path_factory.mktemp("artifacts")))
    table = pa.table({"id": [1, 2, 3], HOSTILE: ["<b>bold</b>", None, "x"]})
    described = Description(
        dataset="people", stage="raw", run=Run(run_id="manual__1"), config_hash="", inputs=(),
        details={"source": "<i>source</i>", "location": "db://user@host/x"},
    )  # fmt: skip
    with ArtifactWriter(root, described, table.schema) as writer:
        writer.write_all(table.to_batches())
        artifact = writer.publish({"records_read": 3}, {})
    rules = {"people": {"required_columns": [HOSTILE], "unique_columns": ["id"]}}
    verdict = validate(artifact, config.dataset_rules(rules, "people"), as_of=AS_OF)
    counts = dict(verdict.counts)
    said = {"passed": verdict.passed} | {
        name: counts[name] for name in ("errors", "warnings", "skipped", "total_checks", "rows_validated")
    }
    return artifact, {"return_value": artifact.uri, "validation": said, "report": verdict.report, "metrics": counts}


def vault_of(artifact: Artifact) -> Vault:
    return Vault(str(Path(artifact.uri).parents[2]))


def text_of(page: Page) -> str:
    """Return what a reader sees, more or less."""
    body = page.html().partition("<main>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_report_is_on_the_page_and_nothing_of_the_data_is_markup(judged) -> None:
    artifact, xcoms = judged
    page = task_page(a_task(**xcoms), vault_of(artifact), [])

    assert page.status == 200
    assert "Blocked: 1 error" in text_of(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.html()
    body = page.html().partition("</head>")[2]
    assert "<script" not in body
    assert "<b>bold" not in body


def test_the_policy_names_the_styles_and_the_one_script_and_nothing_else(judged) -> None:
    artifact, xcoms = judged
    page = task_page(a_task(**xcoms), vault_of(artifact), [])
    html, policy = page.html(), page.headers["Content-Security-Policy"]

    for name, source in (("style", "style-src"), ("script", "script-src")):
        (block,) = re.findall(rf"<{name}>(.*?)</{name}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{source} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "private, no-store"


def test_the_palettes_are_those_of_the_reports() -> None:
    light, dark = palettes()

    assert "--page: #f5f6f8" in light
    assert "--page: #0f1318" in dark
    assert set(re.findall(r"--[a-z-]+", light)) == set(re.findall(r"--[a-z-]+", dark))


def test_a_report_that_was_replaced_says_so(judged) -> None:
    artifact, xcoms = judged
    earlier = xcoms | {"validation": xcoms["validation"] | {"passed": True, "errors": 0, "rows_validated": 9}}
    seen = text_of(task_page(a_task(**earlier), vault_of(artifact), []))

    assert "This is a later report" in seen
    assert "it passed, with 0 errors, 0 warnings, of 9 rows" in seen
    assert "This is a later report" not in text_of(task_page(a_task(**xcoms), vault_of(artifact), []))


def test_of_several_the_first_that_did_not_pass_is_shown_unless_one_is_chosen(judged) -> None:
    artifact, xcoms = judged
    gone = f"{vault_of(artifact).root}/gone/raw/p"
    several = {
        "return_value": {"good": gone, HOSTILE: artifact.uri},
        "validation": {"good": PASSED, HOSTILE: xcoms["validation"]},
        "report": {"good": f"{gone}/_report.html", HOSTILE: xcoms["report"]},
        "quarantine": {"good": None, HOSTILE: None},
    }
    shown = task_page(a_task(**several), vault_of(artifact), [], base="/team")
    chosen = task_page(a_task(**several), vault_of(artifact), [], choice="good")

    assert "Blocked: 1 error" in text_of(shown)
    assert 'href="/team/mlpipe/dags/etl/runs/manual__1/tasks/check?artifact=good"' in shown.html()
    assert chosen.status == 404
    assert "it passed, with 0 errors, 0 warnings, of 9 rows" in text_of(chosen)
    assert "artifact=%3Cscript%3Ealert%281%29%3C%2Fscript%3E" in chosen.html()
    assert "<script>alert" not in shown.html() + chosen.html()


@pytest.mark.parametrize(
    ("operator", "state", "said", "reload"),
    [
        ("ValidateOperator", "running", "check is running. Its report will be here when it has ended.", True),
        ("ValidateOperator", "deferred", "check is deferred.", True),
        ("ValidateOperator", "", "check has not begun.", False),
        ("ValidateOperator", "failed", "check failed before it wrote its report. The Logs tab says why", False),
        ("ValidateOperator", "upstream_failed", "check did not run: upstream failed.", False),
        ("SourceIngestOperator", "skipped", "check did not run: skipped.", False),
        ("SourceIngestOperator", "success", "check ended as success and returned no address of an artifact.", False),
        ("BashOperator", "success", "is not one of the operators of airflow-provider-mlpipe. Of those this tab", False),
    ],
)
def test_a_task_with_nothing_to_show_says_why(operator, state, said, reload) -> None:
    page = task_page(a_task(operator, state), Vault("/data"), [])

    assert page.status == 200
    assert said in text_of(page).replace(" . ", ". ").replace(" )", ")")
    assert page.reload is reload
    assert ('http-equiv="refresh"' in page.html()) is reload


def test_what_a_foreign_task_returned_is_not_looked_at() -> None:
    page = task_page(a_task("BashOperator", return_value="/etc"), Vault("/"), [])

    assert page.status == 200
    assert "Nothing to show for this task" in text_of(page)


def test_a_subclass_is_known_by_what_it_pushed(judged) -> None:
    artifact, _ = judged
    mine = a_task("MyIngest", metrics={"records_read": 3, "cpu_seconds": 0.1}, return_value=artifact.uri)
    page = task_page(mine, vault_of(artifact), [])

    seen = text_of(page)
    assert page.status == 200
    for said in ("3 rows", "did not pass validation", "people · raw", "records_read", "db://user@host/x"):
        assert said in seen
    assert "<i>source" not in page.html()


def test_an_artifact_outside_of_the_root_is_named_and_not_read(judged, tmp_path) -> None:
    artifact, xcoms = judged
    for page in (
        task_page(a_task(**xcoms), Vault(str(tmp_path)), []),
        task_page(a_task("SourceIngestOperator", return_value=artifact.uri), Vault(str(tmp_path)), []),
        artifact_page(a_task(**xcoms), Vault(str(tmp_path)), artifact.uri, what="quarantine"),
    ):
        assert page.status == 403
        assert "does not lie below [mlpipe] artifact_root" in text_of(page)
        assert "3 columns" not in text_of(page)


def past_of(*verdicts: dict[str, Any] | None) -> list[Past]:
    return [
        Past(run_id=f"manual__{day}", about=AS_OF - timedelta(days=len(verdicts) - day), validation=verdict)
        for day, verdict in enumerate(verdicts, 1)
    ]


def test_the_run_lists_tasks_verdicts_places_and_the_last_runs() -> None:
    failed = PASSED | {"passed": False, "errors": 2}
    check = a_task(validation=failed, report="/data/people/raw/p/_report.html", quarantine="/data/people/q/p")
    mapped = replace(a_task("SourceIngestOperator", metrics={"records_written": 1234}), task_id="read", map_index=2)
    early = replace(a_task(state="failed"), task_id="early")
    returned = {("read", 2): "/data/people/raw/p", ("check", -1): None}
    past = {("check", -1): past_of(PASSED, None, {"odd": 1}, failed, failed)}
    page = run_page(RUN, [mapped, early, check], returned, past, base="/team")

    seen = text_of(page)
    for said in ("1 verdict of 1 did not pass", "read [2]", "people · raw", "1,234", "2 errors", "/data/people/q/p",
                 "1 of the last 3 runs passed.", "failed"):  # fmt: skip
        assert said in seen
    assert 'href="/team/mlpipe/dags/etl/runs/manual__1/tasks/read?map_index=2"' in page.html()
    assert 'href="/team/mlpipe/dags/etl/runs/manual__1/tasks/check/artifact?of=quarantine"' in page.html()
    assert 'href="/team/mlpipe/dags/etl/runs/manual__4/tasks/check"' in page.html()


@pytest.mark.parametrize(
    ("tasks", "headline"),
    [
        ([], "Nothing to show for this run"),
        ([a_task("SourceIngestOperator")], "Nothing was judged"),
        ([a_task(state="running")], "Nothing was judged yet"),
        ([a_task("SourceIngestOperator", "failed")], "1 task failed"),
        ([a_task(validation=PASSED)], "It passed"),
        ([a_task(validation={"a": PASSED, "b": PASSED | {"warnings": 2}})], "All 2 verdicts passed, with 2 warnings"),
        ([a_task(validation=PASSED | {"rows_quarantined": 1})], "It passed, with 1 row in quarantine"),
        ([a_task(validation={"a": PASSED, "b": PASSED | {"passed": False}})], "1 verdict of 2 did not pass"),
    ],
)
def test_the_run_s_headline(tasks: list[TaskRecord], headline: str) -> None:
    assert re.search(rf"<h1>{headline}</h1>", run_page(RUN, tasks, {}, {}).html())


@pytest.mark.parametrize("odd", [None, 7, "text", [1], {"a": 1}, {"passed": "yes"}, {"a": {"b": {"c": 1}}}, {}])
def test_xcoms_that_are_none_of_ours_break_no_page(odd: object) -> None:
    odder = json.loads(
        json.dumps(dict.fromkeys(("validation", "report", "quarantine", "metrics", "return_value"), odd))
    )
    task = a_task(**odder)

    assert task_page(task, Vault("/data"), past_of(odd, odd)).html()  # type: ignore[arg-type]
    assert run_page(RUN, [task], {("check", -1): odd}, {("check", -1): past_of(odd)}).html()  # type: ignore[arg-type]


def test_hostile_names_are_text_everywhere() -> None:
    run = replace(RUN, dag_id=HOSTILE, run_id=HOSTILE)
    task = replace(
        a_task(HOSTILE, HOSTILE, validation={HOSTILE: PASSED}, report={HOSTILE: HOSTILE}, quarantine={HOSTILE: HOSTILE}),
        dag_id=HOSTILE, run_id=HOSTILE, task_id=HOSTILE,
    )  # fmt: skip
    foreign = replace(task, xcoms={})
    pages = [
        run_page(run, [task], {(HOSTILE, -1): {HOSTILE: HOSTILE}}, {(HOSTILE, -1): past_of({HOSTILE: PASSED}, PASSED)}),
        task_page(task, Vault("/data"), past_of(PASSED, PASSED), choice=HOSTILE),
        task_page(foreign, Vault("/data"), [], choice=HOSTILE),
        mapped_page(run, HOSTILE, [0, 1]),
    ]

    for page in pages:
        assert "<script>alert" not in page.html()
        assert "alert(1)" in page.html()
        leads = re.findall(r'href="([^"]*)"', page.html())
        assert leads
        assert all(lead.startswith("/mlpipe/dags/%3Cscript%3E") for lead in leads)


def test_a_run_of_thousands_of_mapped_tasks_stays_a_page() -> None:
    tasks = [replace(a_task(validation=PASSED), map_index=index) for index in range(3000)]
    html = run_page(RUN, tasks, {}, {}).html()

    assert len(html) < 400_000
    assert "2,700 more lines are left out." in html


@pytest.mark.parametrize("module", [addresses, findings], ids=lambda module: module.__name__)
def test_the_examples_in_the_code_hold(module) -> None:
    assert doctest.testmod(module).attempted > 1
    assert doctest.testmod(module).failed == 0
