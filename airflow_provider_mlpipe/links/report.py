"""Buttons on a task in Airflow's UI that lead to what the task made.

A worker asks for the address when a task ends, in whatever state, and Airflow keeps it. So nothing is looked up here
but where Airflow is: whether there is a report, the page says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_mlpipe.links.addresses import base_path, tab

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

__all__ = ["ArtifactLink", "ReportLink"]


class _TabLink(BaseOperatorLink):
    """A link to the tab of the task instance."""

    name = "Data quality"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401, ARG002 - a key, or what has its fields
        """Return the tab's address, below the path that Airflow is served from."""
        return tab(ti_key.dag_id, ti_key.run_id, ti_key.task_id, ti_key.map_index, base=base_path())


class ReportLink(_TabLink):
    """To the validation report of a task, whether it passed or not."""

    name = "Validation report"


class ArtifactLink(_TabLink):
    """To what a task published: rows, metrics, columns, inputs."""

    name = "Artifact"
