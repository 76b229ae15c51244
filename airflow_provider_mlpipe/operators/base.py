"""What all operators have in common."""

from __future__ import annotations

import logging
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_mlpipe.errors import MlpipeError, Terminal
from airflow_provider_mlpipe.lineage import OpenLineageMixin
from airflow_provider_mlpipe.links.report import ArtifactLink
from airflow_provider_mlpipe.operators.job import Job, as_of_of, run_of
from airflow_provider_mlpipe.operators.pulse import pulse
from airflow_provider_mlpipe.operators.retrying import retry_policy
from airflow_provider_mlpipe.operators.stopping import stop, stoppable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_mlpipe.config import ConfigLike

__all__ = ["MlpipeOperator", "StageOperator", "TaskFailed", "airflow_failures"]

log = logging.getLogger(__name__)


class TaskFailed(AirflowFailException):
    """A retry would change nothing.

    Attributes:
        error: what happened.
    """

    def __init__(self, error: MlpipeError) -> None:
        super().__init__(str(error))
        self.error = error


class MlpipeOperator(BaseOperator):
    """The base of whatever runs in a task of ours: where artifacts lie, and what moment the run is about.

    Nothing happens before `execute`: no file is read, no connection or configuration looked up when a Dag is parsed.

    Args:
        as_of: the moment that the run is about, ISO 8601 or a datetime (templated). The end of the data interval if
            absent; the logical date, or run_after, if the interval has no length. It decides what "now" means in every
            window, rule and feature: the clock decides nothing.
        artifact_root: a folder or ``s3://`` prefix (templated); ``[mlpipe] artifact_root`` if absent.
        artifact_conn_id: the ``aws`` connection for an artifact root on S3 (templated); ``[mlpipe] artifact_conn_id``
            if absent, and without that the AWS_* environment variables.
    """

    template_fields: Sequence[str] = ("as_of", "artifact_root", "artifact_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    # A config ending in ".yaml" stays a path: Airflow must not put the file's content in its place.
    template_ext: Sequence[str] = ()
    ui_fgcolor = "#1a2b3c"

    def __init__(
        self,
        *,
        as_of: str | datetime | None = None,
        artifact_root: str | None = None,
        artifact_conn_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's own arguments
    ) -> None:
        super().__init__(**kwargs)
        if getattr(self, "retry_policy", self) is None:  # Airflow 3.3 has policies, and the author gave none
            self.retry_policy = retry_policy()
        self.as_of = as_of
        self.artifact_root = artifact_root
        self.artifact_conn_id = artifact_conn_id

    def on_kill(self) -> None:
        """Stop the work, and the server's or engine's part in it: nothing half is left."""
        stop(self)

    def _do_render_template_fields(
        self,
        parent: Any,  # noqa: ANN401 - the operator, unmapped
        template_fields: Iterable[str],
        context: Context,
        *more: Any,  # noqa: ANN401 - Airflow's
        **named: Any,  # noqa: ANN401 - Airflow's
    ) -> None:
        """Fill in `artifact_of` before Airflow renders templates: what fails there is logged there, and once more."""
        from airflow_provider_mlpipe.operators.assets import resolved

        fields = list(template_fields)
        for field in fields:
            before = getattr(parent, field, None)
            if (found := resolved(before, context)) is not before:
                setattr(parent, field, found)
        super()._do_render_template_fields(parent, fields, context, *more, **named)

    def find_config(self, config: ConfigLike) -> ConfigLike:
        """Return `config` with a relative path made absolute; see `hooks.settings.find_config`."""
        from airflow_provider_mlpipe.hooks.settings import find_config

        dag = self.get_dag()
        return find_config(config, dag.fileloc if dag is not None else None)

    def _job(self, context: Context) -> Job:
        from airflow_provider_mlpipe.artifacts import Storage
        from airflow_provider_mlpipe.hooks import settings
        from airflow_provider_mlpipe.hooks.connections import s3_options

        root = self.artifact_root or settings.artifact_root()
        conn_id = self.artifact_conn_id or settings.artifact_conn_id()
        run = run_of(context)
        return Job(
            run=run,
            as_of=as_of_of(context, run, self.as_of),
            root=Storage(root.rstrip("/"), s3_options(conn_id if root.startswith("s3://") else None)),
            engine=settings.engine(),
            context=context,
        )


class StageOperator(OpenLineageMixin, MlpipeOperator):
    """The base of the operators that run a stage: a subclass says in `run_stage` which function it calls."""

    operator_extra_links: Collection[BaseOperatorLink] = (ArtifactLink(),)

    def execute(self, context: Context) -> str | dict[str, str]:
        """Run the stage and return the artifact's URI (of several, by name), which Airflow keeps as ``return_value``.

        Raises:
            TaskFailed: a retry would change nothing.
            MlpipeError: a retry may help, so the task's retries apply.
        """
        return self.perform(context)

    def perform(self, context: Context) -> str | dict[str, str]:
        """Do what `execute` does: also for a task that was deferred, which Airflow wakes by another method."""
        _quieten()
        with stoppable(self), pulse(self), airflow_failures():
            job = self._job(context)
            self.trail = job.trail
            published = self.run_stage(job)
            job.trail.returns(published, job.options)
            self._tell_outlets(published, job)
            job.emit_success()
            return published

    @abstractmethod
    def run_stage(self, job: Job) -> str | dict[str, str]:
        """Call the stage function and return the URI of the artifact."""

    def _tell_outlets(self, published: str | dict[str, str], job: Job) -> None:
        """Let the events of the task's assets say what was published."""
        if self.outlets:
            from airflow_provider_mlpipe.operators.assets import extras_of, report_outlets

            for outlets, extra in extras_of(published, job.options, self.outlets):
                report_outlets(job.context, outlets, extra)


def _quieten() -> None:
    """Keep libraries' remarks on their own insides out of the task's log, unless somebody asked for them."""
    for name in ("great_expectations", "feast"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Fail the task at once for an error that a retry cannot mend; let any other through, so that retries apply.

    Our errors say all there is to say, so the task's log shows them once and without what led to them; at level DEBUG
    it shows that, too.
    """
    try:
        yield
    except MlpipeError as error:
        log.debug("What led to the failure", exc_info=True)
        if isinstance(error, Terminal):
            raise TaskFailed(error) from None
        raise error from None
