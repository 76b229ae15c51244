"""The tabs of a site whose artifacts lie in a bucket, reached by a connection in Airflow's database; no sub-path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.links.addresses import page, tab
from tests.operators.home import Step
from tests.plugins.site import Server, Site, served
from tests.servers import s3
from tests.servers.airflow_services import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Bucket

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ROOT = "s3://lake/mlpipe"
LIES = {
    f"{ROOT}/../secret/_report.html": 403,
    f"{ROOT}/people/../../secret/_report.html": 403,
    f"{ROOT}-beside/_report.html": 403,
    "s3://lake/secret/_report.html": 403,
    "s3://elsewhere/mlpipe/p/_report.html": 403,
    "/etc/_report.html": 403,
    f"{ROOT}/%2e%2e/secret/_report.html": 404,  # a key of that name, which there is none
    f"{ROOT}/people/raw/absent/_report.html": 404,
}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """A bucket with a secret beside the artifact root."""
    with s3() as bucket:
        client = Storage(bucket.uri, bucket.options).client()
        for key in ("secret/_report.html", "secret/_validation.json", "mlpipe-beside/_validation.json"):
            client.put_object(Bucket=bucket.bucket, Key=key, Body=b"what nobody may read")
        yield bucket


@pytest.fixture(scope="module")
def site(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """One day of the Dag `pages`, and the Dag that lies."""
    options = bucket.options
    site = Site.new(
        tmp_path_factory.mktemp("bucket"),
        AIRFLOW__MLPIPE__ARTIFACT_ROOT=ROOT,
        AIRFLOW__MLPIPE__ARTIFACT_CONN_ID="lake",
        MLPIPE_TEST_LIES=json.dumps(list(LIES)),
    )
    extra = {"endpoint_url": options.endpoint_url, "region_name": options.region}
    added = site.airflow.command(
        "connections", "add", "lake", "--conn-type", "aws", "--conn-login", options.access_key,
        "--conn-password", options.secret_key, "--conn-extra", json.dumps(extra),
    )  # fmt: skip
    assert added.returncode == 0, added.stdout + added.stderr
    site.run(day=Step("pages", "2026-01-16"), liar=Step("liar", None))
    return site


@pytest.fixture(scope="module")
def viewer(site: Site) -> Iterator[Server]:
    """The API server, as somebody sees it who may see everything; at the end its log has no complaint."""
    with served(site) as server:
        yield server.of("viewer")
    assert site.complaints() == []


def test_reports_and_artifacts_come_from_the_bucket(site: Site, viewer: Server) -> None:
    run = site.runs["day"].run_id
    report, raw, quarantine, file = (
        viewer.get(page("pages", run, task, **more))
        for task, more in (
            ("judged", {}),
            ("people", {}),
            ("several", {"kind": "artifact", "artifact": "orders", "of": "quarantine"}),
            ("judged", {"kind": "report"}),
        )
    )

    assert "Blocked: 1 error" in report.text
    assert f"{ROOT}/people/raw/" in report.text
    assert "43 rows" in raw.text
    assert "3 rows in quarantine" in quarantine.text
    assert "Blocked: 1 error" in file.text
    assert file.headers["content-disposition"].startswith("attachment")
    # Where an operator's own root is not the API server's nothing is read, though it is a folder on this disk.
    assert viewer.get(page("pages", run, "outside")).status == 403


def test_nothing_beside_the_root_is_read(site: Site, viewer: Server) -> None:
    for index, (address, status) in enumerate(LIES.items()):
        for kind in ("", "report"):
            answer = viewer.get(page("liar", site.runs["liar"].run_id, "lies", index, kind=kind))
            assert answer.status == status, (address, kind)
            assert "what nobody may read" not in answer.text


def test_without_a_sub_path_addresses_start_at_the_root(site: Site, viewer: Server) -> None:
    run = site.runs["day"].run_id
    views = [
        view["href"]
        for plugin in Api(viewer.url, viewer.token).get("/api/v2/plugins")["plugins"]
        for view in plugin["external_views"]
    ]

    assert [view for view in views if "mlpipe" in view] == [
        "/mlpipe/dags/{DAG_ID}/runs/{RUN_ID}/tasks/{TASK_ID}?map_index={MAP_INDEX}",
        "/mlpipe/dags/{DAG_ID}/runs/{RUN_ID}",
    ]
    assert site.runs["day"].xcom("judged", "_link_ReportLink") == tab("pages", run, "judged")
    assert f'href="{page("pages", run, "judged")}"' in viewer.get(page("pages", run)).text
