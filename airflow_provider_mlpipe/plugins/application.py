"""The pages behind the "Data quality" tabs, as the API server serves them.

Only an API server imports this module. Every route has the Dag in its path, and asks Airflow's own authorisation for
it: without a login 401, without access to the Dag 403, as pages that say so.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep  # noqa: TC002 - FastAPI reads annotations
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from airflow_provider_mlpipe.links.addresses import base_path
from airflow_provider_mlpipe.plugins import records
from airflow_provider_mlpipe.plugins.findings import addresses, judged, ours, stage_of
from airflow_provider_mlpipe.plugins.history_card import RUNS
from airflow_provider_mlpipe.plugins.layout import HEADERS, REPORT_POLICY, Page, empty
from airflow_provider_mlpipe.plugins.reading import Missing, report_file
from airflow_provider_mlpipe.plugins.run_page import run_page
from airflow_provider_mlpipe.plugins.task_page import artifact_page, choose, mapped_page, missing_page, task_page
from airflow_provider_mlpipe.plugins.vault import configured

if TYPE_CHECKING:
    from airflow_provider_mlpipe.plugins.facts import RunRecord, TaskRecord

__all__ = ["application"]

TRENDS = 20
"""Tasks of one run whose last runs are shown."""

_REFUSALS = {
    401: ("You are not logged in", "Log in to Airflow, then open this page again."),
    403: ("This is not yours to see", "You have no access to this Dag, or not to what its tasks pushed."),
    404: ("There is no such page", "The run or the task does not exist, or was deleted."),
}


def _of(entity: DagAccessEntity) -> Any:  # noqa: ANN401 - a dependency of FastAPI's
    return Depends(requires_access_dag("GET", entity))


# What the pages show comes from XCom, so whoever may not read that of the Dag does not read it here.
TASK = [_of(DagAccessEntity.TASK_INSTANCE), _of(DagAccessEntity.XCOM)]
RUN = [_of(DagAccessEntity.RUN), *TASK]


@cache
def application() -> FastAPI:
    """Return the application, which Airflow mounts below ``/mlpipe``."""
    app = FastAPI(title="MLPipe", docs_url=None, redoc_url=None, openapi_url=None)
    place = "/dags/{dag_id}/runs/{run_id}"
    app.get(place, dependencies=RUN)(of_run)
    app.get(f"{place}/tasks/{{task_id}}", dependencies=TASK)(of_task)
    app.get(f"{place}/tasks/{{task_id}}/artifact", dependencies=TASK)(of_artifact)
    app.get(f"{place}/tasks/{{task_id}}/report", dependencies=TASK)(of_report)
    app.exception_handler(HTTPException)(_refusal)
    app.exception_handler(RequestValidationError)(_refusal)
    return app


def of_run(dag_id: str, run_id: str, session: SessionDep) -> Response:
    """Answer with the page of a run."""
    run = _run(session, dag_id, run_id)
    tasks = [task for task in records.task_records(session, dag_id, run_id) if ours(task)]
    judging = [(task.task_id, task.map_index) for task in tasks if stage_of(task) == "validate"]
    past = records.history(session, run, judging[:TRENDS], RUNS)
    return _answer(run_page(run, tasks, records.returned(session, tasks), past, base=base_path()))


def of_task(
    dag_id: str, run_id: str, task_id: str, session: SessionDep, map_index: str = "", artifact: str = ""
) -> Response:
    """Answer with the page of a task instance; Airflow leaves ``{MAP_INDEX}`` in place of an index that is none."""
    run = _run(session, dag_id, run_id)
    if _index(map_index) < 0 and (indexes := records.mapped(session, dag_id, run_id, task_id)):
        return _answer(mapped_page(run, task_id, indexes, base=base_path()))
    task = _task(session, dag_id, run_id, task_id, map_index)
    past = records.history(session, run, [(task_id, task.map_index)], RUNS)[task_id, task.map_index]
    return _answer(task_page(task, configured(), past, choice=artifact, base=base_path()))


def of_artifact(
    dag_id: str,
    run_id: str,
    task_id: str,
    session: SessionDep,
    map_index: str = "",
    artifact: str = "",
    of: str = "",
) -> Response:
    """Answer with what an artifact says of itself: of those that the task passed on, or of its ``quarantine``."""
    task = _task(session, dag_id, run_id, task_id, map_index)
    each = {one.name: one for one in judged(task.xcoms)}
    if of == "quarantine" and artifact in each:
        return _answer(
            artifact_page(task, configured(), each[artifact].quarantine, what="quarantine", base=base_path())
        )
    found = addresses(task.xcoms.get("return_value"))
    if of or artifact not in found:
        raise HTTPException(404)
    return _answer(artifact_page(task, configured(), found[artifact], what=artifact or "artifact", base=base_path()))


def of_report(
    dag_id: str, run_id: str, task_id: str, session: SessionDep, map_index: str = "", artifact: str = ""
) -> Response:
    """Answer with a report as the file that it is."""
    task = _task(session, dag_id, run_id, task_id, map_index)
    each = judged(task.xcoms)
    if not each:
        raise HTTPException(404)
    found = report_file(configured(), choose(each, artifact).report)
    if isinstance(found, Missing):
        return _answer(missing_page(task, found, base=base_path()))
    name = quote(f"{dag_id}.{task_id}.html", safe="")
    headers = HEADERS | {
        "Content-Security-Policy": REPORT_POLICY,
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    return Response(found, media_type="text/html; charset=utf-8", headers=headers)


def _run(session: SessionDep, dag_id: str, run_id: str) -> RunRecord:
    run = records.run_record(session, dag_id, run_id)
    if run is None:
        raise HTTPException(404)
    return run


def _task(session: SessionDep, dag_id: str, run_id: str, task_id: str, map_index: str) -> TaskRecord:
    task = records.task_record(session, dag_id, run_id, task_id, _index(map_index))
    if task is None:
        raise HTTPException(404)
    return task


def _index(asked: str) -> int:
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else -1


def _answer(page: Page) -> Response:
    return Response(page.html(), page.status, media_type="text/html; charset=utf-8", headers=page.headers)


async def _refusal(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    status = error.status_code if isinstance(error, HTTPException) else 404
    headline, said = _REFUSALS.get(status, ("This cannot be shown", f"The answer to this request is {status}."))
    return _answer(Page(title=headline, body=empty(headline, [said]), status=status))
