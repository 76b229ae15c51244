"""The page: complete in itself, without scripts, nothing of the data is markup, readable in light and dark."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from airflow_provider_mlpipe.artifacts.artifact import REPORT, VERDICT
from airflow_provider_mlpipe.reporting import render

EVIL = """</style></script><script>alert(1)</script><img src=x onerror=alert(2)>" onmouseover="alert(3)' & `code`"""
RULES = {
    "required_columns": ["id", {"column": EVIL, "owner": EVIL, "note": EVIL}, "gone"],
    "unique_columns": ["id"],
    "categorical_constraints": {"c": {"values": [EVIL], "severity": "WARNING"}},
    "range_constraints": {"n": {"max": 1, "severity": "INFO"}, "c": [0, 1]},
    "freshness": {"timestamp_column": "t", "max_age_hours": 1},
    "distribution": {"c": {"reference": {"values": [EVIL, "y"], "weights": [1, 1]}, "min_rows": 1}},
}


class Page(HTMLParser):
    """Collects elements and text, and notices what does not close."""

    VOID = frozenset({"meta", "rect", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def verdict(judge):
    table = {
        "id": ["a", "a", EVIL], EVIL: [None, "x", EVIL], "c": ["x", EVIL[::-1], EVIL], "n": [1, 2, 3],
        "t": ["2026-01-14T01:30:00", None, EVIL],
    }  # fmt: skip
    return judge(table, RULES)


def test_nothing_of_data_or_configuration_becomes_markup(verdict):
    text = verdict.artifact.read_beside(REPORT).decode()
    page = Page(text)
    assert page.open == []
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img", "link", "iframe", "object", "form", "a", "input"}
    attributes = {name for _, attrs in page.elements for name in attrs}
    assert not {name for name in attributes if name.startswith("on")}
    assert "style" not in attributes
    assert EVIL[:40] in "".join(page.texts)


def test_the_page_needs_nothing_else_and_its_policy_says_so(verdict):
    text = verdict.artifact.read_beside(REPORT).decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [
        attrs["content"] for name, attrs in Page(text).elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert not re.search(r"url\(|@import|https?://|//[a-z]", style)


def test_the_page_says_what_a_reader_asks(verdict):
    said = "".join(Page(verdict.artifact.read_beside(REPORT).decode()).texts)
    for expected in (
        "Blocked: 5 errors, 1 warning, 1 notice",
        "data.unique.id",
        "validation config",
        "2 of 3 rows (66.67 %) share a key with another",
        "CANNOT RUN",
        "What could not be judged",
        verdict.artifact.fingerprint,
        verdict.artifact.uri,
        "2026-01-14 02:00 UTC",
        "duckdb",
        "0.5 h old",
    ):
        assert expected in said, expected
    assert said.index("data.column.gone") < said.index("What held") < said.index("Columns")


def test_rules_from_a_file_come_with_the_command_that_repeats_it(publish, yaml_file, as_of):
    from airflow_provider_mlpipe.config import dataset_rules
    from airflow_provider_mlpipe.validation import validate

    path = yaml_file("data:\n  required_columns: [a]\n")
    verdict = validate(publish({"a": [1]}), dataset_rules(path, "data"), as_of=as_of)
    command = f"mlpipe validate {verdict.artifact.uri} --config {path} --dataset data --as-of 2026-01-14T02:00:00+00:00"
    assert command in verdict.artifact.read_beside(REPORT).decode()


def test_the_page_can_be_drawn_again_from_the_verdict_file(verdict):
    summary = json.loads(verdict.artifact.read_beside(VERDICT))["meta"]["mlpipe"]
    assert render(summary).encode() == verdict.artifact.read_beside(REPORT)


def test_a_page_of_very_many_failures_stays_small(judge):
    long = {f"column_{number:03d}_{'x' * 60}": ["v" * 5000, "<>&\"'" * 1000] for number in range(300)}
    verdict = judge(
        long, {"schema": dict.fromkeys(long, "int"), "categorical_constraints": {name: ["a"] for name in long}}
    )
    page = verdict.artifact.read_beside(REPORT)
    assert len(page) < 300_000
    assert b"560 more are in" in page


# ------------------------------------------------------------------ WCAG AA contrast

PAIRS = [
    ("text", "page"), ("text", "card"), ("text", "code"), ("quiet", "page"), ("quiet", "card"), ("quiet", "code"),
    ("bad", "card"), ("good", "card"), ("on-strong", "bad"), ("warn", "warn-soft"), ("info", "info-soft"),
    ("good", "good-soft"), ("skip", "skip-soft"),
]  # fmt: skip
GRAPHICS = [(name, ground) for name in ("bad", "warn", "info", "good", "skip") for ground in ("card", "track")]


def palettes() -> dict[str, dict[str, str]]:
    css = files("airflow_provider_mlpipe.reporting").joinpath("style.css").read_text()
    light, dark, paper = (
        dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )
    assert light.keys() == dark.keys() == paper.keys()
    return {"light": light, "dark": dark, "paper": paper}


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_text_and_bars_have_the_contrast_that_wcag_aa_asks_for(theme):
    colours = palettes()[theme]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    weak = {
        pair: round(contrast(*map(colours.get, pair)), 2) for pair in PAIRS if contrast(*map(colours.get, pair)) < 4.5
    }
    weak |= {
        pair: round(contrast(*map(colours.get, pair)), 2) for pair in GRAPHICS if contrast(*map(colours.get, pair)) < 3
    }
    assert weak == {}
