"""The page: complete in itself, without scripts, nothing of the data is markup, readable in light and dark."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

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
    long = {f"column_{number:03d}_{'x' * 60}": ["v" * 5000, "<>&\"'" * 1000] for number in range(60)}
    verdict = judge(
        long, {"schema": dict.fromkeys(long, "int"), "categorical_constraints": {name: ["a"] for name in long}}
    )
    page = verdict.artifact.read_beside(REPORT)
    assert len(page) < 300_000
    assert b"80 more are in" in page


HOSTILE = {
    "right to left override": "paid\u202egnp.exe",
    "isolates and marks": "\u2066\u200fa\u2069",
    "zero width": "act\u200bive\ufeff",
    "control characters": "a\x01b\x1b[31mc\x7f\x85",
    "markup": "</td></table><svg onload=alert(1)>",
    "comment and cdata": "--><!--<![CDATA[",
    "entities": "&lt;b&gt;&#0;",
    "long": "x" * 200_000,
    "backticks": "`a` ``b`` `<i>`",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_nothing_hides_in_a_value_and_nothing_escapes_from_it(judge, value):
    table = {"id": list(range(40)), value: [value, None] * 20, "c": [value, "other"] * 20}
    rules = {
        "required_columns": [{"column": value, "note": value}],
        "categorical_constraints": {"c": ["other", value + "?"]},
        "distribution": {"c": {"reference": {"values": ["other", "x"], "weights": [1, 1]}, "min_rows": 1}},
    }
    text = judge(table, rules).artifact.read_beside(REPORT).decode()
    page = Page(text)
    assert page.open == []
    assert {name for name, _ in page.elements} <= ELEMENTS
    shown = "".join(page.texts)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", shown)
    assert len(text.encode()) < 100_000


ELEMENTS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title style body main header h1 h2 h3 p ul li dl dt dd div section article span code table caption "
        "thead tbody tr th td details summary pre footer svg rect path g",
    )
)


def multiplied(summary: dict, times: int) -> dict:
    """The summary of a data set that has so many times the columns and rules, with histories."""
    rules = [
        {**rule, "rule_id": f"{rule['rule_id']}.{number}", "columns": [f"{name}_{number}" for name in rule["columns"]]}
        for rule in summary["rules"]
        for number in range(times)
    ]
    columns = [{**each, "name": f"{each['name']}_{number}"} for each in summary["columns"] for number in range(times)]
    sketch = {"counts": list(range(1000, 1024)), "low": 0.0, "high": 1e6, "rows": 1000}
    runs = [
        {"as_of": "2026-01-01T00:00:00+00:00", "rows": 7, "passed": True, "errors": 0, "warnings": 1, "failed": 1}
    ] * 30
    history = {rule["rule_id"]: {"statuses": "pf" * 15, "values": [0.125] * 30} for rule in rules}
    return {
        **summary, "rules": rules, "columns": columns, "sketches": {each["name"]: sketch for each in columns},
        "history": {"runs": runs, "rules": history},
    }  # fmt: skip


@pytest.mark.parametrize("times", [1, 20, 500])
def test_thousands_of_columns_and_rules_fit_and_the_page_says_what_it_left_out(verdict, times):
    summary = multiplied(json.loads(verdict.artifact.read_beside(VERDICT))["meta"]["mlpipe"], times)
    text = render(summary)
    assert len(text.encode()) < 300_000
    page = Page(text)
    left = [int(found.replace(",", "")) for found in re.findall(r"(\S+) more (?:are )?in ", " ".join(page.texts))]
    drawn = [
        name for name, attrs in page.elements if name == "article" or (name == "th" and attrs.get("scope") == "row")
    ]
    held = sum(rule["status"] == "passed" for rule in summary["rules"])
    assert f"{held:,} rules held" in "".join(page.texts)
    failed = sum(rule["status"] in {"failed", "error"} for rule in summary["rules"])
    if times == 1:
        assert left == []
        assert len(drawn) == failed + len(summary["columns"])
    if times == 500:
        assert failed - drawn.count("article") in left
        assert len(summary["columns"]) - drawn.count("th") in left


def test_columns_show_their_distribution_over_the_reference_and_how_far_it_moved(judge):
    table = {"c": ["a"] * 60 + ["b"] * 40, "n": list(range(100)), "secret": ["s3cret"] * 100}
    reference = {"values": ["a", "b"], "weights": [1, 1]}
    rules = {"distribution": {"c": {"reference": reference}}, "required_columns": ["n"], "sensitive": ["secret"]}
    verdict = judge(table, rules)
    page = Page(verdict.artifact.read_beside(REPORT).decode())
    labels = [attrs["aria-label"] for name, attrs in page.elements if attrs.get("class") == "hist"]
    assert labels == ["shares now over those of the reference, 3 bins", "histogram of 24 bins"]
    assert sum(attrs.get("class") == "steps" for _, attrs in page.elements) == 1
    said = "".join(page.texts)
    assert "a 60 %, b 40 %" in said
    assert "hidden" in said
    assert "s3cret" not in said
    document = json.loads(verdict.artifact.read_beside(VERDICT))["meta"]["mlpipe"]
    assert "secret" not in document["sketches"]


def test_earlier_runs_are_shown_per_data_set_and_per_rule(root, as_of):
    from datetime import timedelta

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
    from airflow_provider_mlpipe.config import dataset_rules
    from airflow_provider_mlpipe.run import Interval, Run
    from airflow_provider_mlpipe.validation import validate

    rules = dataset_rules({"data": {"required_columns": ["a"], "range_constraints": {"a": {"min": 0}}}}, "data")
    for day, values in enumerate([[1, 2], [1, None], [1, 2, 3, None]]):
        end = as_of + timedelta(days=day)
        described = Description(
            dataset="data", stage="raw", run=Run(interval=Interval(start=end - timedelta(days=1), end=end))
        )
        table = pa.table({"a": values})
        with ArtifactWriter(root, described, table.schema) as writer:
            writer.write_all(table.to_batches())
            artifact = writer.publish()
        verdict = validate(artifact, rules, as_of=end)
    page = Page(verdict.artifact.read_beside(REPORT).decode())
    said = "".join(page.texts)
    assert "1 of the last 3 runs passed. Rows before: 2; now 4." in said
    assert "In 2 earlier runs: held 1, failed 1. Failed last as of 2026-01-15 02:00 UTC." in said
    assert "2026-01-15 02:00 UTC: 2 rows, blocked, 1 error" in said
    labels = [attrs["aria-label"] for name, attrs in page.elements if attrs.get("class") == "values"]
    assert labels == ["values from 0 to 0.5, now 0.25"]


def test_a_rule_of_a_kind_that_the_page_does_not_know_is_shown_all_the_same(verdict):
    summary = json.loads(verdict.artifact.read_beside(VERDICT))["meta"]["mlpipe"]
    rule = next(rule for rule in summary["rules"] if rule["samples"])
    strange = {
        **rule, "rule_id": "data.novel.x", "kind": "novel", "columns": [], "observed": {"a": [1, None]}, "text": "It is new.",
        "samples": [{"values": {"p": 1}, "key": {}}, {"values": {"q": [1]}, "key": {"k": None}, "rows": 3}],
    }  # fmt: skip
    without = {
        key: value for key, value in summary.items() if key not in {"history", "sketches", "versions", "sensitive"}
    }
    page = Page(render({**without, "rules": [strange, *summary["rules"]]}))
    assert page.open == []
    assert "It is new." in "".join(page.texts)


def test_a_page_can_be_read_without_eyes_or_mouse(verdict):
    page = Page(verdict.artifact.read_beside(REPORT).decode())
    headings = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert headings[0] == headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    for name, attrs in page.elements:
        if name == "th":
            assert attrs.get("scope") in {"col", "row"}
        if name == "svg":
            assert attrs.get("aria-label") or attrs.get("aria-hidden") == "true"
        if "scroll" in (attrs.get("class") or ""):
            assert (attrs["role"], attrs["tabindex"]) == ("region", "0")
            assert attrs["aria-label"]
    assert ("html", {"lang": "en"}) in page.elements


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
