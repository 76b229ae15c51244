"""Where pages are in Airflow's UI, below whatever path Airflow is served from."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

__all__ = ["PREFIX", "RUN_TAB", "TAB", "base_path", "page", "tab"]

PREFIX = "/mlpipe"
"""Below this path the API server serves the pages of the provider's plugin."""

TAB, RUN_TAB = "data-quality", "data-quality-of-run"
"""How Airflow's UI calls the tabs in its own addresses; it wants a name of its own for each."""


def base_path() -> str:
    """Return the path part of ``[api] base_url`` without a trailing slash: empty unless Airflow has a sub-path."""
    from airflow.providers.common.compat.sdk import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def tab(dag_id: str, run_id: str, task_id: str = "", map_index: int | None = -1, *, base: str = "") -> str:
    """Return the address of the tab in Airflow's UI, of a task instance or of a run.

    >>> tab("etl", "manual__2026-01-15T02:00:00+00:00", "load.check", 3, base="/airflow")
    '/airflow/dags/etl/runs/manual__2026-01-15T02%3A00%3A00%2B00%3A00/tasks/load.check/mapped/3/plugin/data-quality'
    """
    place = f"{base}/dags/{_quoted(dag_id)}/runs/{_quoted(run_id)}"
    if task_id:
        place += f"/tasks/{_quoted(task_id)}"
    if map_index is not None and map_index >= 0:
        place += f"/mapped/{map_index}"
    return f"{place}/plugin/{TAB if task_id else RUN_TAB}"


def page(
    dag_id: str,
    run_id: str,
    task_id: str = "",
    map_index: int = -1,
    *,
    base: str = "",
    kind: str = "",
    **choice: str,
) -> str:
    """Return the address of the page alone, without Airflow's UI around it: what the tab holds.

    Args:
        dag_id: the Dag.
        run_id: the run; the page is about it, unless there is a task.
        task_id: the task.
        map_index: of a mapped task.
        base: the path that Airflow is served from.
        kind: of a task, ``report`` or ``artifact`` for these.
        choice: what else the page is asked for; what is empty is left out.

    >>> page("etl", "r1", "check", 0, kind="report", artifact="users")
    '/mlpipe/dags/etl/runs/r1/tasks/check/report?map_index=0&artifact=users'
    """
    place = f"{base}{PREFIX}/dags/{_quoted(dag_id)}/runs/{_quoted(run_id)}"
    if task_id:
        place += f"/tasks/{_quoted(task_id)}"
    if kind:
        place += f"/{kind}"
    asked = ({"map_index": str(map_index)} if map_index >= 0 else {}) | {k: v for k, v in choice.items() if v}
    return f"{place}?{urlencode(asked)}" if asked else place


def _quoted(name: str) -> str:
    return quote(name, safe="")
