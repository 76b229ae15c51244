"""The two tables of a page: rules that did not fail, and columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.failures import CHIPS
from airflow_provider_mlpipe.reporting.figures import amount, bar, percent, shorten, word
from airflow_provider_mlpipe.reporting.markup import Safe, join, prose, tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["columns_table", "rules_table"]

NOTHING = "\N{EN DASH}"
MAX_ROWS = 200
"""Of each table, for pages of tables with very many columns; what failed comes first."""


def rules_table(rules: Sequence[Mapping[str, Any]]) -> Safe:
    """Return rules that held or were skipped, one line each."""
    rows = [
        tag(
            "tr",
            tag("td", _chip(rule)),
            tag("td", prose(rule["text"]), " ", tag("span", prose(rule["found"]), class_="quiet")),
            tag(
                "td",
                rule["where"].replace("\\", "/").rpartition("/")[2],
                class_="quiet small place",
                title=rule["where"],
            ),
        )
        for rule in rules[:MAX_ROWS]
    ]
    return _table(("", "Rule", "Stands at"), rows, len(rules))


def _last_part(where: str) -> str:
    """Return ``file:line`` without the folders."""
    return where.replace("\\", "/").rpartition("/")[2]


def columns_table(summary: Mapping[str, Any]) -> Safe:
    """Return one line per column: type, nulls, distinct values, extremes, and how many of its rules failed."""
    columns, rules, rows = summary["columns"], summary["rules"], summary["counts"]["rows_validated"]
    about = "" if summary["exact_distinct"] else "≈ "
    failures = [rule for rule in rules if rule["status"] in {"failed", "error"}]
    failed = Counter(name for rule in failures for name in rule["columns"])
    # Failures come severest first, so the first one of a column gives its colour.
    colour = {name: CHIPS[rule["severity"]] for rule in reversed(failures) for name in rule["columns"]}
    ruled = Counter(name for rule in rules for name in rule["columns"])
    ordered = sorted(columns, key=lambda column: -failed[column["name"]]) if len(columns) > MAX_ROWS else columns
    lines = []
    for column in ordered[:MAX_ROWS]:
        name = column["name"]
        if failed[name]:
            judged = tag("span", f"{failed[name]} failed", class_=f"chip {colour[name]}")
        else:
            judged = tag("span", word(ruled[name], "rule") if ruled[name] else "no rule", class_="quiet small")
        lines.append(_column(column, judged, rows, about))
    return _table(("Column", "Type", "Empty", "Distinct", "Smallest", "Greatest", "Rules"), lines, len(columns))


def _column(column: Mapping[str, Any], judged: Safe, rows: int, about: str) -> Safe:
    nulls = column["nulls"] or 0
    empty = percent(nulls / rows) if rows else NOTHING
    picture = bar(nulls / rows, kind="skip", label=f"{empty} empty", class_="nulls") if rows else ""
    distinct = NOTHING if column["distinct"] is None else f"{about}{amount(min(column['distinct'], rows - nulls))}"
    return tag(
        "tr",
        tag("td", tag("code", shorten(column["name"])), class_="column"),
        tag("td", column["type"], class_="type"),
        tag("td", join(empty, picture), class_="number"),
        tag("td", distinct, class_="number"),
        tag("td", NOTHING if column["low"] is None else shorten(column["low"])),
        tag("td", NOTHING if column["high"] is None else shorten(column["high"])),
        tag("td", judged, class_="place"),
    )


def _chip(rule: Mapping[str, Any]) -> Safe:
    if rule["status"] == "skipped":
        return tag("span", "skipped", class_="chip skip")
    kind = "good" if rule["status"] == "passed" else CHIPS[rule["severity"]]
    return tag("span", "held", class_=f"chip {kind}")


def _table(head: Sequence[str], rows: Sequence[Safe], total: int) -> Safe:
    cells = [tag("th", name, scope="col", class_="number" if name in {"Empty", "Distinct"} else None) for name in head]
    left = total - len(rows)
    more = [tag("tr", tag("td", f"and {left:,} more in _validation.json", colspan=len(head)))] if left else []
    return tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows, *more))
