"""The message: what somebody reads who was not looking, in the forms that mail and chat want it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Judgement", "Message"]

MAX_RULES = 5
"""Rules that a message names; the report names all."""

MAX_CHARACTERS = 3_000
"""Slack takes no longer text in one block; what does not fit stands in the log."""

_MARKS = {"ERROR": "ERROR", "WARNING": "warning", "INFO": "info"}
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # or a value such as <!channel> would call everybody


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the rules said of a dataset.

    Attributes:
        dataset: whose rules.
        rows: that were judged; None if nobody knows.
        counts: ``errors``, ``warnings``, ``total_checks`` as far as known.
        rules: the failed ones, each as `RuleResult.as_dict` writes it, the severest first; sensitive values are masked
            in them already.
        report: the address of the report.
    """

    dataset: str
    rows: int | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    rules: Sequence[Mapping[str, Any]] = ()
    report: str = ""

    @property
    def worst(self) -> str:
        """The severity of the severest rule that failed; empty if none did."""
        return str(self.rules[0]["severity"]) if self.rules else ""

    def lines(self, *, samples: bool, passed: bool) -> Iterator[str]:
        """Yield the counts, then rule by rule what failed, up to three lines each.

        Args:
            samples: whether values may be told.
            passed: whether the data went on all the same, without the rows that broke a rule of ``quarantine``.
        """
        counted = [] if self.rows is None else [_plural(self.rows, "row")]
        counted += [
            _plural(self.counts[f"{name}s"], name) for name in ("error", "warning") if f"{name}s" in self.counts
        ]
        yield f"{self.dataset}: {', '.join(counted)}" if counted else self.dataset
        for rule in self.rules[:MAX_RULES]:
            taken_out = passed and rule.get("on_failure") == "quarantine"
            mark = "quarantined" if taken_out else _MARKS.get(rule["severity"], rule["severity"])
            yield f"• {mark}: {rule['text']} {rule['found']}".rstrip()
            if samples and rule.get("samples"):
                shown = dict.fromkeys(map(_sample, rule["samples"]))  # masked ones may all look the same
                yield f"   e.g. {'; '.join(list(shown)[:3])}"
            owner = f", owner {rule['owner']}" if rule.get("owner") else ""
            yield f"   {rule['where']}{owner}"
        if len(self.rules) > MAX_RULES:
            yield f"• and {_plural(len(self.rules) - MAX_RULES, 'more rule')}"


@dataclass(frozen=True, kw_only=True)
class Message:
    """What happened. In templates: ``{{ mlpipe.subject }}``, ``.text``, ``.slack``, ``.html``; alone it is the text.

    Attributes:
        state: FAILED, RETRY, PASSED, SKIPPED.
        what: the task or the Dag.
        judgements: what the rules said, one per dataset.
        problem: the error, if it is none of the data.
        facts: the rest, by its label: report, task's page, run, how to run it again.
        samples: whether samples of the data may be told.
    """

    state: str
    what: str
    judgements: Sequence[Judgement] = ()
    problem: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    samples: bool = True

    @property
    def subject(self) -> str:
        """One line: the state, what, and the first reason."""
        return f"[{self.state}] {self.what}{': ' if self.reason else ''}{self.reason}"

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        for judgement in self.judgements:
            if judgement.worst == "ERROR" and self.state != "PASSED":
                failed = [rule for rule in judgement.rules if rule["severity"] == "ERROR"]
                return f"{judgement.dataset}: {_plural(len(failed), 'rule')} of severity ERROR failed"
        first = self.problem.partition("\n")[0]
        return first if len(first) <= 120 else first[:119] + "…"

    @property
    def text(self) -> str:
        """The whole, for logs and plain mail."""
        return "\n".join([self.subject, *self._body()])

    def __str__(self) -> str:
        return self.text

    @property
    def slack(self) -> str:
        """The whole in Slack's mark-up, its special characters escaped."""
        head, *body = self.text.translate(_SLACK).split("\n")
        text = "\n".join([f"*{head}*", *body])
        return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"

    @property
    def html(self) -> str:
        """The whole as HTML, for mail: no style sheet, no picture, nothing that is fetched."""
        facts = "".join(
            f"<tr><td>{escape(name)}</td><td>{_linked(value)}</td></tr>" for name, value in self.facts.items()
        )
        body = escape("\n".join(self._said()))
        return (
            f"<p><b>{escape(self.subject)}</b></p>"
            f"{f'<pre>{body}</pre>' if body else ''}"
            f"{f'<table>{facts}</table>' if facts else ''}"
        )

    def _body(self) -> Iterator[str]:
        yield from self._said()
        width = max(map(len, self.facts), default=0)
        for name, value in self.facts.items():
            yield f"{name + ':':<{width + 1}} {value}"

    def _said(self) -> Iterator[str]:
        for judgement in self.judgements:
            yield from judgement.lines(samples=self.samples, passed=self.state == "PASSED")
        if self.problem:
            yield self.problem


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _sample(sample: Mapping[str, Any]) -> str:
    shown = [f"{name} {value!r}" for name, value in (sample["values"] | sample["key"]).items()]
    return ", ".join(shown)


def _linked(value: str) -> str:
    safe = escape(value)
    return f'<a href="{safe}">{safe}</a>' if value.startswith(("https://", "http://")) else safe
