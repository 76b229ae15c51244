"""The validation stage: judge an artifact by its dataset's rules and put the verdict beside the data."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_mlpipe import engines
from airflow_provider_mlpipe.artifacts.artifact import REPORT, SUITE, VERDICT
from airflow_provider_mlpipe.artifacts.storage import join
from airflow_provider_mlpipe.engines import SparkSettings, open_scanner
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError, EngineUnavailableError, MlpipeError, redact
from airflow_provider_mlpipe.observability import Metrics, Stopwatch
from airflow_provider_mlpipe.reporting import render
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.documents import as_json
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.freshness import hours_before
from airflow_provider_mlpipe.validation.gx.stock import excess, second_opinion
from airflow_provider_mlpipe.validation.history import recent
from airflow_provider_mlpipe.validation.illustration import illustration
from airflow_provider_mlpipe.validation.library import load_great_expectations
from airflow_provider_mlpipe.validation.masking import Masking, discreet
from airflow_provider_mlpipe.validation.profile import EXACT_ROWS
from airflow_provider_mlpipe.validation.rules import Fresh, Surroundings, rules_of
from airflow_provider_mlpipe.validation.scan import Scan
from airflow_provider_mlpipe.validation.verdict import RuleResult, Verdict, in_report_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import Configured, DatasetRules
    from airflow_provider_mlpipe.engines import DuckDBSettings
    from airflow_provider_mlpipe.validation.judgement import Judgement
    from airflow_provider_mlpipe.validation.profile import ColumnProfile
    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["Runner", "count_results", "judge_frame", "runner_of", "validate"]

logger = logging.getLogger(__name__)

ENGINES = {"scan": "duckdb", "gx": "duckdb", "spark": "spark"}
"""What computes, by who judges; stock Great Expectations is asked on top of the scan."""

Runner = Literal["scan", "spark", "gx"]


def validate(
    artifact: Artifact,
    rules: Configured[DatasetRules],
    *,
    as_of: datetime,
    engine: DuckDBSettings | None = None,
    related: Mapping[str, Artifact] | None = None,
    spark: SparkSettings | None = None,
    runner: Runner | None = None,
) -> Verdict:
    """Judge `artifact` and write suite, report and verdict beside its data, the verdict last.

    Rules that fail do not raise here: ask the verdict (`Verdict.passed`, `Verdict.raise_if_blocked`).

    Args:
        artifact: the rows.
        rules: the dataset's rules, as `config.dataset_rules` returns them.
        as_of: the instant that freshness is measured against: the end of the run's data interval.
        engine: what the computation may take.
        related: other datasets by name, to which rules of this one refer (``references``).
        spark: which Spark, where `runner` or the rules say ``spark``.
        runner: ``scan``, ``spark`` for the same scan on Spark, or ``gx`` for stock Great Expectations on pandas; what
            the rules say (`engine`) if None.

    Raises:
        ConfigError: a rule that no data could make sense of.
        ArtifactError: the data cannot be read, or the verdict cannot be written.
    """
    stopwatch = Stopwatch()
    as_of = instant(as_of)
    surroundings = Surroundings(
        past=lambda limit: recent(artifact, before=as_of, limit=limit),
        related={name: redact(other.uri) for name, other in (related or {}).items()},
    )
    listed = discreet((rule.bound(surroundings) for rule in rules_of(rules, as_of)), rules.model.sensitive)
    masking = Masking.of(rules, listed, artifact.schema.names)
    chosen = runner_of(rules, runner)
    with open_scanner((spark or SparkSettings()) if chosen == "spark" else engine) as opened:
        try:
            frame = Frame.of_artifact(opened, artifact, related)
            judgement, scan = judge_frame(frame, listed, rules.name, on_pandas=_on_pandas(frame, rules, chosen))
        except Exception as error:  # noqa: BLE001 - what is none of ours is raised as it is
            raise _mapped(error, artifact, masking) from (None if rules.model.sensitive else error)
    results = in_report_order(masking.results(judgement.results))
    counts = count_results(results, artifact.manifest.rows)
    counts.update(stopwatch.readings())
    report = join(artifact.uri, REPORT)
    verdict = Verdict(artifact=artifact, dataset=rules.name, results=results, counts=counts, report=report)
    summary = _summary(verdict, rules, as_of, listed, scan.columns.values(), masking)
    summary |= {"engine": ENGINES[chosen], "command": _command(verdict, rules, as_of, chosen)}
    summary |= illustration(artifact, results, as_of=as_of, sensitive=rules.model.sensitive, columns=scan.columns)
    artifact.write_beside(SUITE, as_json(masking.suite(judgement.suite)))
    artifact.write_beside(REPORT, render(summary).encode())
    artifact.write_beside(VERDICT, as_json(masking.validation(judgement.document({"mlpipe": summary}))))
    logger.info("validated %s: %s", redact(artifact.uri), "passed" if verdict.passed else "blocked")
    return verdict


def count_results(results: Iterable[RuleResult], rows: int) -> Metrics:
    """Return the counts of a verdict by the names of the metric registry; skipped rules are not among the checks."""
    listed = list(results)
    failed = [result for result in listed if result.failed]
    skipped = sum(result.status == "skipped" for result in listed)
    of_kind = Counter(result.kind for result in failed)
    return Metrics(
        total_checks=len(listed) - skipped,
        passed=sum(result.passed for result in listed),
        failed=len(failed),
        errors=sum(result.severity == "ERROR" for result in failed),
        warnings=sum(result.severity == "WARNING" for result in failed),
        skipped=skipped,
        rows_validated=rows,
        drift_failed=of_kind["drift"],
        freshness_failed=of_kind["fresh"],
        row_count_failed=of_kind["row_count"] + of_kind["row_count_anomaly"] + of_kind["rows"],
    )


def runner_of(rules: Configured[DatasetRules], given: str | None = None) -> Runner:
    """Return what is to judge: what is given, else what the rules say.

    Raises:
        ConfigError: there is no such runner.
    """
    wanted = given or rules.model.engine
    known: tuple[Runner, ...] = get_args(Runner)
    if wanted not in known:
        raise ConfigError.unknown_name(where="runner", kind="runner", name=wanted, known=known)
    return next(each for each in known if each == wanted)


def _on_pandas(frame: Frame, rules: Configured[DatasetRules], runner: Runner) -> bool:
    """Whether stock Great Expectations is to have its say.

    Raises:
        ConfigError: it is, but the rows are too many.
    """
    wanted = runner == "gx"
    if wanted and (problem := excess(frame.rows, len(frame.names))):
        raise ConfigError.invalid(
            where=rules.where("engine"), key="engine", problem=problem, value="gx", hint="Write engine: scan."
        )
    return wanted


def judge_frame(
    frame: Frame, rules: Sequence[Rule], dataset: str, *, on_pandas: bool = False
) -> tuple[Judgement, Scan]:
    """Scan a frame and judge what was found: the one way from rules to results, for artifacts and tables alike.

    Args:
        frame: the rows.
        rules: the rules.
        dataset: the name of the suite.
        on_pandas: whether stock Great Expectations on pandas has the last word on its own expectations.
    """
    load_great_expectations()
    from airflow_provider_mlpipe.validation.judgement import judge_all

    scan = Scan(frame, rules)
    findings = second_opinion(frame, rules, scan.findings) if on_pandas else scan.findings
    return judge_all(frame, rules, findings, dataset), scan


def _summary(
    verdict: Verdict,
    rules: Configured[DatasetRules],
    as_of: datetime,
    listed: Sequence[Rule],
    columns: Iterable[ColumnProfile],
    masking: Masking,
) -> dict[str, Any]:
    """Return what ``_validation.json`` says below ``meta.mlpipe``; the report is drawn from it alone."""
    manifest = verdict.artifact.manifest
    return {
        "passed": verdict.passed,
        "fingerprint": verdict.artifact.fingerprint,
        "dataset": verdict.dataset,
        "as_of": as_of.isoformat(),
        "counts": dict(verdict.counts),
        "report": redact(verdict.report),
        "artifact": redact(verdict.artifact.uri),
        "stage": manifest.stage,
        "run": manifest.run,
        "config": rules.document.name,
        "freshness": [_freshness(rule, verdict) for rule in listed if isinstance(rule, Fresh)],
        "exact_distinct": verdict.counts["rows_validated"] <= EXACT_ROWS,
        "rules": [result.as_dict() for result in verdict.results],
        "columns": [masking.column(column.as_dict()) for column in columns],
    }


def _freshness(rule: Fresh, verdict: Verdict) -> dict[str, Any]:
    """Return the age of the newest value and its limit, for a gauge."""
    result = next(result for result in verdict.results if result.rule_id == rule.rule_id)
    newest = result.observed
    age = None if newest is None else round(hours_before(instant(newest), rule.as_of), 4)
    facts = {"column": rule.column, "newest": newest, "age_hours": age, "max_age_hours": rule.max_age_hours}
    return {**facts, "held": result.passed}


def _command(verdict: Verdict, rules: Configured[DatasetRules], as_of: datetime, runner: Runner) -> str:
    """Return how to do this again by hand; nothing for rules that stand in no file."""
    if not rules.document.lines:
        return ""
    words = ["mlpipe", "validate", redact(verdict.artifact.uri), "--config", rules.document.name]
    words += ["--dataset", rules.name, "--as-of", as_of.isoformat()]
    return shlex.join(words if runner == rules.model.engine else [*words, "--engine", runner])


def _mapped(error: Exception, artifact: Artifact, masking: Masking) -> Exception:
    """Return an exception of ours for what the engine or the storage raised."""
    found = engines.refusal(error)
    if isinstance(error, MlpipeError) or (found is None and not isinstance(error, (OSError, ValueError))):
        return error
    if found is not None and found.lost:
        return EngineUnavailableError.unreachable(engine="spark", location="", problem=found.problem)
    artifact.check_parts()  # says it better if the data was replaced or damaged meanwhile
    if found is not None and found.out_of_memory:
        return ConfigError.invalid(
            where="engine", key="memory_limit", problem="too little to scan the data", hint="Raise memory_limit."
        )
    problem = redact(masking.message(str(error).splitlines()[0])) if str(error) else type(error).__name__
    return ArtifactError(
        f"artifact {redact(artifact.uri)} cannot be read: {problem}",
        hint="Check that the storage is reachable; if it is, run the stage that wrote it again.",
        uri=redact(artifact.uri),
    )
