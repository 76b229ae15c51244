"""The page of a task instance: its validation report, or what it published, or why there is nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import REPORT
from airflow_provider_mlpipe.errors import redact
from airflow_provider_mlpipe.links.addresses import page
from airflow_provider_mlpipe.plugins import artifact_card
from airflow_provider_mlpipe.plugins.findings import addresses, judged, mood, ours, stage_of
from airflow_provider_mlpipe.plugins.history_card import history_section
from airflow_provider_mlpipe.plugins.layout import Page, crumbs, empty, link, notice
from airflow_provider_mlpipe.plugins.reading import Missing, described, drawn
from airflow_provider_mlpipe.reporting.figures import cut, segments, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.plugins.facts import Past, RunRecord, TaskRecord
    from airflow_provider_mlpipe.plugins.findings import Judged
    from airflow_provider_mlpipe.plugins.reading import Drawn
    from airflow_provider_mlpipe.plugins.vault import Vault

__all__ = ["artifact_page", "choose", "mapped_page", "missing_page", "task_page"]

_AT_WORK = frozenset({"running", "queued", "scheduled", "deferred", "up_for_retry", "up_for_reschedule", "restarting"})
_OFFERS = (
    ("ValidateOperator", "the verdict and the report: what failed, on which rows, and since when"),
    ("SourceIngestOperator", "the artifact: rows, columns, what was read and what went to quarantine"),
    ("ExtractFeaturesOperator", "the features, with their meaning, and the inputs that they come from"),
    ("FeastMaterializeOperator", "what went online, and what was read back"),
)
_COMPARED = ("total_checks", "errors", "warnings", "skipped", "rows_validated")


def task_page(task: TaskRecord, vault: Vault, past: Sequence[Past], *, choice: str = "", base: str = "") -> Page:
    """Return the page.

    Args:
        task: the task instance.
        vault: what may be read.
        past: what it said in this and earlier runs.
        choice: which of several artifacts; the first that did not pass if empty.
        base: the path that Airflow is served from.
    """
    way = _way(task, base)
    each = judged(task.xcoms)
    if each:
        return _report(task, each, vault, past, choice=choice, base=base)
    found = addresses(task.xcoms.get("return_value")) if ours(task) else {}
    if found:
        chosen = choice if choice in found else next(iter(found))
        pills = _pills(task, [(name, "info") for name in found], chosen, base)
        body, status = _published(vault, found[chosen])
        return Page(title=f"{task.task_id}: artifact", body=join(way, pills, body), status=status)
    reload = ours(task) and task.state in _AT_WORK
    return Page(title=task.task_id, body=join(way, _nothing(task, base)), reload=reload)


def choose(each: Sequence[Judged], choice: str) -> Judged:
    """Return the verdict that was asked for, else the first that did not pass, else the first."""
    asked = [one for one in each if one.name == choice and choice]
    return next(iter(asked or [one for one in each if one.passed is False] or each))


def artifact_page(task: TaskRecord, vault: Vault, address: object, *, what: str, base: str = "") -> Page:
    """Return the page of one artifact that a validating task passed on or took out."""
    body, status = _published(vault, address)
    way = _way(task, base, what)
    return Page(title=f"{task.task_id}: {what}", body=join(way, body), status=status)


def mapped_page(run: RunRecord, task_id: str, indexes: Sequence[int], *, base: str = "") -> Page:
    """Return the page of a mapped task as a whole: the way to each of its instances."""
    items = [
        tag("li", link(f"{task_id} [{index}]", page(run.dag_id, run.run_id, task_id, index, base=base)))
        for index in indexes
    ]
    way = crumbs((f"Run {run.run_id}", page(run.dag_id, run.run_id, base=base)), (task_id, ""))
    said = f"`{task_id}` is mapped. Each of its instances has a page of its own."
    body = empty(word(len(indexes), "instance"), [said], tag("ul", *items, class_="pills"))
    return Page(title=task_id, body=join(way, body))


def missing_page(task: TaskRecord, missing: Missing, *, base: str = "") -> Page:
    """Return the page in the place of a file that is not served."""
    body = join(_way(task, base, REPORT), _problem(missing))
    return Page(title=missing.headline, body=body, status=missing.status)


def _report(
    task: TaskRecord, each: Sequence[Judged], vault: Vault, past: Sequence[Past], *, choice: str, base: str
) -> Page:
    one = choose(each, choice)
    found = drawn(vault, one.report)
    pills = _pills(task, [(other.name, mood(other)) for other in each], one.name, base)
    shown: list[Safe] = [_way(task, base), pills]
    if isinstance(found, Missing):
        shown += [_without_report(one, found), _places(task, one, base, served=False)]
    else:
        shown += [*_later(one, found), found.body, _places(task, one, base, served=True)]
    shown.append(history_section([(task, past)], drawn=isinstance(found, Missing), base=base))
    name = one.name or task.task_id
    status = found.status if isinstance(found, Missing) else 200
    return Page(title=f"{name}: validation report", body=join(*shown), status=status)


def _way(task: TaskRecord, base: str, *more: str) -> Safe:
    own = task.task_id if task.map_index < 0 else f"{task.task_id} [{task.map_index}]"
    steps = [(f"Run {task.run_id}", page(task.dag_id, task.run_id, base=base)), (own, "")]
    if more:
        steps[1] = (own, page(task.dag_id, task.run_id, task.task_id, task.map_index, base=base))
    return crumbs(*steps, *((step, "") for step in more))


def _pills(task: TaskRecord, names: Sequence[tuple[str, str]], chosen: str, base: str) -> Safe:
    """Return the choice between several artifacts, each with the colour of its verdict."""
    if len(names) < 2:
        return Safe()
    items = []
    for name, kind in names:
        shown = join(segments([(kind, 1.0)]), cut(name, 60))
        address = page(task.dag_id, task.run_id, task.task_id, task.map_index, base=base, artifact=name)
        here = name == chosen
        items.append(tag("li", tag("span", shown, class_="here") if here else tag("a", shown, href=address)))
    return tag("ul", *items, class_="pills", aria_label="Artifacts")


def _later(one: Judged, found: Drawn) -> list[Safe]:
    """Return a notice if the report says something else than the task said: then it is not the task's any more."""
    counts = found.summary.get("counts", {})
    if all(one.counts.get(name, counts.get(name)) == counts.get(name) for name in _COMPARED):
        return []
    said = f"What this task said of its data: {_said(one)}. Another run has judged what lies there now."
    return [notice("warn", "This is a later report", said)]


