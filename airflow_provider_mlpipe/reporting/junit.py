"""Verdicts as JUnit XML, so that a CI system lists rules where it lists tests.

One suite per verdict, one case per rule. Only what blocks is a failure, and a rule that could not run is an error: a
CI system has no word for a warning, so a failed rule of severity WARNING or INFO passes, with what was found in its
``system-out``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["junit"]

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write, not even as a reference."""


def junit(summaries: Iterable[Mapping[str, Any]]) -> str:
    """Return the document.

    Args:
        summaries: ``meta.mlpipe`` of one ``_validation.json`` each.
    """
    whole = ET.Element("testsuites", name="mlpipe validate")
    suites = [_suite(whole, summary) for summary in summaries]
    for count in ("tests", "failures", "errors"):
        whole.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    whole.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")
    ET.indent(whole)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(whole, encoding="unicode") + "\n"


def _suite(whole: ET.Element, summary: Mapping[str, Any]) -> ET.Element:
    rules = summary["rules"]
    suite = ET.SubElement(
        whole,
        "testsuite",
        name=_legal(summary["dataset"]),
        tests=str(len(rules)),
        failures=str(sum(_blocks(rule) and rule["status"] == "failed" for rule in rules)),
        errors=str(sum(rule["status"] == "error" for rule in rules)),
        skipped=str(sum(rule["status"] == "skipped" for rule in rules)),
        time=f"{summary['counts'].get('duration_seconds', 0.0):.3f}",
        # Not when it was computed but what it is about: a rerun writes the same document.
        timestamp=str(summary["as_of"])[:19],
    )
    properties = ET.SubElement(suite, "properties")
    facts = {
        "artifact": summary["artifact"],
        "fingerprint": summary["fingerprint"],
        "as_of": summary["as_of"],
        "passed": str(summary["passed"]).lower(),
        "report": summary["report"],
    }
    if quarantine := summary.get("quarantine"):
        facts |= {
            "quarantined": quarantine["rows"], "quarantine": quarantine["artifact"], "passed_on": quarantine["clean"]
        }  # fmt: skip
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=_legal(value))
    for rule in rules:
        _case(suite, summary["dataset"], rule)
    return suite


def _case(suite: ET.Element, dataset: str, rule: Mapping[str, Any]) -> None:
    name = f"{rule['rule_id'].removeprefix(f'{dataset}.')}: {rule['text']}"
    case = ET.SubElement(suite, "testcase", name=_legal(name), classname=_legal(f"mlpipe.{dataset}"), time="0")
    if rule["status"] == "passed":
        return
    said = {"type": rule["severity"], "message": _legal(rule["found"] or rule["text"])}
    if rule["status"] == "skipped":
        ET.SubElement(case, "skipped", {"message": said["message"]})
        return
    if rule["status"] == "error":
        ET.SubElement(case, "error", said).text = _details(rule)
    elif _blocks(rule):
        ET.SubElement(case, "failure", said).text = _details(rule)
    else:
        handled = "rows taken out" if rule.get("on_failure") == "quarantine" else rule["severity"]
        ET.SubElement(case, "system-out").text = f"{handled}: {_details(rule)}"


def _blocks(rule: Mapping[str, Any]) -> bool:
    return bool(rule["severity"] == "ERROR" and not rule.get("handled"))


def _details(rule: Mapping[str, Any]) -> str:
    lines = [f"{rule['text']} {rule['found']}".rstrip()]
    for sample in rule["samples"]:
        shown = {**sample["key"], **sample["values"]}
        counted = "" if sample.get("rows") is None else f" ({sample['rows']} rows)"
        lines.append("sample: " + ", ".join(f"{name}={value!r}" for name, value in shown.items()) + counted)
    lines.append(f"rule {rule['rule_id']} at {rule['where']}")
    if rule.get("owner"):
        lines.append(f"owner {rule['owner']}")
    if rule.get("note"):
        lines.append(f"note: {rule['note']}")
    return _legal("\n".join(lines))


def _legal(text: object) -> str:
    r"""Return the text without characters that XML cannot hold.

    >>> _legal("a\x00b")
    'a\ufffdb'
    """
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", str(text))
