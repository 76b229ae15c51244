"""The tabs on a real API server, served from a sub-path, with runs in its database; nobody, somebody, and a stranger."""

from __future__ import annotations

import re
import shutil
import urllib.request
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from airflow_provider_mlpipe.links.addresses import page, tab
from tests.docs.howto import page as howto
from tests.operators.home import Step
from tests.plugins.site import HOSTILE, SECRET, Answer, Server, Site, served
from tests.servers.airflow_services import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PATH = "/team/airflow"
ELSEWHERE = "http://airflow.example.org"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Three days of the Dag `pages`, the last of them with errors, and the Dag that lies."""
    site = Site.new(tmp_path_factory.mktemp("tabs"), AIRFLOW__API__BASE_URL=f"{ELSEWHERE}{PATH}")
    site.run(
        first=Step("pages", "2026-01-14"),
        second=Step("pages", "2026-01-15"),
        third=Step("pages", "2026-01-16"),
        liar=Step("liar", None),
    )
    site.lay_traps()
    return site


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    """Its API server; after all tests its log complains of the broken reports and the forged token only."""
    with served(site, PATH) as server:
        yield server
    expected = re.compile("_validation.json of .* cannot be shown|JWT token is not valid: The specified alg")
    assert [line for line in site.complaints() if not expected.search(line)] == []


@pytest.fixture(scope="module")
def viewer(server: Server) -> Server:
    """The server as somebody sees it who may see everything."""
    return server.of("viewer")


def of_task(site: Site, task: str, index: int = -1, run: str = "third", **more: str) -> str:
    return page("pages", site.runs[run].run_id, task, index, **more)


def read(answer: Answer) -> str:
    """Return what a reader of the page sees, more or less."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main>")[2])))


