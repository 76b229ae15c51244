"""What earlier runs said: of the data set as a whole, and of each rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.drawings import line, run_bars, squares
from airflow_provider_mlpipe.reporting.figures import amount, moment, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MANY", "last_runs", "rule_trend", "small_trend"]

MANY = 8
"""Runs that fill the width of a chart; of fewer the bars would be blocks."""

_LETTERS = {"passed": "p", "failed": "f", "error": "e", "skipped": "s"}
_WORDS = {"p": "held", "f": "failed", "e": "could not run", "s": "skipped"}


def last_runs(summary: Mapping[str, Any]) -> Safe | None:
    """Return the card of the data set's runs: rows and verdict of each; None if this is the first."""
    runs = _runs(summary)
    if not runs:
        return None
    counts = summary["counts"]
    now = {
        "as_of": summary["as_of"], "rows": counts["rows_validated"], "passed": summary["passed"],
        "errors": counts["errors"], "warnings": counts["warnings"],
    }  # fmt: skip
    every = [*runs, now]
    passed = sum(run["passed"] for run in every)
    rows = [run["rows"] for run in every]
    said = f"{passed} of the last {word(len(every), 'run')} passed. "
    usual = (
        f"{amount(min(rows[:-1]))} to {amount(max(rows[:-1]))}" if min(rows[:-1]) < max(rows[:-1]) else amount(rows[0])
    )
    said += f"Rows before: {usual}; now {amount(rows[-1])}."
    bars = [{"rows": run["rows"], "kind": _kind(run), "title": _title(run)} for run in every]
    ends = tag("p", tag("span", moment(every[0]["as_of"])), tag("span", "this run"), class_="ends quiet small")
    picture = run_bars(bars, label=f"Rows of each run, oldest first. {said}")
    chart = tag("div", picture, ends, class_="chart" if len(every) >= MANY else "chart few")
    return tag("div", tag("p", said), chart, class_="card padded")


def rule_trend(rule: Mapping[str, Any], summary: Mapping[str, Any]) -> Safe | str:
    """Return what became of a rule in earlier runs, for its card; nothing if it was never judged before."""
    past = _of_rule(rule, summary)
    statuses = past.get("statuses", "").replace("-", "")
    if not statuses:
        return ""
    said = _history_in_words(past["statuses"], _runs(summary))
    parts = [squares(past["statuses"], _LETTERS[rule["status"]], label=said)]
    values = _values(past, rule)
    if sum(value is not None for value in values) > 1:
        parts.append(line(values, label=_values_in_words(values)))
    return tag("div", *parts, tag("span", said, class_="quiet small"), class_="trend")


def small_trend(rule: Mapping[str, Any], summary: Mapping[str, Any]) -> Safe | str:
    """Return the squares alone, for a line of a table."""
    past = _of_rule(rule, summary)
    if not past.get("statuses", "").replace("-", ""):
        return ""
    return squares(
        past["statuses"], _LETTERS[rule["status"]], label=_history_in_words(past["statuses"], _runs(summary))
    )


def _runs(summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    history = summary.get("history") or {}
    return list(history.get("runs", ()))


def _of_rule(rule: Mapping[str, Any], summary: Mapping[str, Any]) -> Mapping[str, Any]:
    history = summary.get("history") or {}
    return dict(history.get("rules", {}).get(rule["rule_id"], {}))


def _history_in_words(statuses: str, runs: Sequence[Mapping[str, Any]]) -> str:
    judged = statuses.replace("-", "")
    counted = ", ".join(f"{noun} {judged.count(letter)}" for letter, noun in _WORDS.items() if letter in judged)
    said = f"In {word(len(judged), 'earlier run')}: {counted}."
    bad = [place for place, letter in enumerate(statuses) if letter in "fe"]
    if bad and len(runs) == len(statuses):
        said += f" Failed last as of {moment(runs[bad[-1]]['as_of'])}."
    return said


def _values(past: Mapping[str, Any], rule: Mapping[str, Any]) -> list[float | None]:
    observed = rule["observed"]
    told = isinstance(observed, (int, float)) and not isinstance(observed, bool)
    return [*past.get("values", ()), observed if told else rule["share"]] if "values" in past else []


def _values_in_words(values: Sequence[float | None]) -> str:
    known = [round(value, 4) for value in values if value is not None]
    return f"values from {amount(min(known))} to {amount(max(known))}, now {amount(known[-1])}"


def _kind(run: Mapping[str, Any]) -> str:
    return ("warn" if run["warnings"] else "good") if run["passed"] else "bad"


def _title(run: Mapping[str, Any]) -> str:
    verdict = "passed" if run["passed"] else "blocked"
    failures = join(
        f", {word(run['errors'], 'error')}" if run["errors"] else "",
        f", {word(run['warnings'], 'warning')}" if run["warnings"] else "",
    )
    return f"{moment(run['as_of'])}: {amount(run['rows'])} rows, {verdict}{failures}"
