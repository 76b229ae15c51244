"""The rules that failed, one card each: what should hold, what was found, how much of it, which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.figures import amount, bar, percent, segments, shorten
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CHIPS", "failure_cards"]

MAX_CARDS = 40
"""A page stays below 300 KB; beyond this many failures the first ones say what is wrong."""

MAX_BINS = 30
CAPTIONS = {"unique": "The keys in the most rows", "in_set": "The most frequent of them, each with one row"}
CHIPS = {"ERROR": "bad", "WARNING": "warn", "INFO": "info"}


def failure_cards(rules: Sequence[Mapping[str, Any]]) -> Safe:
    """Return the cards, and how many more there are."""
    cards = [_card(rule) for rule in rules[:MAX_CARDS]]
    left = len(rules) - len(cards)
    more = tag("p", prose(f"{left:,} more are in `_validation.json`."), class_="quiet") if left else ""
    return join(*cards, more)


def _card(rule: Mapping[str, Any]) -> Safe:
    kind = CHIPS[rule["severity"]]
    chip = tag("span", "CANNOT RUN" if rule["status"] == "error" else rule["severity"], class_=f"chip {kind}")
    body = [
        tag("div", tag("h3", prose(rule["text"])), chip, class_="head"),
        tag("p", prose(rule["found"]), class_="found"),
    ]
    if rule["unexpected"]:
        said = f"{amount(rule['unexpected'])} of {amount(rule['checked'])}, {percent(rule['share'])}"
        body.append(bar(rule["share"], kind=kind, label=said, class_="share"))
    if rule["shape"]:
        body.append(tag("div", _shape(rule["shape"], kind), class_="scroll"))
    if rule["samples"]:
        body.append(tag("div", _samples(rule["samples"], rule["kind"]), class_="scroll"))
    if rule["note"]:
        body.append(tag("p", rule["note"], class_="note"))
    foot = [tag("span", "rule ", tag("code", rule["rule_id"])), tag("span", "at ", tag("code", rule["where"]))]
    if rule["owner"]:
        foot.append(tag("span", f"owner {rule['owner']}"))
    return tag("article", tag("div", *body), tag("div", *foot, class_="foot"), class_="card rule")


def _samples(samples: Sequence[Mapping[str, Any]], kind: str) -> Safe:
    """Return a table of rows that broke the rule: key columns first, then the values that are wrong."""
    keys, names = list(samples[0]["key"]), list(samples[0]["values"])
    counted = "rows" in samples[0]
    head = [tag("th", name, scope="col") for name in (*keys, *names)]
    if counted:
        head.append(tag("th", "rows", scope="col", class_="number"))
    rows = [
        tag(
            "tr",
            *(tag("td", shorten(sample["key"].get(name))) for name in keys),
            *(tag("td", shorten(sample["values"].get(name)), class_="hit") for name in names),
            *([tag("td", amount(sample["rows"]), class_="number")] if counted else []),
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
    head = [tag("th", name, scope="col") for name in ("", "reference", "now", "")]
    return tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows[:MAX_BINS]), class_="samples")
