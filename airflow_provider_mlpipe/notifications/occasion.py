"""The occasion: from the context of a callback to what there is to say.

A task's callback runs in the task's own process, with the exception at hand. A Dag's runs in the Dag processor and is
told little; there the tasks' XComs and the verdicts beside the data say the rest. What cannot be found is left out: a
message with less in it is better than none.
"""

from __future__ import annotations

import json
import logging
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from airflow_provider_mlpipe.errors import DataRejectedError, MlpipeError, redact
from airflow_provider_mlpipe.notifications.message import Judgement, Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["message"]

logger = logging.getLogger(__name__)

_STATES = {"success": "PASSED", "failed": "FAILED", "up_for_retry": "RETRY", "skipped": "SKIPPED"}


def message(context: Mapping[str, Any], *, samples: bool = True) -> Message:
    """Return what there is to say on this occasion.

    Args:
        context: what Airflow calls a callback with, of a task or of a Dag.
        samples: whether samples of rejected values may be told; those of sensitive columns are masked in any case.
    """
    of_dag = "reason" in context
    error = None if of_dag else _error(context)
    judgements = tuple(_judgements(context, error, of_dag=of_dag))
    explained = any(judgement.worst == "ERROR" for judgement in judgements)
    problem = "" if explained else _problem(error, context, of_dag=of_dag)
    state = _state(context, error, of_dag=of_dag)
    return Message(
        state=state,
        what=_what(context, of_dag=of_dag),
        judgements=judgements,
        problem=problem,
        facts=dict(_facts(context, judgements, state, rejected=isinstance(error, DataRejectedError), of_dag=of_dag)),
        samples=samples,
    )


def _error(context: Mapping[str, Any]) -> BaseException | None:
    """Return our own error where there is one: Airflow's that says not to retry only wraps it."""
    error = context.get("exception")
    if not isinstance(error, BaseException):
        return None if not error else RuntimeError(str(error))
    cause = getattr(error, "error", None) or error.__cause__
    return cause if isinstance(cause, MlpipeError) else error


def _state(context: Mapping[str, Any], error: BaseException | None, *, of_dag: bool) -> str:
    if of_dag:
        run_state = str(getattr(getattr(context.get("dag_run"), "state", ""), "value", "") or "")
        return "PASSED" if run_state == "success" or context.get("reason") == "success" else "FAILED"
    ti: Any = context.get("ti")
    state = getattr(ti, "state", None)
    known = _STATES.get(str(getattr(state, "value", state)))
    return "FAILED" if known is None and error is not None else (known or "PASSED")


def _what(context: Mapping[str, Any], *, of_dag: bool) -> str:
    ti: Any = context.get("ti")
    if of_dag or ti is None:
        return str(getattr(context.get("dag"), "dag_id", "") or getattr(ti, "dag_id", "Dag"))
    mapped = f"[{ti.map_index}]" if (ti.map_index or 0) >= 0 and ti.map_index is not None else ""
    return f"{ti.dag_id}.{ti.task_id}{mapped}"


def _problem(error: BaseException | None, context: Mapping[str, Any], *, of_dag: bool) -> str:
    if error is not None:
        kind = "" if isinstance(error, MlpipeError) else f"{type(error).__name__}: "
        return redact(f"{kind}{error}".strip())
    reason = context.get("reason") if of_dag else ""
    return "" if reason in {None, "", "success"} else redact(str(reason))


def _judgements(context: Mapping[str, Any], error: BaseException | None, *, of_dag: bool) -> Iterator[Judgement]:
    if isinstance(error, DataRejectedError):
        counts = _pull(context, "validation") or {}
        counts = counts if "passed" in counts else {}  # of several artifacts it is by name
        yield Judgement(
            dataset=str(error.fields.get("dataset", "")),
            rows=counts.get("rows_validated"),
            counts=counts,
            rules=error.fields.get("failures", ()),
            report=str(error.fields.get("report", "")),
        )
    elif error is None:
        for task_id, report in _reports(context, of_dag=of_dag):
            found = _judgement(context, task_id, report)
            if found is not None:
                yield found


def _reports(context: Mapping[str, Any], *, of_dag: bool) -> Iterator[tuple[str, str]]:
    """Yield the addresses of reports, with the task that pushed them."""
    tasks = getattr(context.get("dag"), "tasks", ()) if of_dag else (context.get("task"),)
    for task in filter(_validates, tasks):
        pulled = _pull(context, "report", task_id=task.task_id, every=of_dag)
        for pushed in pulled if isinstance(pulled, list) else [pulled]:
            for report in pushed.values() if isinstance(pushed, dict) else [pushed]:
                if isinstance(report, str):
                    yield task.task_id, report


