"""What a report shows beside the verdict itself: earlier runs, rough pictures of columns, versions.

Nothing in here decides anything, so nothing in here may fail a validation.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.validation.history import recent
from airflow_provider_mlpipe.validation.sketch import MAX_ROWS, sketches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.validation.history import PastRun
    from airflow_provider_mlpipe.validation.profile import ColumnProfile
    from airflow_provider_mlpipe.validation.verdict import RuleResult

__all__ = ["illustration", "trend"]

_PACKAGES = ("airflow-provider-mlpipe", "great-expectations", "duckdb", "pyarrow")
HARDLY = 0.05
_LETTERS = {"passed": "p", "failed": "f", "error": "e", "skipped": "s"}


def illustration(
    artifact: Artifact,
    results: Sequence[RuleResult],
    *,
    as_of: datetime,
    sensitive: Collection[str],
    columns: Mapping[str, ColumnProfile] | None = None,
) -> dict[str, Any]:
    """Return what belongs into the summary of a verdict for its report.

    Args:
        artifact: the data.
        results: of this run, masked.
        as_of: of this run; only earlier runs are its history.
        sensitive: columns of which no picture is made.
        columns: what is known of columns, which tells those of which there is no picture to make.
    """
    plain = [name for name, column in (columns or {}).items() if _hardly_repeats(column, artifact.manifest.rows)]
    return {
        "sensitive": sorted(sensitive),
        "sketches": sketches(artifact, leave_out=(*sensitive, *plain)),
        "history": trend(recent(artifact, before=as_of), results),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def trend(runs: Sequence[PastRun], results: Sequence[RuleResult]) -> dict[str, Any]:
    """Return the earlier runs, and of each rule one letter per run: ``p``, ``f``, ``e``, ``s``, or ``-`` for none.

    Of rules that observe a number, or that broke in a share of the values, ``values`` holds that of each run.
    """
    if not runs:
        return {"runs": [], "rules": {}}
    return {
        "runs": [
            {
                "as_of": run.as_of.isoformat(), "rows": run.rows, "passed": run.passed,
                **{name: run.counts.get(name, 0) for name in ("failed", "errors", "warnings")},
            }
            for run in runs
        ],
        "rules": {result.rule_id: _of_rule(runs, result) for result in results},
    }  # fmt: skip


def _of_rule(runs: Sequence[PastRun], result: RuleResult) -> dict[str, Any]:
    name = result.rule_id
    found: dict[str, Any] = {"statuses": "".join(_LETTERS.get(run.statuses.get(name, ""), "-") for run in runs)}
    # A rule whose observation is masked today may have been told before its column was marked as sensitive.
    told = isinstance(result.observed, (int, float)) and not isinstance(result.observed, bool)
    values = [run.observed.get(name) if told else run.shares.get(name) for run in runs]
    if told or result.unexpected or any(values):
        found["values"] = values
    return found


def _hardly_repeats(column: ColumnProfile, rows: int) -> bool:
    """Whether a text has so many values that the most frequent ones say nothing; to read them costs the most of all."""
    return column.type == "string" and (column.distinct or 0) > max(MAX_ROWS // 2, HARDLY * rows)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
