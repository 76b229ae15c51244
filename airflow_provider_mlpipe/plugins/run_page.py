"""The page of a run: every task of ours in it, its verdicts, its artifacts, and how the last runs went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import redact
from airflow_provider_mlpipe.links.addresses import page
from airflow_provider_mlpipe.plugins.findings import addresses, artifact_name, judged, mood, rows, stage_of
from airflow_provider_mlpipe.plugins.history_card import history_section
from airflow_provider_mlpipe.plugins.layout import Page, chip, empty, link, tile
from airflow_provider_mlpipe.reporting.figures import amount, cut, moment, shorten, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.plugins.facts import Past, RunRecord, TaskRecord
    from airflow_provider_mlpipe.plugins.findings import Judged

__all__ = ["run_page"]

MAX_ROWS = 300
"""Lines of the table; a run may have thousands of mapped tasks."""

_STATES = {"success": "good", "failed": "bad", "upstream_failed": "warn", "running": "info", "up_for_retry": "warn"}
_HEAD = ("step", "task", "data", "rows", "outcome")


def run_page(
    run: RunRecord,
    tasks: Sequence[TaskRecord],
    returned: Mapping[tuple[str, int], object],
    past: Mapping[tuple[str, int], Sequence[Past]],
    *,
    base: str = "",
) -> Page:
    """Return the page.

    Args:
        run: the run.
        tasks: those of ours, in the order in which they began.
        returned: what each returned.
        past: what each said of its data in this and earlier runs.
        base: the path that Airflow is served from.
    """
    title = f"{run.dag_id}: data quality"
    if not tasks:
        said = (
            "No task of this run is one of MLPipe. Of the operators of airflow-provider-mlpipe this tab shows what "
            "each read, judged and published, and how the verdicts of the last runs went."
        )
        return Page(title=title, body=empty("Nothing to show for this run", [said]))
    verdicts = [(task, one) for task in tasks for one in judged(task.xcoms)]
    lines = [line for task in tasks for line in _lines(task, returned.get((task.task_id, task.map_index)), base)]
    left = len(lines) - MAX_ROWS
    more = tag("p", f"{left:,} more lines are left out.", class_="quiet more") if left > 0 else ""
    heads = [tag("th", name, scope="col", class_="number" if name == "rows" else None) for name in _HEAD]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines[:MAX_ROWS]), class_="tasks")
    region = tag("div", table, class_="scroll", role="region", aria_label="Tasks", tabindex=0)
    trends = [(task, past[task.task_id, task.map_index]) for task in tasks if (task.task_id, task.map_index) in past]
    body = join(
        _banner(run, tasks, [one for _, one in verdicts]),
        _tiles(run, tasks, [one for _, one in verdicts]),
        tag("h2", "What was done"),
        tag("div", region, class_="card"),
        more,
        history_section(trends, base=base),
    )
    return Page(title=title, body=body, reload=run.state in {"running", "queued"})


def _banner(run: RunRecord, tasks: Sequence[TaskRecord], verdicts: Sequence[Judged]) -> Safe:
    headline, kind = _headline(tasks, verdicts)
    return tag(
        "header",
        tag("p", f"{cut(run.dag_id, 200)} · {cut(run.run_id, 200)}", class_="name"),
        tag("h1", headline),
        class_=f"card banner {kind}",
    )


def _headline(tasks: Sequence[TaskRecord], verdicts: Sequence[Judged]) -> tuple[str, str]:
    blocked = [one for one in verdicts if one.passed is False]
    failed = [task for task in tasks if task.state == "failed" and not judged(task.xcoms)]
    if blocked:
        return f"{word(len(blocked), 'verdict')} of {len(verdicts)} did not pass", "bad"
    if failed:
        return f"{word(len(failed), 'task')} failed", "bad"
    if not verdicts:
        return "Nothing was judged yet" if any(
            stage_of(task) == "validate" for task in tasks
        ) else "Nothing was judged", "skip"
    kind = "warn" if any(mood(one) == "warn" for one in verdicts) else "good"
    passed = "It passed" if len(verdicts) == 1 else f"All {len(verdicts)} verdicts passed"
    warnings, taken = (sum(one.counts.get(name, 0) for one in verdicts) for name in ("warnings", "rows_quarantined"))
    notes = ([word(warnings, "warning")] if warnings else []) + (
        [f"{word(taken, 'row')} in quarantine"] if taken else []
    )
    return f"{passed}{', with ' if notes else ''}{' and '.join(notes)}", kind


def _tiles(run: RunRecord, tasks: Sequence[TaskRecord], verdicts: Sequence[Judged]) -> Safe:
    total = {name: sum(one.counts.get(name, 0) for one in verdicts) for name in ("rows_validated", "total_checks")}
    read = sum(rows(task) or 0 for task in tasks if stage_of(task) == "ingest")
    tiles = [
        tile("Read", amount(read), "rows ingested"),
        tile("Judged", amount(total["rows_validated"]), f"rows, by {word(total['total_checks'], 'rule')}"),
    ]
    online = [rows(task) for task in tasks if stage_of(task) == "materialize" and rows(task) is not None]
    if online:
        tiles.append(tile("Online", amount(sum(count or 0 for count in online)), "rows written to the feature store"))
    if run.interval and run.interval[0] < run.interval[1]:
        start, end = (moment(one.isoformat()) for one in run.interval)
        tiles.append(tile("Until", end, f"from {start}"))
    else:
        tiles.append(
            tile("About", moment((run.logical_date or run.run_after).isoformat()), "a run without an interval")
        )
    return tag("dl", *tiles, class_="facts")


def _lines(task: TaskRecord, returned: object, base: str) -> list[Safe]:
    """Return two lines for each artifact of a task: what became of it, and where it lies."""
    found = addresses(returned)
    each = judged(task.xcoms)
    if each:
        return [line for one in each for line in _verdict(task, one, found.get(one.name), base)]
    if not found:
        return [_line(task, "", rows(task), _state(task), base)]
    lines = []
    for name, uri in found.items():
        count = rows(task) if len(found) == 1 else None
        lines += [
            _line(task, _called(name, uri), count, _state(task), base, choice=name, over=True),
            _under([("", uri)]),
        ]
    return lines


def _verdict(task: TaskRecord, one: Judged, uri: str | None, base: str) -> list[Safe]:
    places = [("passed on", uri)] if uri else []
    if isinstance(one.quarantine, str):
        address = page(
            task.dag_id, task.run_id, task.task_id, task.map_index, base=base, kind="artifact", artifact=one.name,
            of="quarantine",
        )  # fmt: skip
        places.append((link("quarantine", address), one.quarantine))
    called = one.name or (artifact_name(str(one.report).rpartition("/")[0])[0] if isinstance(one.report, str) else "")
    count = one.counts.get("rows_validated")
    line = _line(task, called, count, _outcome(one), base, choice=one.name, over=bool(places), text="report")
    return [line, _under(places)] if places else [line]


def _line(
    task: TaskRecord,
    called: str,
    count: int | None,
    outcome: Safe,
    base: str,
    *,
    choice: str = "",
    over: bool = False,
    text: str = "",
) -> Safe:
    address = page(task.dag_id, task.run_id, task.task_id, task.map_index, base=base, artifact=choice)
    name = task.task_id if task.map_index < 0 else f"{task.task_id} [{task.map_index}]"
    return tag(
        "tr",
        tag("td", stage_of(task), class_="quiet"),
        tag("td", link(name, address)),
        tag("td", shorten(called) if called else ""),
        tag("td", "" if count is None else amount(count), class_="number"),
        tag("td", outcome, " ", link(text, address) if text else ""),
        class_="over" if over else None,
    )


def _under(places: Sequence[tuple[str, str]]) -> Safe:
    shown = [tag("div", what, " " if what else "", tag("code", redact(cut(uri, 300)))) for what, uri in places]
    return tag("tr", tag("td"), tag("td", *shown, colspan=4, class_="place"), class_="under")


def _outcome(one: Judged) -> Safe:
    if one.passed is None:
        return chip("unknown", "skip")
    counts = one.counts
    chips = [chip("passed", "good") if one.passed else chip("did not pass", "bad")]
    for name, kind, noun in (("errors", "bad", "error"), ("warnings", "warn", "warning")):
        if counts.get(name):
            chips.append(join(" ", chip(word(counts[name], noun), kind if name == "warnings" else "skip")))
    if counts.get("rows_quarantined"):
        chips.append(join(" ", chip(f"{amount(counts['rows_quarantined'])} in quarantine", "warn")))
    return join(*chips)


def _state(task: TaskRecord) -> Safe:
    state = task.state or "not begun"
    return chip(state.replace("_", " "), _STATES.get(task.state, "skip"))


def _called(name: str, uri: str) -> str:
    dataset, stage = artifact_name(uri)
    return name or (f"{dataset} · {stage}" if dataset else "")
