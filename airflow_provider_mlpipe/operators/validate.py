"""`ValidateOperator`: the gate that bad data does not pass."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.operators.base import MlpipeOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.config import ConfigLike
    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job
    from airflow_provider_mlpipe.validation import Verdict

__all__ = ["ValidateOperator"]

_LEVELS = {"ERROR": logging.ERROR, "WARNING": logging.WARNING, "INFO": logging.INFO}
_COUNTS = ("total_checks", "passed", "failed", "errors", "warnings", "skipped", "rows_validated")


class ValidateOperator(MlpipeOperator):
    """Judge an artifact by the rules of a dataset; return the same URI, so that what follows hangs on the verdict.

    Suite, verdict and report are written beside the data first. Then a failed rule of severity ERROR fails the task,
    without a retry: the same data would fail again. WARNING and INFO are logged and counted.

    XCom: ``return_value`` (the artifact's URI), ``validation`` (passed or not, and counts), ``report`` (the HTML
    report's URI), ``metrics``.

    Example::

        checked = ValidateOperator(
            task_id="validate_users", artifact=users.output, config="validation_config.yaml", dataset="user_data"
        )

    Args:
        artifact: the artifact's URI (templated), as the task that published it returned it.
        config: a validation YAML file or mapping (templated); see `SourceIngestOperator` for relative paths.
        dataset: the name of the rules in the file (templated).
        fail_task: whether a failed ERROR rule fails the task. If not, the verdict still says that the data did not
            pass, and `FeastMaterializeOperator` still refuses to put features of it online.
        kwargs: `as_of`, `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (*MlpipeOperator.template_fields, "artifact", "config", "dataset")
    template_fields_renderers: ClassVar[dict[str, str]] = {"config": "yaml"}
    ui_color = "#fef3c7"

    def __init__(
        self,
        *,
        artifact: ArtifactUri,
        config: ConfigLike,
        dataset: str,
        fail_task: bool = True,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.artifact = artifact
        self.config = config
        self.dataset = dataset
        self.fail_task = fail_task

    def run_stage(self, job: Job) -> str:
        """Validate."""
        from airflow_provider_mlpipe import config
        from airflow_provider_mlpipe.validation import validate

        rules = config.dataset_rules(self.find_config(self.config), self.dataset)
        verdict = validate(job.open(self.artifact), rules, as_of=job.as_of, engine=job.engine)
        job.push_metrics(verdict.counts)
        job.push("validation", {"passed": verdict.passed} | _counts(verdict))
        job.push("report", verdict.report)
        self._report(verdict)
        if self.fail_task:
            verdict.raise_if_blocked()
        return str(verdict.artifact.uri)

    def _report(self, verdict: Verdict) -> None:
        counts = verdict.counts
        self.log.info(
            "Validated %s: %d rows by %d rules in %.1f s, %d errors, %d warnings; report at %s",
            self.dataset,
            counts.get("rows_validated", 0),
            counts.get("total_checks", 0),
            counts.get("duration_seconds", 0.0),
            counts.get("errors", 0),
            counts.get("warnings", 0),
            verdict.report,
        )
        for result in verdict.results:
            # What blocks stands in the error that fails the task; once is enough.
            if result.failed and not (result.blocks and self.fail_task):
                self.log.log(_LEVELS[result.severity], "%s", "\n".join(result.lines()))


def _counts(verdict: Verdict) -> dict[str, Any]:
    # `passed` is also the name of the count of rules that held; in the small XCom it is the verdict.
    renamed = {"passed": "rules_passed", "failed": "rules_failed"}
    return {renamed.get(name, name): verdict.counts[name] for name in _COUNTS if name in verdict.counts}
