"""Sifting: judge an artifact, take out the rows that break rules of ``on_failure: quarantine``, judge what is left.

What is passed on always has a verdict of its own, for exactly its content: the artifact itself where nothing had to be
taken out, else the clean rows as an artifact of their own, judged by all rules again. A rule about the whole table may
hold before and fail after, and then nothing is passed on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import Storage
from airflow_provider_mlpipe.artifacts.artifact import REPORT, VERDICT
from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import DataRejectedError, redact
from airflow_provider_mlpipe.observability import Metrics
from airflow_provider_mlpipe.reporting import render
from airflow_provider_mlpipe.run import Run, instant
from airflow_provider_mlpipe.validation.division import Division, TooManyError, divide
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.masking import discreet
from airflow_provider_mlpipe.validation.offenders import offending
from airflow_provider_mlpipe.validation.rules import rules_of
from airflow_provider_mlpipe.validation.stage import validate
from airflow_provider_mlpipe.validation.wording import plural, share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import Configured, DatasetRules
    from airflow_provider_mlpipe.engines import DuckDBSettings, SparkSettings
    from airflow_provider_mlpipe.validation.division import Breaking
    from airflow_provider_mlpipe.validation.stage import Runner
    from airflow_provider_mlpipe.validation.verdict import RuleResult, Verdict

__all__ = ["Sifting", "raise_if_any_blocked", "sift", "sift_all"]


@dataclass(frozen=True, kw_only=True)
class Sifting:
    """What became of an artifact.

    Attributes:
        first: the verdict on the artifact as it came.
        clean: the verdict on the rows that were left; None if none were taken out.
        division: where the rows went; None if none were taken out.
        refusal: why rows that could have been taken out were not, as a sentence.
    """

    first: Verdict
    clean: Verdict | None = None
    division: Division | None = None
    refusal: str = ""
    counts: Metrics = field(default_factory=Metrics)

    @property
    def verdict(self) -> Verdict:
        """The verdict on what is passed on."""
        return self.clean or self.first

    @property
    def artifact(self) -> Artifact:
        """What is passed on, if the verdict lets it."""
        return self.verdict.artifact

    @property
    def passed(self) -> bool:
        """Whether what is passed on may be passed on."""
        return self.verdict.passed

    @property
    def quarantine(self) -> Artifact | None:
        """The rows that were taken out."""
        return self.division.quarantine if self.division else None

    def summary(self) -> str:
        """Return what became of it for a log: the verdict as it came, then what was taken out and judged again."""
        lines = [self.first.summary("QUARANTINED" if self.division is not None and self.passed else "")]
        if self.division is not None and self.clean is not None:
            taken, where = plural(self.division.rows, "row"), redact(self.division.quarantine.uri)
            lines += [f"{taken} went to quarantine: {where}", f"What is left: {self.clean.summary()}"]
        return "\n".join([*lines, self.refusal] if self.refusal else lines)

    def raise_if_blocked(self) -> None:
        """Do nothing if what is passed on may pass.

        Raises:
            DataRejectedError: it may not; the message holds each rule with counts, samples and place.
        """
        try:
            self.verdict.raise_if_blocked()
        except DataRejectedError as error:
            if self.clean is not None:
                error.message = f"{error.message}\n{self._taken_out()}"
            elif self.refusal:
                error.message = f"{error.message}\n{self.refusal}"
            else:
                raise
            raise DataRejectedError(error.message, hint=error.hint, **error.fields) from None

    def _taken_out(self) -> str:
        assert self.division is not None  # noqa: S101 - there is no clean verdict without
        taken, where = plural(self.division.rows, "row"), redact(self.division.quarantine.uri)
        return f"Before that {taken} went to quarantine: {where}"


def sift(  # noqa: PLR0913 - what a stage takes, and which Spark
    artifact: Artifact,
    rules: Configured[DatasetRules],
    *,
    as_of: datetime,
    root: Storage | None = None,
    run: Run | None = None,
    engine: DuckDBSettings | None = None,
    related: Mapping[str, Artifact] | None = None,
    spark: SparkSettings | None = None,
    runner: Runner | None = None,
) -> Sifting:
    """Judge `artifact`, divide it where its rules say so, and judge what is left.

    Nothing is divided if any failed rule blocks anyway: then the data has to be repaired first. Dividing is DuckDB's
    work, also of what Spark judged: it reads and writes every row in its order, and holds few of them.

    Args:
        artifact: the rows.
        rules: the dataset's rules.
        as_of: the instant that freshness is measured against.
        root: the artifact root, for the clean rows and the quarantine; that of `artifact` if absent.
        run: who does it.
        engine: what the computation may take.
        related: other datasets by name, to which rules of this one refer (``references``).
        spark: which Spark, where `runner` or the rules say ``spark``.
        runner: ``scan``, ``spark``, or ``gx`` for stock Great Expectations on pandas; what the rules say if None.

    Raises:
        ConfigError: a rule that no data could make sense of.
        ArtifactError: the data cannot be read, or something cannot be written.
    """
    first = validate(artifact, rules, as_of=as_of, engine=engine, related=related, spark=spark, runner=runner)
    wanted = [result for result in first.results if result.status == "failed" and result.on_failure == "quarantine"]
    counts = Metrics(**first.counts, rows_quarantined=0)
    if not wanted:
        return Sifting(first=first, counts=counts)
    most = int(rules.model.max_quarantine_share * artifact.manifest.rows)
    with DuckDBEngine.open(engine) as opened:
        frame = Frame.of_artifact(opened, artifact, related)
        breaking = _breaking(frame, rules, as_of, wanted)
        if refusal := _refusal(first.results, breaking):
            return Sifting(first=first, counts=counts, refusal=refusal)
        try:
            division = divide(
                frame, artifact, breaking, root=root or root_of(artifact), run=run or Run(task_id="validate"), most=most
            )
        except TooManyError as error:
            return Sifting(first=first, counts=counts, refusal=_too_many(error.rows, artifact, rules))
    clean = validate(division.clean, rules, as_of=as_of, engine=engine, related=related, spark=spark, runner=runner)
    _tell(first, division, clean)
    counts["rows_quarantined"] = division.rows
    return Sifting(first=first, clean=clean, division=division, counts=counts)


def sift_all(  # noqa: PLR0913 - what a stage takes, and which Spark
    artifacts: Mapping[str, Artifact],
    rules: Mapping[str, Configured[DatasetRules]],
    *,
    as_of: datetime,
    root: Storage | None = None,
    run: Run | None = None,
    engine: DuckDBSettings | None = None,
    related: Mapping[str, Artifact] | None = None,
    spark: SparkSettings | None = None,
    runner: Runner | None = None,
) -> dict[str, Sifting]:
    """Sift several artifacts, each by the rules of its name, in the order given, and each to the end.

    They may refer to one another, by name. What was passed on of an artifact is what those after it refer to: first the
    users, then what they did.

    Args:
        artifacts: by name.
        rules: by the same names.
        as_of: the instant that freshness is measured against.
        root: the artifact root; that of each artifact if absent.
        run: who does it.
        engine: what the computation may take.
        related: other artifacts that rules refer to, by name.
        spark: which Spark, where `runner` or the rules say ``spark``.
        runner: ``scan``, ``spark``, or ``gx`` for stock Great Expectations on pandas; what the rules say if None.
    """
    known = {**(related or {}), **artifacts}
    sifted: dict[str, Sifting] = {}
    for name, artifact in artifacts.items():
        others = {other: found for other, found in known.items() if other != name}
        sifted[name] = sift(
            artifact, rules[name],
            as_of=as_of, root=root, run=run, engine=engine, related=others, spark=spark, runner=runner,
        )  # fmt: skip
        if sifted[name].passed:
            known[name] = sifted[name].artifact
    return sifted


def raise_if_any_blocked(sifted: Iterable[Sifting]) -> None:
    """Do nothing if all may pass, else say of all that may not why.

    Raises:
        DataRejectedError: at least one may not.
    """
    rejections = []
    for each in sifted:
        try:
            each.raise_if_blocked()
        except DataRejectedError as error:
            rejections.append(error)
    if len(rejections) == 1:
        raise rejections[0]
    if rejections:
        message = "\n".join(error.message for error in rejections)
        raise DataRejectedError(message, hint=rejections[0].hint, datasets=[error.fields for error in rejections])


def root_of(artifact: Artifact) -> Storage:
    """Return the artifact root that an artifact lies in; its own folder if it was moved to a place of another shape."""
    manifest, place = artifact.manifest, artifact.place
    tail = f"/{manifest.dataset}/{manifest.stage}/{manifest.partition}"
    return Storage(place.uri.removesuffix(tail) or "/", place.options)


def _breaking(
    frame: Frame, rules: Configured[DatasetRules], as_of: datetime, wanted: Sequence[RuleResult]
) -> list[Breaking]:
    """Return the failed rules that say of single rows whether they break them, each with the SQL that says so."""
    names = {result.rule_id for result in wanted}
    listed = discreet(rules_of(rules, instant(as_of)), rules.model.sensitive)
    found = ((rule, offending(frame, rule)) for rule in listed if rule.rule_id in names)
    return [(rule, condition) for rule, condition in found if condition is not None]


def _refusal(results: Sequence[RuleResult], breaking: Sequence[Breaking]) -> str:
    """Return why nothing is taken out: what else blocks would block anyway."""
    handled = {rule.rule_id for rule, _ in breaking}
    left = [result.rule_id for result in results if result.blocks and result.rule_id not in handled]
    if not left:
        return "" if handled else "No rows were taken out: the rules that failed are not about single rows."
    also = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return f"No rows were taken out, because {left[0]}{also} blocks without regard to rows." if handled else ""


def _too_many(rows: int, artifact: Artifact, rules: Configured[DatasetRules]) -> str:
    total, limit = artifact.manifest.rows, rules.model.max_quarantine_share
    if rows == total:
        return f"No rows were taken out, because nothing would be left: all of {plural(total, 'row')} break a rule."
    return (
        f"No rows were taken out: at least {rows:,} of {plural(total, 'row')} ({share(rows / total)}) would go to "
        f"quarantine, which is more than max_quarantine_share {share(limit)} ({rules.where('max_quarantine_share')})."
    )


def _tell(first: Verdict, division: Division, clean: Verdict) -> None:
    """Say beside the rows as they came what became of them: in the verdict and in its report."""
    artifact = first.artifact
    content = artifact.read_beside(VERDICT)
    if content is None:  # replaced meanwhile; what replaced it tells its own story
        return
    document = json.loads(content)
    summary = document["meta"]["mlpipe"]
    if summary["fingerprint"] != artifact.fingerprint:
        return
    summary["quarantine"] = {**division.as_dict(), "passed": clean.passed, "report": redact(clean.report)}
    for rule in summary["rules"]:
        rule["handled"] = clean.passed and rule["rule_id"] in division.by_rule
    artifact.write_beside(REPORT, render(summary).encode())
    artifact.write_beside(VERDICT, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode())
