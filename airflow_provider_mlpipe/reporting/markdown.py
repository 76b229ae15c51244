"""The verdict as Markdown: what a log, a chat or a pull request shows of it.

It is drawn from the ``mlpipe`` object of ``_validation.json`` alone, as the HTML page is. Values of the data stand in
code spans, everything else is escaped: no value becomes a link, a table, HTML or a mention.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.reporting.figures import amount, moment, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["code", "escaped", "markdown", "outcome_line"]

MAX_RULES = 20
"""Failed rules that are listed; a chat message has a limit, and the report holds them all."""

MAX_VALUE = 80
_SPECIAL = re.compile(r"([\\`*_\[\]#|~!])")
_MARKED = re.compile(r"`([^`]+)`")
_OPENING = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s)")


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the verdict: a line of counts, then what failed, what was taken out, and where the report is.

    Args:
        summary: ``meta.mlpipe`` of a ``_validation.json``.
    """
    failed = [rule for rule in summary["rules"] if rule["status"] in {"failed", "error"}]
    parts = [_head(summary)]
    if failed:
        parts.append("\n".join(line for rule in failed[:MAX_RULES] for line in _rule(rule)))
    if len(failed) > MAX_RULES:
        parts.append(f"{len(failed) - MAX_RULES} more failed rules are in the report.")
    if said := outcome_line(summary):
        parts.append(said)
    parts.append(f"Report: {code(summary['report'])}")
    return "\n\n".join(parts) + "\n"


def outcome_line(summary: Mapping[str, Any]) -> str:
    """Return what became of the rows that were taken out, as a sentence; nothing if none were."""
    quarantine = summary.get("quarantine")
    if not quarantine:
        return ""
    was = "was" if quarantine["rows"] == 1 else "were"
    went = "passed and went on" if quarantine["passed"] else "did not pass either"
    return (
        f"{word(quarantine['rows'], 'row')} {was} taken out: {code(quarantine['artifact'])}. "
        f"The rest, {word(quarantine['passed_on'], 'row')}, {went}: {code(quarantine['clean'])}."
    )


def _head(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    dealt_with = (summary.get("quarantine") or {}).get("passed")
    state = "QUARANTINED" if dealt_with else "PASSED" if summary["passed"] else "BLOCKED"
    mark = {"PASSED": "✅", "QUARANTINED": "\N{LEFT-POINTING MAGNIFYING GLASS}", "BLOCKED": "❌"}[state]
    facts = [
        f"{amount(counts['passed'])} of {word(counts['total_checks'], 'rule')} held",
        word(counts["errors"], "error"),
        word(counts["warnings"], "warning"),
        *([f"{amount(counts['skipped'])} skipped"] if counts.get("skipped") else []),
        word(counts["rows_validated"], "row"),
        f"as of {moment(summary['as_of'])}",
    ]
    return f"{mark} **{escaped(summary['dataset'])}: {state}** · {' · '.join(facts)}"


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    cannot = " CANNOT RUN" if rule["status"] == "error" else ""
    yield f"- **{rule['severity']}{cannot}** {escaped(rule['text'])} {escaped(rule['found'])}".rstrip()
    if rule["samples"]:
        yield f"  - samples: {'; '.join(map(_sample, rule['samples']))}"
    owner = f", owner {escaped(rule['owner'])}" if rule.get("owner") else ""
    yield f"  - rule {code(rule['rule_id'])} at {code(rule['where'])}{owner}"
    if rule.get("note"):
        yield f"  - note: {escaped(rule['note'])}"


def _sample(sample: Mapping[str, Any]) -> str:
    values = list(sample["values"].items())
    if len(values) == 1:
        shown = code(_literal(values[0][1]))
    else:
        shown = ", ".join(f"{escaped(name)} {code(_literal(value))}" for name, value in values)
    extra = [f"{escaped(name)} {code(_literal(value))}" for name, value in sample["key"].items()]
    if sample.get("rows") is not None:
        extra.append(word(sample["rows"], "row"))
    return f"{shown} ({', '.join(extra)})" if extra else shown


def _literal(value: Any) -> str:  # noqa: ANN401 - any value of a table
    text = "null" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def code(text: str) -> str:
    """Return a text as a code span, whatever it holds: with a fence longer than any run of backticks in it.

    >>> code("a"), code("a`b")
    ('`a`', '`` a`b ``')
    """
    line = " ".join(str(text).split())
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    padded = f" {line} " if "`" in line or not line else line
    return f"{fence}{padded}{fence}"


def escaped(text: str) -> str:
    r"""Return prose in which only what stands in single backticks is markup.

    >>> escaped("`age` is *not* <b>")
    '`age` is \\*not\\* &lt;b&gt;'
    """
    line = " ".join(str(text).split())
    parts, end = [], 0
    for match in _MARKED.finditer(line):
        parts += [_plain(line[end : match.start()]), match[0]]
        end = match.end()
    return _OPENING.sub(r"\1\\\2", "".join([*parts, _plain(line[end:])]))


def _plain(text: str) -> str:
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", shown)
