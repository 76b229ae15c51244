"""Where a page comes from: what was judged, by which rules, when, with what, and how to do it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.figures import cut, moment
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["provenance"]

MAX_TEXT = 600


def provenance(summary: Mapping[str, Any]) -> Safe:
    """Return the last section of a page."""
    listed = [item for name, value in _facts(summary) for item in (tag("dt", name), tag("dd", value))]
    parts = [tag("dl", *listed, class_="where")]
    if summary["command"]:
        parts.append(tag("p", "Again, by hand:", class_="quiet small again"))
        parts.append(tag("pre", cut(summary["command"], 2 * MAX_TEXT), tabindex=0, role="region", aria_label="command"))
    return join(
        tag("h2", "Where this comes from, and how to repeat it"),
        tag("section", *parts, class_="card"),
    )


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, Safe]]:
    run = summary["run"]
    facts = [
        ("Artifact", tag("code", cut(summary["artifact"], MAX_TEXT))),
        ("Fingerprint", tag("code", summary["fingerprint"])),
        ("Rules", tag("code", cut(f"{summary['config']}, {summary['dataset']}", MAX_TEXT))),
        ("As of", tag("code", summary["as_of"])),
        ("Written by", join(cut(_writer(run), MAX_TEXT))),
        ("Engine", join(_engine(summary))),
    ]
    if ends := run.get("interval"):
        facts.insert(4, ("Interval", join(f"{moment(ends[0])} to {moment(ends[1])}, its end excluded")))
    if versions := summary.get("versions"):
        facts.append(("Versions", join(", ".join(f"{name} {found}" for name, found in versions.items()))))
    beside = "`_suite.json` (Great Expectations suite), `_validation.json` (its result, and this page's data)"
    return [*facts, ("Beside the data", prose(beside))]


def _writer(run: Mapping[str, Any]) -> str:
    said = f"{run['dag_id']}.{run['task_id']}, run {run['run_id']}, try {run['try_number']}"
    return f"{said}, map index {run['map_index']}" if run.get("map_index", -1) >= 0 else said


def _engine(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    said = str(summary["engine"])
    if "cpu_seconds" in counts:
        said += f", {counts['cpu_seconds']} CPU s"
    if "duration_seconds" in counts:
        said += f" in {counts['duration_seconds']} s"
    return said
