"""`ValidateOperator`: the gate that bad data does not pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.links.report import ReportLink
from airflow_provider_mlpipe.operators.base import StageOperator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import ConfigLike, Configured, DatasetRules
    from airflow_provider_mlpipe.operators.job import ArtifactUri, Job
    from airflow_provider_mlpipe.validation import Sifting, Verdict

__all__ = ["ValidateOperator"]

_LEVELS = {"ERROR": logging.ERROR, "WARNING": logging.WARNING, "INFO": logging.INFO}
_COUNTS = (
    "total_checks", "passed", "failed", "errors", "warnings", "skipped", "rows_validated", "rows_quarantined"
)  # fmt: skip
_KEYS = frozenset({"return_value", "validation", "report", "metrics", "quarantine"})
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ValidateOperator(StageOperator):
    """Judge artifacts by the rules of their datasets; return what is passed on, so that what follows hangs on it.

    Suite, verdict and report are written beside the data first. Then a failed rule of severity ERROR fails the task,
    without a retry: the same data would fail again. WARNING and INFO are logged and counted. Rows that break a rule of
    ``on_failure: quarantine`` are taken out, and the URI of the others is returned instead.

    XCom: ``return_value`` (the URI of what is passed on; of several artifacts a mapping, and each under its name),
    ``validation`` (passed or not, and counts), ``report`` (the HTML report's URI), ``quarantine`` (the URI of the rows
    taken out, or None), ``metrics``. Of several artifacts ``validation``, ``report`` and ``quarantine`` are by name.

    Example::

        checked = ValidateOperator(
            task_id="validate", config="validation_config.yaml",
            artifact={"users": users.output, "activity": activity.output},
            dataset={"users": "user_data", "activity": "activity_data"},
        )
        ExtractFeaturesOperator(
            task_id="extract", feature_set="user_features", config="feature_config.yaml",
            inputs={"users": checked.output["users"], "activity": checked.output["activity"]},
        )

    Args:
        artifact: the artifact's URI (templated), as the task that published it returned it; or files that no task
            published: parquet, CSV or JSON, a file, a folder or a glob, local or ``s3://``. Or several of these by
            name; they may refer to one another (``references``), later ones to what was passed on of earlier ones.
        config: a validation YAML file or mapping (templated); see `SourceIngestOperator` for relative paths.
        dataset: the name of the rules in the file (templated); the artifact's own dataset if absent. For several
            artifacts a mapping by their names; what it does not name has rules of its own name.
        related: other artifacts that rules refer to, by the name that the rules give them (templated).
        fail_task: whether a failed ERROR rule fails the task (templated). If not, the verdict still says that the data
            did not pass, and `FeastMaterializeOperator` still refuses to put features of it online.
        engine: ``scan``, ``spark``, or ``gx`` for stock Great Expectations on pandas (templated); what the rules say
            if absent.
        spark: which Spark, where ``[mlpipe] spark_...`` does not say it: ``master``, ``memory``, ``conf``, ``scratch``
            (templated).
        kwargs: `as_of`, `artifact_root`, `artifact_conn_id` (see `MlpipeOperator`) and what every operator takes.
    """

    template_fields: Sequence[str] = (
        *StageOperator.template_fields, "artifact", "config", "dataset", "related", "fail_task", "engine", "spark"
    )  # fmt: skip
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "config": "yaml",
        "artifact": "json",
        "related": "json",
        "spark": "json",
    }
    ui_color = "#fef3c7"
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        artifact: ArtifactUri | Mapping[str, ArtifactUri],
        config: ConfigLike,
        dataset: str | Mapping[str, str] | None = None,
        related: Mapping[str, ArtifactUri] | None = None,
        fail_task: bool | str = True,
        engine: str | None = None,
        spark: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the base's arguments
    ) -> None:
        super().__init__(**kwargs)
        self.artifact = artifact
        self.config = config
        self.dataset = dataset
        self.related = related
        self.fail_task = fail_task
        self.engine = engine
        self.spark = spark

    def run_stage(self, job: Job) -> str | dict[str, str]:
        """Validate all, then fail for all that may not pass."""
        from airflow_provider_mlpipe.validation import raise_if_any_blocked, sift_all

        fails = self._fails()
        several = isinstance(self.artifact, Mapping)
        given: dict[str, ArtifactUri] = (
            dict(self.artifact) if isinstance(self.artifact, Mapping) else {"": self.artifact}
        )
        if reserved := sorted(_KEYS.intersection(given)):
            raise self._wrong("artifact", f"{reserved[0]!r} is an XCom key of its own: choose another name")
        artifacts, rules = self._opened(given, job)
        sifted = sift_all(
            artifacts,
            rules,
            as_of=job.as_of,
            root=job.root,
            run=job.run,
            engine=job.engine,
            **self._choices(job, rules.values()),
        )
        for sifting in sifted.values():
            job.trail.judges(sifting.first.artifact)
            job.trail.writes(sifting.quarantine)
        self._push(sifted, job, several=several)
        for name, sifting in sifted.items():
            self._report(rules[name].name, sifting, fails=fails)
        if fails:
            raise_if_any_blocked(sifted.values())
        uris = {name: str(sifting.artifact.uri) for name, sifting in sifted.items()}
        if not several:
            return uris[""]
        for name, uri in uris.items():
            job.push(name, uri)  # what `output[name]` asks for
        return uris

    def _opened(
        self, given: Mapping[str, ArtifactUri], job: Job
    ) -> tuple[dict[str, Artifact], dict[str, Configured[DatasetRules]]]:
        """Return artifacts and their rules by name; files that no task published are called as their rules."""
        from airflow_provider_mlpipe import config

        found = self.find_config(self.config)
        artifacts, rules = {}, {}
        for name, uri in given.items():
            named = self.dataset.get(name, name) if isinstance(self.dataset, Mapping) else (self.dataset or name)
            artifacts[name] = job.adopt(uri, named)
            rules[name] = config.dataset_rules(found, named or artifacts[name].manifest.dataset)
        return artifacts, rules

    def _choices(self, job: Job, rules: Iterable[Configured[DatasetRules]]) -> dict[str, Any]:
        from airflow_provider_mlpipe.hooks import settings

        related = {name: job.adopt(uri, name) for name, uri in (self.related or {}).items()}
        choices: dict[str, Any] = {"related": related} if related else {}
        if "spark" in {self.engine, *(each.model.engine for each in rules)}:
            choices["spark"] = settings.spark(self.spark, job.options)
        return choices | ({"runner": self.engine} if self.engine else {})

    def _push(self, sifted: Mapping[str, Sifting], job: Job, *, several: bool) -> None:
        """Push the small extras: of one artifact as they are, of several by name."""
        measured = [sifting.counts | {"rejected": int(not sifting.passed)} for sifting in sifted.values()]
        job.push("metrics", _total(measured))
        for sifting, metrics in zip(sifted.values(), measured, strict=True):
            job.emit_metrics(metrics, dataset=sifting.first.dataset)
        extras: dict[str, dict[str, Any]] = {
            "validation": {name: {"passed": each.passed} | _counts(each) for name, each in sifted.items()},
            "report": {name: each.first.report for name, each in sifted.items()},
            "quarantine": {name: each.quarantine and each.quarantine.uri for name, each in sifted.items()},
        }
        for key, by_name in extras.items():
            job.push(key, by_name if several else by_name[""])

    def _report(self, dataset: str, sifting: Sifting, *, fails: bool) -> None:
        counts = sifting.counts
        self.log.info(
            "Validated %s: %d rows by %d rules in %.1f s, %d errors, %d warnings; report at %s",
            dataset,
            counts.get("rows_validated", 0),
            counts.get("total_checks", 0),
            counts.get("duration_seconds", 0.0),
            counts.get("errors", 0),
            counts.get("warnings", 0),
            sifting.first.report,
        )
        if sifting.division is not None:
            kept, out = sifting.division.clean, sifting.division.quarantine
            self.log.warning("%s: %d rows went to quarantine %s", dataset, out.manifest.rows, out.uri)
            self.log.info("%s: the %d others are %s", dataset, kept.manifest.rows, kept.uri)
        elif sifting.refusal and not fails:
            self.log.error("%s: %s", dataset, sifting.refusal)
        for verdict in filter(None, (sifting.first, sifting.clean)):
            # What blocks stands in the error that fails the task; once is enough.
            self._list(verdict, but_blocking=fails and verdict is sifting.verdict)

    def _list(self, verdict: Verdict, *, but_blocking: bool) -> None:
        for result in verdict.results:
            if result.failed and not (result.blocks and but_blocking):
                self.log.log(_LEVELS[result.severity], "%s", "\n".join(result.lines()))

    def _fails(self) -> bool:
        word = str(self.fail_task).strip().lower()
        if word not in _TRUTHS:
            raise self._wrong("fail_task", f"neither true nor false, got {self.fail_task!r}")
        return _TRUTHS[word]

    def _wrong(self, key: str, problem: str) -> ConfigError:
        return ConfigError.invalid(where=f"task {self.task_id}", key=key, problem=problem)


def _counts(sifting: Sifting) -> dict[str, Any]:
    # `passed` is also the name of the count of rules that held; in the small XCom it is the verdict.
    renamed = {"passed": "rules_passed", "failed": "rules_failed"}
    return {renamed.get(name, name): sifting.counts[name] for name in _COUNTS if name in sifting.counts}


def _total(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metrics of several artifacts together: sums, and of peaks the highest."""
    names = dict.fromkeys(name for each in counts for name in each)
    return {
        name: (max if name.startswith("peak") else sum)(each[name] for each in counts if name in each) for name in names
    }
