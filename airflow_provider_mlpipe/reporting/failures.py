"""The rules that failed, one card each: what should hold, what was found, how much of it, which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.figures import amount, bar, cut, percent, segments, shorten
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag
from airflow_provider_mlpipe.reporting.trend import rule_trend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_mlpipe.reporting.limits import Limits

__all__ = ["CHIPS", "failure_cards"]

MAX_BINS = 30
MAX_NAMES = 8
CAPTIONS = {
    "unique": "The keys in the most rows",
    "in_set": "The most frequent of them, each with one row",
    "drift": "The most frequent values that the reference does not know",
}
CHIPS = {"ERROR": "bad", "WARNING": "warn", "INFO": "info"}


def failure_cards(rules: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], limits: Limits) -> Safe:
    """Return the cards, and how many more there are."""
    cards = [_card(rule, summary, limits) for rule in rules[: limits.cards]]
    left = len(rules) - len(cards)
    more = tag("p", prose(f"{left:,} more are in `_validation.json`."), class_="quiet more") if left else ""
    return join(*cards, more)


def _card(rule: Mapping[str, Any], summary: Mapping[str, Any], limits: Limits) -> Safe:
    kind = CHIPS[rule["severity"]]
    body: list[str] = [
        tag("div", tag("h3", prose(cut(rule["text"], limits.text))), *_chips(rule), class_="head"),
        tag("p", prose(cut(rule["found"], limits.text)), class_="found"),
    ]
    if rule["unexpected"]:
        said = f"{amount(rule['unexpected'])} of {amount(rule['checked'])}, {percent(rule['share'])}"
        body.append(bar(rule["share"], kind=kind, label=said, class_="share"))
    if rule["shape"]:
        body.append(_region(_shape(rule["shape"], kind), "Shares of the reference and of this run"))
    if rule["samples"]:
        body.append(_region(_samples(rule["samples"], rule["kind"]), "Sample rows"))
    if rule["note"]:
        body.append(tag("p", cut(rule["note"], limits.text), class_="note"))
    body.append(rule_trend(rule, summary))
    foot = [
        tag("span", "rule ", tag("code", cut(rule["rule_id"], 200))),
        tag("span", "at ", tag("code", cut(rule["where"], 200))),
    ]
    if rule["owner"]:
        foot.append(tag("span", f"owner {cut(rule['owner'], 100)}"))
    return tag("article", tag("div", *body), tag("div", *foot, class_="foot"), class_="card rule")


def _chips(rule: Mapping[str, Any]) -> list[Safe]:
    """Return how severe the failure is, and what became of the rows where that is not what the severity says."""
    said = "CANNOT RUN" if rule["status"] == "error" else rule["severity"]
    chips = [tag("span", said, class_=f"chip {CHIPS[rule['severity']]}")]
    if rule.get("on_failure", "block") == "quarantine":
        taken = "rows taken out" if rule.get("handled") else "quarantine"
        chips.append(tag("span", taken, class_="chip skip"))
    return chips


def _region(table: Safe, name: str) -> Safe:
    return tag("div", table, class_="scroll", role="region", aria_label=name, tabindex=0)


def _samples(samples: Sequence[Mapping[str, Any]], kind: str) -> Safe:
    """Return a table of rows that broke the rule: key columns first, then the values that are wrong."""
    keys = list(dict.fromkeys(name for sample in samples for name in sample["key"]))[:MAX_NAMES]
    names = list(dict.fromkeys(name for sample in samples for name in sample["values"]))[:MAX_NAMES]
    counted = any("rows" in sample for sample in samples)
    head = [tag("th", shorten(name), scope="col") for name in (*keys, *names)]
    if counted:
        head.append(tag("th", "rows", scope="col", class_="number"))
    rows = [
        tag(
            "tr",
            *(tag("td", shorten(sample["key"].get(name))) for name in keys),
            *(tag("td", shorten(sample["values"].get(name)), class_="hit") for name in names),
            *([tag("td", amount(sample.get("rows", 1)), class_="number")] if counted else []),
        )
        for sample in samples
    ]
    caption = tag("caption", CAPTIONS.get(kind, "Sample rows"))
    return tag("table", caption, tag("thead", tag("tr", *head)), tag("tbody", *rows), class_="samples")


def _shape(shape: Mapping[str, Sequence[Any]], kind: str) -> Safe:
    """Return two bars per bin or category: the share of the reference, and the share found."""
    widest = max(*shape["expected"], *shape["actual"]) or 1.0
    rows = []
    for label, expected, actual in zip(shape["labels"], shape["expected"], shape["actual"], strict=True):
        bars = [
            segments([(colour, size), ("track", widest - size)], class_="pair", label=percent(size))
            for colour, size in (("skip", expected), (kind, actual))
        ]
        shares = (tag("td", percent(expected), class_="number"), tag("td", percent(actual), class_="number hit"))
        rows.append(tag("tr", tag("td", shorten(label)), *shares, tag("td", *bars)))
    head = [
        tag("th", name, scope="col", class_="number" if name in {"reference", "now"} else None)
        for name in ("values", "reference", "now", "reference over now")
    ]
    return tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows[:MAX_BINS]), class_="samples")
