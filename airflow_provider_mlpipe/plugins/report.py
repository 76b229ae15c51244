"""`MlpipePlugin`: the "Data quality" tab of task instances and of runs in Airflow's UI.

Airflow imports plugins in every process, so this module imports nothing but Airflow's base class; the pages and
FastAPI come with the first request, which only an API server gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_mlpipe.links.addresses import PREFIX, RUN_TAB, TAB, base_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]

__all__ = ["MlpipePlugin", "PagesOnDemand"]

_NAME = "Data quality"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round"><path d="M12 3l7 3v5c0 4.6-2.9 8-7 10-4.1-2-7-5.4-7-10V6z"/>'
    '<path d="M8.8 11.8l2.3 2.3 4.2-4.3"/></svg>'
)


class PagesOnDemand:
    """The ASGI application that Airflow mounts; it imports the real one when first asked."""

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        from airflow_provider_mlpipe.plugins.application import application

        await application()(scope, receive, send)


class MlpipePlugin(AirflowPlugin):
    """What the provider adds to Airflow's UI."""

    name = "mlpipe"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        {"app": PagesOnDemand(), "url_prefix": PREFIX, "name": "mlpipe"}
    ]
    external_views = []  # noqa: RUF012

    @classmethod
    def on_load(cls, *_args: Any, **_kwargs: Any) -> None:  # noqa: ANN401 - Airflow's signature
        """Say where the tabs are, which depends on the path that Airflow is served from."""
        run = f"{base_path()}{PREFIX}/dags/{{DAG_ID}}/runs/{{RUN_ID}}"
        # For a task that is not mapped Airflow leaves {MAP_INDEX} as it is: in the query that does no harm.
        task = f"{run}/tasks/{{TASK_ID}}?map_index={{MAP_INDEX}}"
        cls.external_views = [_view("task_instance", task, TAB), _view("dag_run", run, RUN_TAB)]


def _view(destination: str, href: str, route: str) -> dict[str, str]:
    return {
        "name": _NAME,
        "destination": destination,
        "href": href,
        "url_route": route,
        "icon": _icon("#3f4b5b"),
        "icon_dark_mode": _icon("#d5dbe3"),
    }


def _icon(colour: str) -> str:
    return "data:image/svg+xml," + quote(_ICON.format(colour=colour))
