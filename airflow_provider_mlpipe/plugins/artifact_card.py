"""What an artifact says of itself, as a part of a page. It shows what is in the manifest: no rows of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import redact
from airflow_provider_mlpipe.observability.metrics import REGISTRY
from airflow_provider_mlpipe.plugins.layout import chip, tile
from airflow_provider_mlpipe.reporting.figures import amount, cut, moment, shorten, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_mlpipe.artifacts import Manifest
    from airflow_provider_mlpipe.plugins.reading import Found

__all__ = ["card"]

MAX_ROWS = 200
"""Of columns, features, inputs and rules."""


def card(found: Found, address: str) -> Safe:
    """Return the sections.

    Args:
        found: the artifact.
        address: as the task returned it.
    """
    manifest = found.manifest
    return join(
        _banner(found),
        _tiles(manifest),
        _online(found.online),
        _quarantined(manifest),
        _metrics(manifest.metrics),
        _features(manifest) or _columns(manifest),
        _inputs(manifest),
        _origin(manifest, address),
    )


def _banner(found: Found) -> Safe:
    manifest = found.manifest
    taken = manifest.stage.endswith("quarantine")
    verdict: Safe | str = ""
    if found.passed is not None:
        verdict = chip("passed validation", "good") if found.passed else chip("did not pass validation", "bad")
    return tag(
        "header",
        tag("p", f"{cut(manifest.dataset, 200)} · {cut(manifest.stage, 60)}", class_="name"),
        tag("h1", word(manifest.rows, "row"), " in quarantine" if taken else "", verdict),
        tag(
            "p", f"Published {moment(manifest.created_at)} as partition {cut(manifest.partition, 200)}.", class_="quiet"
        ),
        class_=f"card banner {'warn' if taken else 'plain'}",
    )


def _tiles(manifest: Manifest) -> Safe:
    details, run = manifest.details, manifest.run
    tiles = [
        tile("Rows", amount(manifest.rows), word(len(manifest.schema), "column")),
        tile("Size", _size(manifest.bytes), f"{word(len(manifest.parts), 'part')}, parquet"),
    ]
    as_of = details.get("as_of")
    window = details.get("window") or run.get("interval")
    if isinstance(as_of, str):
        tiles.append(tile("As of", moment(as_of), "what the features know"))
    elif isinstance(window, list) and len(window) == 2:
        start, end = (moment(str(one)) if one else "the beginning" for one in window)
        tiles.append(tile("Until", end, f"from {start}; the end is excluded"))
    if isinstance(seconds := manifest.metrics.get("duration_seconds"), (int, float)):
        tiles.append(tile("Took", f"{seconds:,.1f} s", f"{manifest.metrics.get('cpu_seconds', 0):,.1f} CPU s"))
    return tag("dl", *tiles, class_="facts")


def _online(online: Mapping[str, Any]) -> Safe:
    """Return what Feast was given of it."""
    if not online:
        return Safe()
    facts = [("Feature view", tag("code", cut(str(online.get("view", "")), 200)))]
    if online.get("skipped"):
        facts.append(("Nothing was written", join(cut(str(online["skipped"]), 300))))
    metrics = online.get("metrics")
    shown = (
        _metric_table(metrics, ("rows_materialized", "rows_read_back", "mismatches", "rows_skipped"))
        if isinstance(metrics, Mapping)
        else ""
    )
    listed = tag("dl", *_pairs(facts), class_="addresses")
    return join(tag("h2", "Online"), tag("section", listed, shown, class_="card"))


def _quarantined(manifest: Manifest) -> Safe:
    """Return why rows are here, if this is a quarantine of a validation."""
    facts = manifest.details.get("quarantined")
    by_rule = facts.get("by_rule") if isinstance(facts, Mapping) else None
    if not isinstance(facts, Mapping) or not isinstance(by_rule, Mapping):
        return Safe()
    texts = {rule.get("rule_id"): rule for rule in facts.get("rules", ()) if isinstance(rule, Mapping)}
    rows = [
        tag(
            "tr",
            tag("td", prose(cut(str(texts.get(name, {}).get("rule", name)), 300))),
            tag("td", tag("code", cut(str(texts.get(name, {}).get("where", "")), 200))),
            tag("td", _number(count), class_="number"),
        )
        for name, count in list(by_rule.items())[:MAX_ROWS]
    ]
    return join(
        tag("h2", "Why they are here"), _table(("rule", "at", "rows"), rows, "Why they are here", last="number")
    )


def _metrics(metrics: Mapping[str, Any]) -> Safe:
    listed = _metric_table(metrics, list(metrics))
    return join(tag("h2", "What was measured"), tag("div", listed, class_="card")) if listed else Safe()


def _metric_table(metrics: Mapping[str, Any], names: Sequence[str]) -> Safe:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", name)),
            tag("td", _number(metrics[name]), class_="number"),
            tag("td", REGISTRY[name].unit, class_="quiet"),
            tag("td", REGISTRY[name].meaning, class_="quiet"),
        )
        for name in names
        if name in metrics and name in REGISTRY
    ]
    head = ("metric", "value", "unit", "meaning")
    return _scrolling(head, rows, "What was measured", number=1, class_="measured") if rows else Safe()


def _features(manifest: Manifest) -> Safe:
    """Return the features with what they mean; nothing if these are none."""
    listed = manifest.details.get("features")
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        return Safe()
    types = {column["name"]: column["type"] for column in manifest.schema}
    rows = [
        tag(
            "tr",
            tag("td", tag("code", shorten(one.get("name", "")))),
            tag("td", tag("code", str(types.get(one.get("name"), "")), class_="type")),
            tag("td", cut(str(one.get("unit") or ""), 60)),
            tag("td", cut(str(one.get("description") or ""), 300), class_="quiet"),
        )
        for one in listed[:MAX_ROWS]
    ]
    title = word(len(listed), "feature")
    return join(tag("h2", title), _table(("name", "type", "unit", "meaning"), rows, title), _left(len(listed)))


def _columns(manifest: Manifest) -> Safe:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", shorten(column.get("name", "")))),
            tag("td", tag("code", cut(str(column.get("type", "")), 200), class_="type")),
            tag("td", "" if column.get("nullable", True) else "never null", class_="quiet"),
        )
        for column in manifest.schema[:MAX_ROWS]
    ]
    title = word(len(manifest.schema), "column")
    return join(tag("h2", title), _table(("name", "type", ""), rows, title), _left(len(manifest.schema)))


def _inputs(manifest: Manifest) -> Safe:
    if not manifest.inputs:
        return Safe()
    rows = [
        tag(
            "tr",
            tag("td", shorten(one.name)),
            tag("td", tag("code", redact(cut(one.uri, 400)))),
            tag("td", tag("code", one.fingerprint[:12])),
        )
        for one in manifest.inputs[:MAX_ROWS]
    ]
    return join(tag("h2", "Made from"), _table(("as", "artifact", "fingerprint"), rows, "Made from"))


def _origin(manifest: Manifest, address: str) -> Safe:
    run, details = manifest.run, manifest.details
    facts: list[tuple[str, Safe]] = [("Artifact", tag("code", redact(cut(address, 600))))]
    for name, key in (("Source", "source"), ("Read from", "location"), ("Quarantine", "quarantine")):
        if isinstance(details.get(key), str) and details[key]:
            facts.append((name, tag("code", redact(cut(details[key], 600)))))
    facts.append(("Fingerprint", tag("code", cut(manifest.fingerprint, 200))))
    mapped = (
        f", map index {run['map_index']}" if isinstance(run.get("map_index"), int) and run["map_index"] >= 0 else ""
    )
    writer = f"{run.get('dag_id')}.{run.get('task_id')}, run {run.get('run_id')}, try {run.get('try_number')}{mapped}"
    facts.append(("Written by", join(cut(writer, 600))))
    if manifest.versions:
        versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
        facts.append(("Versions", join(cut(versions, 400))))
    return join(
        tag("h2", "Where it lies, and where it comes from"),
        tag("section", tag("dl", *_pairs(facts), class_="addresses"), class_="card"),
    )


def _pairs(facts: Sequence[tuple[str, Safe]]) -> list[Safe]:
    return [item for name, value in facts for item in (tag("dt", name), tag("dd", value))]


def _table(head: Sequence[str], rows: Sequence[Safe], name: str, *, last: str = "") -> Safe:
    return tag("div", _scrolling(head, rows, name, number=len(head) - 1 if last else -1), class_="card")


def _scrolling(
    head: Sequence[str], rows: Sequence[Safe], name: str, *, number: int = -1, class_: str | None = None
) -> Safe:
    cells = [
        tag("th", text, scope="col", class_="number" if place == number else None) for place, text in enumerate(head)
    ]
    table = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_=class_)
    return tag("div", table, class_="scroll", role="region", aria_label=name, tabindex=0)


def _left(count: int) -> Safe:
    left = count - MAX_ROWS
    return tag("p", f"{left:,} more are in the manifest.", class_="quiet more") if left > 0 else Safe()


def _number(value: Any) -> str:  # noqa: ANN401 - a number of a manifest
    return amount(value) if isinstance(value, (int, float)) else shorten(value)


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:,.1f} {unit}"
        count /= 1000
    return ""
