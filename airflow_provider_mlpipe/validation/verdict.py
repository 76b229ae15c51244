"""The verdict: what became of every rule, in words for a log, in numbers for a machine, as an error for a pipeline."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_mlpipe.errors import DataRejectedError, redact
from airflow_provider_mlpipe.validation.wording import plural, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.config import Severity
    from airflow_provider_mlpipe.config.rules import OnFailure
    from airflow_provider_mlpipe.observability import Metrics
    from airflow_provider_mlpipe.validation.findings import Sample

__all__ = ["RuleResult", "Status", "Verdict", "in_report_order", "report_text"]

Status = Literal["passed", "failed", "error", "skipped"]

_MARK = {"passed": "ok", "failed": "FAILED", "error": "CANNOT RUN", "skipped": "skipped"}


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """What became of one rule.

    Attributes:
        rule_id: ``dataset.kind.columns``.
        kind: rows, column, type, not_null, unique, range, in_set, fresh or drift.
        columns: the columns that it reads.
        severity: as the YAML says; ERROR for a rule that could not run, whatever the YAML says.
        status: ``error`` means that the rule could not run, which counts as failed.
        text: the rule in plain words.
        found: what was found, as a sentence.
        where: ``file:line`` of the YAML.
        checked: values (or rows) that the rule looked at.
        unexpected: how many of them broke it.
        samples: up to five of them.
        observed: what an aggregate rule saw.
        shape: of drift: ``labels`` of the bins or categories, and their ``expected`` and ``actual`` shares.
        on_failure: what becomes of rows that break it: block, quarantine or warn.
    """

    rule_id: str
    kind: str
    columns: tuple[str, ...]
    severity: Severity
    status: Status
    text: str
    found: str
    where: str
    checked: int = 0
    unexpected: int = 0
    samples: tuple[Sample, ...] = ()
    observed: Any = None
    shape: dict[str, list[Any]] | None = None
    owner: str | None = None
    note: str | None = None
    on_failure: OnFailure = "block"

    @property
    def passed(self) -> bool:
        """Whether the rule held; a skipped rule neither held nor failed."""
        return self.status == "passed"

    @property
    def failed(self) -> bool:
        """Whether the rule did not hold or could not run."""
        return self.status in {"failed", "error"}

    @property
    def blocks(self) -> bool:
        """Whether this result stops the pipeline."""
        return self.failed and self.severity == "ERROR"

    @property
    def share(self) -> float:
        """The share of the checked values that broke the rule."""
        return self.unexpected / self.checked if self.checked else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        samples = [sample.as_dict() for sample in self.samples]
        return {**asdict(self), "columns": list(self.columns), "samples": samples, "share": self.share}

    def lines(self) -> list[str]:
        """Return it in words: what, where, how many of how many, samples."""
        marked = _MARK[self.status] if self.status in {"passed", "skipped"} else f"{self.severity} {_MARK[self.status]}"
        lines = [f"{marked}: {self.text} {self.found}".rstrip()]
        if self.failed:
            if self.samples:
                lines.append(f"  samples: {'; '.join(map(_sample, self.samples))}")
            owner = f", owner {self.owner}" if self.owner else ""
            lines.append(f"  rule {self.rule_id} at {self.where}{owner}")
            if self.note:
                lines.append(f"  note: {self.note}")
        return lines


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a validation.

    Attributes:
        artifact: what was judged.
        dataset: whose rules.
        results: one per rule, failures first, in the order of severity.
        counts: total_checks, passed, failed, errors, warnings, skipped, rows_validated, and how long it took.
        report: the address of the HTML report.
    """

    artifact: Artifact
    dataset: str
    results: tuple[RuleResult, ...]
    counts: Metrics
    report: str

    @property
    def passed(self) -> bool:
        """Whether no rule of severity ERROR failed."""
        return not any(result.blocks for result in self.results)

    def summary(self, state: str = "") -> str:
        """Return the verdict for a log: a line of counts, then what failed, then what was skipped.

        Args:
            state: what became of the data, if neither passed nor blocked says it.
        """
        return report_text(self.dataset, self.results, self.counts, state=state)

    def raise_if_blocked(self) -> None:
        """Do nothing if the data may pass.

        Raises:
            DataRejectedError: a rule of severity ERROR failed; the message holds each with counts, samples and place.
        """
        blocking = [result for result in self.results if result.blocks]
        if not blocking:
            return
        details = "\n".join(f"  {line}" for result in blocking for line in result.lines())
        counted = plural(len(blocking), "rule")
        raise DataRejectedError(
            f"{self.dataset}: {counted} of severity ERROR failed on {plural(self.counts['rows_validated'], 'row')} of "
            f"{redact(self.artifact.uri)}\n{details}\nReport: {redact(self.report)}",
            hint="Repair the data at its source and run ingestion again; or, where the rule is wrong, change it at the "
            "line given above. A rule that should not block takes severity: WARNING.",
            dataset=self.dataset,
            artifact=redact(self.artifact.uri),
            report=redact(self.report),
            failures=[result.as_dict() for result in blocking],
        )


def report_text(
    dataset: str, results: tuple[RuleResult, ...], counts: Metrics, *, complete: bool = False, state: str = ""
) -> str:
    """Return a validation in words, failures first; rules that held are listed only if `complete`."""
    good = not any(result.blocks for result in results)
    head = (
        f"{dataset}: {state or ('PASSED' if good else 'BLOCKED')}, "
        f"{counts['passed']} of {plural(counts['total_checks'], 'rule')} held, {plural(counts['errors'], 'error')}, "
        f"{plural(counts['warnings'], 'warning')}, {counts['skipped']} skipped; "
        f"{plural(counts['rows_validated'], 'row')}"
    )
    lines = [line for result in results if complete or not result.passed for line in result.lines()]
    return "\n".join([head, *(f"  {line}" for line in lines)])


def _sample(sample: Sample) -> str:
    values = list(sample.values.items())
    shown = quoted(values[0][1]) if len(values) == 1 else ", ".join(f"{name} {quoted(item)}" for name, item in values)
    extra = [f"{name} {quoted(item)}" for name, item in sample.key.items()]
    if sample.rows is not None:
        extra.append(plural(sample.rows, "row"))
    return f"{shown} ({', '.join(extra)})" if extra else shown


def in_report_order(results: Iterable[RuleResult]) -> tuple[RuleResult, ...]:
    """Return failures first, the severest first; then what was skipped, then what held."""
    ranks = {"error": 0, "failed": 0, "skipped": 1, "passed": 2}
    severities = {"ERROR": 0, "WARNING": 1, "INFO": 2}
    return tuple(sorted(results, key=lambda result: (ranks[result.status], severities[result.severity])))