def _validates(task: Any) -> bool:  # noqa: ANN401 - an operator, mapped or serialized
    """Return whether a task has a report; others are not asked, for Airflow logs an XCom that is not there as error."""
    kinds = {getattr(task, "task_type", "")} | {base.__name__ for base in type(task).__mro__}
    return "ValidateOperator" in kinds


def _judgement(context: Mapping[str, Any], task_id: str, report: str) -> Judgement | None:
    """Return what stands in the verdict beside a report."""
    folder = report.rpartition("/")[0]
    try:
        summary = _verdict(context, task_id, folder)
    except (MlpipeError, OSError, ValueError, KeyError, TypeError) as error:
        logger.debug("No verdict at %s: %s", redact(folder), error)
        return None
    failed = [rule for rule in summary["rules"] if rule["status"] in {"failed", "error"}]
    counts = summary.get("counts", {})
    return Judgement(
        dataset=summary["dataset"], rows=counts.get("rows_validated"), counts=counts, rules=failed, report=report
    )


def _verdict(context: Mapping[str, Any], task_id: str, folder: str) -> dict[str, Any]:
    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.artifacts.artifact import VERDICT
    from airflow_provider_mlpipe.hooks import settings
    from airflow_provider_mlpipe.hooks.connections import s3_options

    task = getattr(context.get("dag"), "task_dict", {}).get(task_id) or context.get("task")
    conn_id = getattr(task, "artifact_conn_id", None) or settings.artifact_conn_id()
    content = Storage(folder, s3_options(conn_id if folder.startswith("s3://") else None)).read(VERDICT)
    found: dict[str, Any] = json.loads(content or b"{}")["meta"]["mlpipe"]
    return found


def _pull(context: Mapping[str, Any], key: str, *, task_id: str | None = None, every: bool = False) -> Any:  # noqa: ANN401 - any XCom
    """Return an XCom of the task instance that this is about, or those of all instances of a task."""
    ti: Any = context.get("ti")
    if ti is None:
        return None
    try:
        if every:
            return list(ti.xcom_pull(task_ids=[task_id], key=key) or ())
        index = -1 if ti.map_index is None else ti.map_index
        return ti.xcom_pull(task_ids=task_id or ti.task_id, key=key, map_indexes=index)
    except Exception as error:  # noqa: BLE001 - Airflow may have gone away by the time that it calls back
        logger.debug("No XCom %s: %s", key, error)
        return None


def _facts(
    context: Mapping[str, Any], judgements: tuple[Judgement, ...], state: str, *, rejected: bool, of_dag: bool
) -> Iterator[tuple[str, str]]:
    ti: Any = context.get("ti")
    page = str(getattr(ti, "log_url", "") or "")
    reports = list(dict.fromkeys(judgement.report for judgement in judgements if judgement.report))
    tab = _pull(context, "_link_ReportLink") if reports and not of_dag else None
    for report in reports:
        yield "Report" if len(reports) == 1 else f"Report {reports.index(report) + 1}", redact(report)
    if tab and page:
        yield "In Airflow", urljoin(page, str(tab))
    elif page and not of_dag:
        yield "In Airflow", page
    yield from _run(context, ti)
    if state == "FAILED" and (again := _again(context, ti, rejected=rejected, of_dag=of_dag)):
        yield "Again", again


def _run(context: Mapping[str, Any], ti: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    run_id = str(context.get("run_id") or getattr(ti, "run_id", ""))
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    covered = f" ({_moment(start)} to {_moment(end)} UTC)" if start and end and start != end else ""
    if run_id:
        yield "Run", f"{run_id}{covered}"
    if ti is not None and getattr(ti, "try_number", 0) > 1:
        yield "Try", str(ti.try_number)


def _again(context: Mapping[str, Any], ti: Any, *, rejected: bool, of_dag: bool) -> str:  # noqa: ANN401
    """Return the command that runs it again; rejected data has to be read again, so what came before is cleared too."""
    date = context.get("logical_date")
    if date is None or ti is None:
        return ""
    moment = date.isoformat()
    task = ["--only-failed"] if of_dag else ["-t", f"^{ti.task_id}$"]
    upstream = ["--upstream"] if rejected or of_dag else []
    words = ["airflow", "tasks", "clear", ti.dag_id, *task, "-s", moment, "-e", moment, *upstream, "--downstream"]
    return shlex.join(words)


def _moment(value: Any) -> str:  # noqa: ANN401 - a datetime
    return f"{value:%Y-%m-%d %H:%M}"