def test_who_may_see_what(site: Site, server: Server, viewer: Server) -> None:
    run, task = page("pages", site.runs["third"].run_id), of_task(site, "judged")
    guarded = [run, task, of_task(site, "judged", kind="report")]
    guarded.append(of_task(site, "several", kind="artifact", artifact="orders"))
    stranger, by_cookie = server.of("stranger"), server.of("viewer", by_cookie=True)
    forged = Server(server.url, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ2aWV3ZXIifQ.")

    for path in guarded:
        asked = [who.get(path) for who in (server, forged, stranger, viewer, by_cookie)]
        # A token that is none is refused by Airflow as 403.
        assert [answer.status for answer in asked] == [401, 403, 403, 200, 200], path
        for refused in asked[:3]:
            assert refused.headers["content-type"].startswith("text/html")
            assert "people" not in refused.text
    assert "not logged in" in read(server.get(task))
    assert "no access to this Dag" in read(stranger.get(task))
    # The Dag of the path is what is asked for: that another one may be seen does not help, nor a query.
    assert stranger.get(page("liar", site.runs["liar"].run_id)).status == 200
    assert stranger.get(f"{task}?dag_id=liar").status == 403
    assert stranger.get(page("liar", site.runs["third"].run_id, "judged")).status == 404


def test_a_report_in_the_tab(site: Site, viewer: Server) -> None:
    answer = viewer.get(of_task(site, "judged"))

    assert answer.status == 200
    for said in (
        "people · raw",
        "Blocked: 1 error",
        "age is between 0 and 120.",
        "400",
        "Earlier reports of this task",
    ):
        assert said in read(answer)
    body = answer.text.partition("</head>")[2]
    assert HOSTILE in read(answer)
    assert "<script" not in body
    assert "<b>" not in body.replace("<body>", "")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Passed: every rule held" in read(viewer.get(of_task(site, "judged", run="first")))
    assert "Passed: 1 warning" in read(viewer.get(of_task(site, "judged", run="second")))


def test_a_report_as_a_file(site: Site, viewer: Server) -> None:
    answer = viewer.get(of_task(site, "judged", kind="report"))

    stored = Path(site.runs["third"].xcom("judged", "report")).read_text(encoding="utf-8")
    assert answer.text == stored
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''pages.judged.html"
    assert answer.headers["content-security-policy"].endswith("; sandbox")


def test_what_the_index_of_a_map_may_be(site: Site, viewer: Server) -> None:
    unmapped = of_task(site, "judged")
    for index in ("{MAP_INDEX}", "", "-1", "x", "1e9", "99999999999999999999", "٣"):
        answer = viewer.get(f"{unmapped}?map_index={quote(index)}")
        assert (answer.status, "Blocked: 1 error" in read(answer)) == (200, True), index
    assert viewer.get(f"{unmapped}?map_index=3").status == 404
    assert "orders · raw" in read(viewer.get(of_task(site, "mapped", 1)))
    assert "people · raw" in read(viewer.get(of_task(site, "mapped", 0)))
    assert viewer.get(of_task(site, "mapped", 2)).status == 404
    whole = viewer.get(f"{of_task(site, 'mapped')}?map_index=%7BMAP_INDEX%7D")
    assert "2 instances" in read(whole)


def test_several_artifacts_and_a_quarantine(site: Site, viewer: Server) -> None:
    shown = viewer.get(of_task(site, "several"))
    orders = viewer.get(of_task(site, "several", artifact="orders"))
    quarantine = viewer.get(of_task(site, "several", kind="artifact", artifact="orders", of="quarantine"))
    passed_on = viewer.get(of_task(site, "several", kind="artifact", artifact="orders"))

    assert "Blocked: 1 error" in read(shown)
    assert "<img src=x onerror=alert(2)>" in read(shown)
    assert "<img" not in shown.text
    assert "Quarantined: 1 error" in read(orders)
    for said in ("3 rows in quarantine", "amount is between 0 and 100.", "Why they are here"):
        assert said in read(quarantine)
    assert "57 rows" in read(passed_on)
    assert "passed validation" in read(passed_on)
    for nothing in ({"artifact": "absent"}, {"artifact": "orders", "of": "other"}, {}):
        assert viewer.get(of_task(site, "several", kind="artifact", **nothing)).status == 404


def test_tasks_without_a_report(site: Site, viewer: Server) -> None:
    raw = read(viewer.get(of_task(site, "people")))
    other = viewer.get(of_task(site, "other"))

    for said in ("43 rows", "records_read", "3 columns", "did not pass validation", HOSTILE):
        assert said in raw
    assert other.status == 200
    assert "is not one of the operators of airflow-provider-mlpipe" in read(other)
    assert "failed before it wrote its report" in read(viewer.get(of_task(site, "too_early")))
    assert "did not run: upstream failed" in read(viewer.get(of_task(site, "not_reached")))
    for path in (page("pages", "no-such-run"), of_task(site, "no_such_task"), page("pages", "r", "t"), "/mlpipe/",
                 "/mlpipe/openapi.json", "/mlpipe/docs", "/mlpipe/dags/pages"):  # fmt: skip
        assert viewer.get(path).status == 404, path


def test_only_what_lies_below_the_artifact_root_is_read(site: Site, viewer: Server) -> None:
    for index, (address, status) in enumerate(site.lies.items()):
        place = ("liar", site.runs["liar"].run_id, "lies", index)
        shown, file = viewer.get(page(*place)), viewer.get(page(*place, kind="report"))
        beside = viewer.get(page(*place, kind="artifact"))
        assert shown.status == status, address
        assert file.status == (200 if status == 422 else status), address  # a report there is, whatever lies beside it
        assert beside.status in {403, 404, 422}, address
        assert SECRET not in shown.text + file.text + beside.text, address
    outside = viewer.get(of_task(site, "elsewhere"))
    assert outside.status == 403
    assert "does not lie below [mlpipe] artifact_root" in read(outside)
    assert "it passed, with 1 error, 0 warnings, 3 rows in quarantine, of 60 rows" in read(outside)
    assert viewer.get(of_task(site, "outside")).status == 403


def test_a_deleted_artifact(site: Site, viewer: Server) -> None:
    shutil.rmtree(Path(site.runs["first"].xcom("mapped[0]", "report")).parent)
    for task in ("mapped", "parts"):
        answer = viewer.get(of_task(site, task, 0, run="first"))
        assert answer.status == 404
        assert "It is not there" in read(answer)
    verdict = "it passed, with 0 errors, 0 warnings, of 40 rows"
    assert verdict in read(viewer.get(of_task(site, "mapped", 0, run="first")))


def test_the_run(site: Site, viewer: Server) -> None:
    answer = viewer.get(page("pages", site.runs["third"].run_id))

    for said in ("did not pass", "judged", "mapped [1]", "3 in quarantine", "The last runs of this Dag",
                 "2 of the last 3 runs passed.", site.runs["third"].xcom("several")["orders"]):  # fmt: skip
        assert said in read(answer)
    assert "other" not in re.findall(r"<td><a [^>]*>([^<]*)</a>", answer.text)
    assert "<img" not in answer.text
    first = read(viewer.get(page("pages", site.runs["first"].run_id)))
    assert "The last runs of this Dag" not in first, "what came after is not shown"


def gone(path: str) -> set[int]:
    """Return what a page answers whose artifact `test_a_deleted_artifact` has deleted by now, or not."""
    return {404} if "tasks/mapped" in path or "tasks/parts" in path else set()


def test_every_link_of_every_page_leads_below_the_sub_path_and_answers(site: Site, viewer: Server) -> None:
    start = page("pages", site.runs["third"].run_id)
    waiting, seen = [start], {start}
    while waiting:
        answer = viewer.get(waiting.pop())
        for lead in map(unescape, re.findall(r'href="([^"]*)"', answer.text)):
            assert lead.startswith(f"{PATH}/mlpipe/dags/pages/")
            path = lead.removeprefix(PATH)
            if path not in seen:
                seen.add(path)
                waiting.append(path)
                refused = {403} if "elsewhere" in path or "outside" in path else set()
                assert viewer.get(path).status in {200, *refused, *gone(path)}, path
    assert len(seen) > 20


def test_the_addresses_of_the_guide_answer(site: Site, viewer: Server) -> None:
    (table,) = re.findall(r"\| Address.*?\n\n", howto("airflow-ui"), re.DOTALL)
    addresses = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    names = {"dag_id": "pages", "run_id": quote(site.runs["third"].run_id), "task_id": "several", "name": "orders"}

    assert len(addresses) == 4
    for address in addresses:
        assert viewer.get(address.format(**names, index="-1")).status == 200, address


def test_airflow_s_ui_is_told_where_the_tabs_and_the_buttons_lead(site: Site, viewer: Server) -> None:
    api = Api(viewer.url, viewer.token)
    (plugin,) = [found for found in api.get("/api/v2/plugins")["plugins"] if found["name"] == "mlpipe"]
    views = {view["destination"]: view for view in plugin["external_views"]}
    links = {
        task: api.get(f"/api/v2/dags/pages/dagRuns/{quote(run, safe='')}/taskInstances/{task}/links")["extra_links"]
        for task in ("judged", "too_early", "people")
        for run in [site.runs["third"].run_id]
    }

    run = site.runs["third"].run_id
    assert views["dag_run"]["href"] == f"{PATH}/mlpipe/dags/{{DAG_ID}}/runs/{{RUN_ID}}"
    assert views["task_instance"]["href"].startswith(f"{views['dag_run']['href']}/tasks/{{TASK_ID}}?")
    assert links == {
        "judged": {"Validation report": tab("pages", run, "judged", base=PATH)},  # failed, with a report
        "too_early": {"Validation report": tab("pages", run, "too_early", base=PATH)},  # failed before it
        "people": {"Artifact": tab("pages", run, "people", base=PATH)},
    }
    assert site.runs["third"].xcom("mapped[1]", "_link_ReportLink") == tab("pages", run, "mapped", 1, base=PATH)
    assert {view["url_route"] for view in views.values()} == {"data-quality", "data-quality-of-run"}
    of_mapped = api.get(f"/api/v2/dags/pages/dagRuns/{quote(run, safe='')}/taskInstances/mapped/links?map_index=1")
    assert of_mapped["extra_links"] == {"Validation report": tab("pages", run, "mapped", 1, base=PATH)}
    with urllib.request.urlopen(viewer.url + links["judged"]["Validation report"].removeprefix(PATH)) as ui:
        assert f'<base href="{PATH}/"'.encode() in ui.read()
