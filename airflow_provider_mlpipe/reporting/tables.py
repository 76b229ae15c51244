"""The two tables of a page: rules that did not fail, and columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.drawings import histogram
from airflow_provider_mlpipe.reporting.failures import CHIPS
from airflow_provider_mlpipe.reporting.figures import amount, bar, cut, percent, shorten, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag
from airflow_provider_mlpipe.reporting.trend import small_trend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.reporting.limits import Limits

__all__ = ["columns_table", "rules_table"]

NOTHING = "\N{EN DASH}"
HIDDEN = "hidden"


def rules_table(rules: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], limits: Limits, name: str) -> Safe:
    """Return rules that held or were skipped, one line each, in a region that is called `name`."""
    shown = rules[: limits.rules]
    trends = [small_trend(rule, summary) for rule in shown]
    rows = [
        tag(
            "tr",
            tag("td", _chip(rule)),
            tag(
                "td",
                prose(cut(rule["text"], limits.text)),
                " ",
                tag("span", prose(cut(rule["found"], limits.text)), class_="quiet"),
            ),
            *([tag("td", trend)] if any(trends) else []),
            tag("td", _file(rule["where"]), class_="quiet small place", title=cut(rule["where"], 300)),
        )
        for rule, trend in zip(shown, trends, strict=True)
    ]
    head = ("Verdict", "Rule", *(["Earlier runs"] if any(trends) else []), "Stands at")
    return _region(_table(head, rows, len(rules)), name)


def _file(where: str) -> str:
    """Return ``file:line`` without the folders."""
    return shorten(where.replace("\\", "/").rpartition("/")[2])


def columns_table(summary: Mapping[str, Any], limits: Limits) -> Safe:
    """Return one line per column: type, nulls, distinct values, distribution and range, drift, how its rules fared."""
    columns, rules = summary["columns"], summary["rules"]
    failures = [rule for rule in rules if rule["status"] in {"failed", "error"}]
    failed = Counter(name for rule in failures for name in rule["columns"])
    # Failures come severest first, so the first one of a column gives its colour.
    colour = {name: CHIPS[rule["severity"]] for rule in reversed(failures) for name in rule["columns"]}
    ruled = Counter(name for rule in rules for name in rule["columns"])
    drifts = {rule["columns"][0]: rule for rule in rules if rule["kind"] == "drift" and rule["shape"]}
    ordered = sorted(columns, key=lambda column: -failed[column["name"]]) if len(columns) > limits.columns else columns
    lines = []
    for column in ordered[: limits.columns]:
        name = column["name"]
        if failed[name]:
            judged = tag("span", f"{failed[name]} failed", class_=f"chip {colour[name]}")
        else:
            judged = tag("span", word(ruled[name], "rule") if ruled[name] else "no rule", class_="quiet small")
        lines.append(_column(column, judged, drifts.get(name), summary, limits))
    head = ("Column", "Empty", "Distinct", "Values", *(["Drift"] if drifts else []), "Rules")
    body = _table(head, [join(line) for line in lines], len(columns), class_="columns")
    return join(_legend(summary, drifts, limits), _region(body, "Columns"))


def _legend(summary: Mapping[str, Any], drifts: Mapping[str, Any], limits: Limits) -> Safe | str:
    """Say what the pictures show, and of how many rows."""
    sketches = summary.get("sketches") or {}
    if not limits.pictures or not (sketches or drifts):
        return ""
    rows = max((sketch["rows"] for sketch in sketches.values()), default=0)
    total = summary["counts"]["rows_validated"]
    parts = []
    if rows:
        parts.append(f"Pictures show a sample of {amount(rows)} rows." if rows < total else "Pictures show all rows.")
    if drifts:
        parts.append(
            "Where a rule compares with a reference, bars are this run, counted exactly; the line is the reference."
        )
    return tag("p", " ".join(parts), class_="quiet small legend-text")


def _column(
    column: Mapping[str, Any],
    judged: Safe,
    drift: Mapping[str, Any] | None,
    summary: Mapping[str, Any],
    limits: Limits,
) -> Safe:
    rows, nulls = summary["counts"]["rows_validated"], column["nulls"] or 0
    about = "" if summary["exact_distinct"] else "≈ "
    empty = percent(nulls / rows) if rows else NOTHING
    picture = bar(nulls / rows, kind="skip", label=f"{empty} empty", class_="nulls") if rows and nulls else ""
    distinct = NOTHING if column["distinct"] is None else f"{about}{amount(min(column['distinct'], rows - nulls))}"
    name = tag("th", tag("code", shorten(column["name"])), tag("span", column["type"], class_="type"), scope="row")
    cells = [
        name,
        tag("td", tag("span", empty), picture, class_="number"),
        tag("td", distinct, class_="number"),
        tag("td", _values(column, drift, summary, limits), class_="strip"),
    ]
    if any(rule["kind"] == "drift" and rule["shape"] for rule in summary["rules"]):
        cells.append(tag("td", _drift(drift), class_="number"))
    return tag("tr", *cells, tag("td", judged, class_="place"))


def _values(
    column: Mapping[str, Any], drift: Mapping[str, Any] | None, summary: Mapping[str, Any], limits: Limits
) -> Safe | str:
    """Return the picture of a column and what it ranges over; of a sensitive one neither."""
    if column["name"] in (summary.get("sensitive") or ()):
        return tag("span", HIDDEN, class_="chip skip")
    sketch = (summary.get("sketches") or {}).get(column["name"])
    parts: list[Safe | str] = []
    if limits.pictures and drift is not None:
        shape = drift["shape"]
        label = f"shares now over those of the reference, {word(len(shape['actual']), 'bin')}"
        kind = "now" if drift["status"] == "passed" else CHIPS[drift["severity"]]
        parts.append(histogram(shape["actual"], reference=shape["expected"], kind=kind, label=label))
    elif limits.pictures and sketch:
        parts.append(histogram(sketch["counts"], label=f"histogram of {word(len(sketch['counts']), 'bin')}"))
    parts.append(tag("span", _range(column, sketch), class_="quiet small"))
    return join(*parts)


def _range(column: Mapping[str, Any], sketch: Mapping[str, Any] | None) -> str:
    """Return the most frequent values if they repeat, else the smallest and the greatest."""
    if sketch and sketch.get("labels"):
        total = sum(sketch["counts"]) + sketch["rest"]
        top = list(zip(sketch["labels"], sketch["counts"], strict=True))
        if len(top) <= 3 or top[0][1] > total / 20:
            listed = ", ".join(f"{cut(shorten(label), 30)} {_about(count / total)}" for label, count in top[:3])
            return f"{listed}, …" if len(top) > 3 else listed
    low, high = column["low"], column["high"]
    if low is None and high is None:
        return NOTHING
    if low == high:
        return f"only {_value(low)}"
    return f"{_value(low)} to {_value(high)}"


def _about(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.01 else "< 1 %"


def _value(value: Any) -> str:  # noqa: ANN401 - a value of the data
    return cut(amount(value) if isinstance(value, int) and not isinstance(value, bool) else shorten(value), 44)


def _drift(rule: Mapping[str, Any] | None) -> Safe | str:
    if rule is None:
        return tag("span", NOTHING, class_="quiet")
    value = rule["observed"]
    shown = amount(round(value, 3)) if isinstance(value, (int, float)) else NOTHING
    kind = "good" if rule["status"] == "passed" else CHIPS[rule["severity"]]
    return tag("span", shown, class_=f"chip {kind}")


def _chip(rule: Mapping[str, Any]) -> Safe:
    if rule["status"] == "skipped":
        return tag("span", "skipped", class_="chip skip")
    return tag("span", "held", class_="chip good")


def _region(table: Safe, name: str) -> Safe:
    """Return a table that can be scrolled by keyboard where it is wider than the screen."""
    return tag("div", table, class_="scroll", role="region", aria_label=name, tabindex=0)


def _table(head: Sequence[str], rows: Sequence[Safe], total: int, *, class_: str | None = None) -> Safe:
    numbers = {"Empty", "Distinct", "Drift"}
    cells = [tag("th", name, scope="col", class_="number" if name in numbers else None) for name in head]
    left = total - len(rows)
    more = [tag("tr", tag("td", f"and {left:,} more in _validation.json", colspan=len(head)))] if left else []
    return tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows, *more), class_=class_)
