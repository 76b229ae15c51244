"""What became of the data of a task in the last runs: one bar per run, as high as it had rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.links.addresses import page
from airflow_provider_mlpipe.plugins.findings import mood, verdict_of
from airflow_provider_mlpipe.plugins.layout import link
from airflow_provider_mlpipe.reporting.drawings import run_bars
from airflow_provider_mlpipe.reporting.figures import amount, moment, segments, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, tag
from airflow_provider_mlpipe.reporting.trend import MANY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.plugins.facts import Past, TaskRecord
    from airflow_provider_mlpipe.plugins.findings import Judged

__all__ = ["RUNS", "history_section"]

RUNS = 30
"""So many runs are looked at."""

_LINKS = 10


def history_section(tasks: Sequence[tuple[TaskRecord, Sequence[Past]]], *, drawn: bool = True, base: str = "") -> Safe:
    """Return one card per task that was judged in more than this run; nothing without one.

    Args:
        tasks: the tasks, and what each said in this and the runs before, oldest first.
        drawn: whether there is a picture; a report has one already.
        base: the path that Airflow is served from.
    """
    several = len(tasks) > 1
    cards = [_card(task, _known(past), titled=several, drawn=drawn, base=base) for task, past in tasks]
    shown = [card for card in cards if card]
    title = "The last runs of this Dag" if drawn else "Earlier reports of this task"
    return join(tag("h2", title), tag("div", *shown, class_="histories")) if shown else Safe()


def _known(past: Sequence[Past]) -> list[tuple[Past, Judged]]:
    return [(one, verdict) for one in past if (verdict := verdict_of(one)) is not None]


def _card(task: TaskRecord, runs: Sequence[tuple[Past, Judged]], *, titled: bool, drawn: bool, base: str) -> Safe:
    if len(runs) < 2:
        return Safe()
    passed = sum(bool(verdict.passed) for _, verdict in runs)
    said = f"{passed} of the last {word(len(runs), 'run')} passed."
    earlier = [_earlier(task, past, verdict, base) for past, verdict in reversed(runs) if past.run_id != task.run_id]
    name = task.task_id if task.map_index < 0 else f"{task.task_id} [{task.map_index}]"
    return tag(
        "section",
        tag("h3", name) if titled else "",
        tag("p", said),
        _chart(runs, said) if drawn else "",
        tag("ul", *earlier[:_LINKS], class_="past", aria_label="Earlier reports"),
        class_="card history",
    )


def _chart(runs: Sequence[tuple[Past, Judged]], said: str) -> Safe:
    bars = [
        {"rows": verdict.counts.get("rows_validated", 0), "kind": mood(verdict), "title": _title(past, verdict)}
        for past, verdict in runs
    ]
    picture = run_bars(bars, label=f"Rows of each run, oldest first. {said}")
    if len(runs) < MANY:
        return tag("div", picture, class_="chart few")
    ends = tag("p", tag("span", _when(runs[0][0])), tag("span", _when(runs[-1][0])), class_="ends quiet small")
    return tag("div", picture, ends, class_="chart")


def _earlier(task: TaskRecord, past: Past, verdict: Judged, base: str) -> Safe:
    address = page(task.dag_id, past.run_id, task.task_id, task.map_index, base=base)
    return tag("li", segments([(mood(verdict), 1.0)]), link(_when(past), address, title=_title(past, verdict)))


def _title(past: Past, verdict: Judged) -> str:
    counts = verdict.counts
    said = "passed" if verdict.passed else "did not pass"
    failures = f"{word(counts.get('errors', 0), 'error')}, {word(counts.get('warnings', 0), 'warning')}"
    return f"{_when(past)}: {said}, {failures}, {amount(counts.get('rows_validated', 0))} rows"


def _when(past: Past) -> str:
    return moment(past.about.isoformat())