def _without_report(one: Judged, missing: Missing) -> Safe:
    said = f"What the task said of the data is kept: {_said(one)}." if one.passed is not None else ""
    return _problem(missing, said)


def _problem(missing: Missing, *more: str) -> Safe:
    return notice("bad" if missing.status == 403 else "warn", missing.headline, missing.why, *more)


def _said(one: Judged) -> str:
    counts = one.counts
    verdict = "it passed" if one.passed else "it did not pass"
    found = [word(counts.get("errors", 0), "error"), word(counts.get("warnings", 0), "warning")]
    if taken := counts.get("rows_quarantined", 0):
        found.append(f"{word(taken, 'row')} in quarantine")
    return f"{verdict}, with {', '.join(found)}, of {word(counts.get('rows_validated', 0), 'row')}"


def _places(task: TaskRecord, one: Judged, base: str, *, served: bool) -> Safe:
    """Return where things lie, with links to what each says of itself."""

    def to(kind: str, text: str, **choice: str) -> Safe:
        asked = {"artifact": one.name, **choice}
        return link(text, page(task.dag_id, task.run_id, task.task_id, task.map_index, base=base, kind=kind, **asked))

    rows: list[tuple[str, Safe]] = []
    passed_on = addresses(task.xcoms.get("return_value")).get(one.name)
    if passed_on:
        rows.append(("Passed on", join(_code(passed_on), " ", to("artifact", "what is in it"))))
    if isinstance(one.quarantine, str):
        taken = to("artifact", "what is in it", of="quarantine")
        rows.append(("Quarantine", join(_code(one.quarantine), " ", taken)))
    if isinstance(one.report, str):
        file = join(" ", to("report", "as a file")) if served else ""
        rows.append((f"{REPORT}", join(_code(one.report), file)))
    if not rows:
        return Safe()
    listed = [item for name, value in rows for item in (tag("dt", name), tag("dd", value))]
    return join(tag("h2", "Where it lies"), tag("section", tag("dl", *listed, class_="addresses"), class_="card"))


def _published(vault: Vault, address: object) -> tuple[Safe, int]:
    found = described(vault, address)
    if not isinstance(found, Missing):
        return artifact_card.card(found, str(address)), 200
    shown = redact(cut(str(address), 300)).replace("`", "'")
    return _problem(found, f"The task returned `{shown}`."), found.status


def _code(address: str) -> Safe:
    return tag("code", redact(cut(address, 400)))


def _nothing(task: TaskRecord, base: str) -> Safe:
    if ours(task):
        headline, said = _ended(task)
        return empty(
            headline, [said], tag("p", link("All tasks of this run", page(task.dag_id, task.run_id, base=base)))
        )
    offers = [item for name, what in _OFFERS for item in (tag("dt", tag("code", name)), tag("dd", what))]
    operator = f" (`{task.called}`)" if task.called else ""
    said = (
        f"`{task.task_id}`{operator} is not one of the operators of airflow-provider-mlpipe. Of those this tab shows:"
    )
    overview = link("What MLPipe did in this run", page(task.dag_id, task.run_id, base=base))
    return empty("Nothing to show for this task", [said], tag("dl", *offers, class_="offers"), tag("p", overview))


def _ended(task: TaskRecord) -> tuple[str, str]:
    """Return what to say of a task of ours that has nothing to show."""
    thing = "report" if stage_of(task) == "validate" else "artifact"
    if task.state in _AT_WORK:
        return "At work", f"`{task.task_id}` is {task.state}. Its {thing} will be here when it has ended."
    if task.state in {"", "none"}:
        return "Not yet", f"`{task.task_id}` has not begun. Its {thing} will be here when it has ended."
    if task.state == "failed":
        why = f"`{task.task_id}` failed before it wrote its {thing}. The Logs tab says why: what to repair and where."
        return f"It has no {thing}", why
    if task.state in {"skipped", "upstream_failed", "removed"}:
        return f"It has no {thing}", f"`{task.task_id}` did not run: {task.state.replace('_', ' ')}."
    return f"It has no {thing}", f"`{task.task_id}` ended as {task.state} and returned no address of an artifact."
