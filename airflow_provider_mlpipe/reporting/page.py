"""The page of one verdict: a single HTML file without scripts, that opens anywhere and under any content policy.

It is drawn from the ``mlpipe`` object of ``_validation.json`` alone, so it can be drawn again later. Styles are one
block whose hash stands in the page's own Content-Security-Policy; no element carries a style, bars are SVG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.document import document, policy, stylesheet
from airflow_provider_mlpipe.reporting.failures import failure_cards
from airflow_provider_mlpipe.reporting.figures import amount, bar, cut, hours, moment, segments, shorten, word
from airflow_provider_mlpipe.reporting.limits import MAX_BYTES, STEPS
from airflow_provider_mlpipe.reporting.markup import Safe, join, tag
from airflow_provider_mlpipe.reporting.provenance import provenance
from airflow_provider_mlpipe.reporting.tables import columns_table, rules_table
from airflow_provider_mlpipe.reporting.trend import last_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_mlpipe.reporting.limits import Limits

__all__ = ["content", "render"]

FOOT = tag("footer", "Written by airflow-provider-mlpipe. This file is complete in itself.")

_MOODS = {"Passed": "good", "Quarantined": "warn", "Blocked": "bad"}


def render(summary: Mapping[str, Any]) -> str:
    """Return the page, of at most 300 KB: what does not fit is counted in it, and stands in ``_validation.json``.

    Args:
        summary: ``meta.mlpipe`` of a ``_validation.json``.
    """
    text = ""
    for limits in STEPS:
        text = _page(summary, limits)
        if len(text.encode()) < MAX_BYTES:
            break
    return text


def _page(summary: Mapping[str, Any], limits: Limits) -> str:
    style = stylesheet()
    state = "passed" if summary["passed"] else "blocked"
    body = join(_content(summary, limits), FOOT)
    return document(f"{cut(summary['dataset'], 100)}: {state}", body, style=style, allowed=policy(style))


def content(summary: Mapping[str, Any]) -> Safe:
    """Return what the page holds, of at most 300 KB, for a page that shows more than one verdict or other things too.

    Args:
        summary: ``meta.mlpipe`` of a ``_validation.json``.
    """
    drawn = Safe()
    for limits in STEPS:
        drawn = _content(summary, limits)
        if len(drawn.encode()) < MAX_BYTES:
            break
    return drawn


def _content(summary: Mapping[str, Any], limits: Limits) -> Safe:
    return join(_banner(summary), _facts(summary), *_sections(summary, limits), provenance(summary))


def _sections(summary: Mapping[str, Any], limits: Limits) -> list[Safe]:
    rules = summary["rules"]
    failed = [rule for rule in rules if rule["status"] in {"failed", "error"}]
    skipped = [rule for rule in rules if rule["status"] == "skipped"]
    held = [rule for rule in rules if rule["status"] == "passed"]
    parts = []
    if failed:
        parts += [tag("h2", "What failed"), failure_cards(failed, summary, limits)]
    if skipped:
        title = "What could not be judged"
        parts += [tag("h2", title), tag("div", rules_table(skipped, summary, limits, title), class_="card")]
    if held:
        opened = None if failed else "open"
        table = rules_table(held, summary, limits, "What held")
        parts += [
            tag("h2", "What held"),
            tag("details", tag("summary", f"{word(len(held), 'rule')} held"), table, class_="card", open=opened),
        ]
    if runs := last_runs(summary):
        parts += [tag("h2", "The last runs"), runs]
    return [*parts, tag("h2", "Columns"), tag("div", columns_table(summary, limits), class_="card")]


def _banner(summary: Mapping[str, Any]) -> Safe:
    counts = summary["counts"]
    notes = counts["failed"] - counts["errors"] - counts["warnings"]
    failures = [
        word(count, name)
        for count, name in ((counts["errors"], "error"), (counts["warnings"], "warning"), (notes, "notice"))
        if count
    ]
    quarantine = summary.get("quarantine") or {}
    verdict = "Passed" if summary["passed"] else "Quarantined" if quarantine.get("passed") else "Blocked"
    headline = f"{verdict}: {', '.join(failures)}" if failures else f"{verdict}: every rule held"
    parts = [
        ("bad", counts["errors"], "errors"),
        ("warn", counts["warnings"], "warnings"),
        ("info", notes, "notices"),
        ("skip", counts["skipped"], "skipped"),
        ("good", counts["passed"], "held"),
    ]
    shown = [part for part in parts if part[1]]
    said = [f"{amount(count)} {name.removesuffix('s') if count == 1 else name}" for _, count, name in shown]
    legend = [tag("li", segments([(kind, 1.0)]), text) for (kind, _, _), text in zip(shown, said, strict=True)]
    return tag(
        "header",
        tag("p", f"{cut(summary['dataset'], 200)} · {summary['stage']}", class_="name"),
        tag("h1", headline),
        tag("p", _consequence(verdict, quarantine), class_="quiet"),
        segments([(kind, count) for kind, count, _ in shown], class_="tally", label=", ".join(said)),
        tag("ul", *legend, class_="legend"),
        class_=f"card banner {_MOODS[verdict]}",
    )


def _consequence(verdict: str, quarantine: Mapping[str, Any]) -> str:
    if verdict == "Passed":
        return "This data may go on to features and to the online store."
    if verdict == "Quarantined":
        return (
            f"{word(quarantine['rows'], 'row')} that broke a rule went to quarantine; the other "
            f"{amount(quarantine['passed_on'])} were judged again, passed, and went on."
        )
    return "No later step takes this data; whoever reads the features keeps what was there before."


def _facts(summary: Mapping[str, Any]) -> Safe:
    counts = summary["counts"]
    tiles = [
        _tile("Rows", amount(counts["rows_validated"]), word(len(summary["columns"]), "column")),
        _tile("Rules judged", amount(counts["total_checks"]), f"{amount(counts['passed'])} held"),
    ]
    tiles += [_freshness(fresh) for fresh in summary["freshness"]]
    tiles.append(_tile("As of", moment(summary["as_of"]), "what ages are measured against"))
    return tag("dl", *tiles, class_="facts")


def _tile(name: str, value: str, detail: str, picture: Safe | None = None) -> Safe:
    return tag(
        "div", tag("dt", name), tag("dd", value), tag("dd", join(picture or "", detail)), class_="card"
    )  # fmt: skip


def _freshness(fresh: Mapping[str, Any]) -> Safe:
    age, limit = fresh["age_hours"], fresh["max_age_hours"]
    name = f"Newest {shorten(fresh['column'])}"
    if age is None:
        return _tile(name, "no value", f"limit {hours(limit)}")
    kind = "good" if fresh["held"] else "bad"
    picture = bar(min(max(age, 0) / limit, 1.0), kind=kind, label=f"{hours(age)} of {hours(limit)}")
    value = f"{hours(age)} old" if age >= 0 else f"{hours(-age)} ahead"
    return _tile(name, value, f"limit {hours(limit)} · {moment(fresh['newest'])}", picture)
