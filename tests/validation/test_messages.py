"""The verdict for chats, pull requests and CI systems: nothing that the data holds can break out of them."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import ArtifactNotFoundError
from airflow_provider_mlpipe.reporting.junit import junit
from airflow_provider_mlpipe.reporting.markdown import code, escaped, markdown
from airflow_provider_mlpipe.validation import sift, validate
from airflow_provider_mlpipe.validation.data_docs import build_data_docs

HOSTILE = "]]></failure><b>`x` | @all\n# h \x00\x1b \ud7ff \U0001f600 [a](javascript:1) ```"
RULES = {
    "data": {
        "required_columns": ["id"],
        "categorical_constraints": {"text": {"values": ["a"], "note": "Ask *ann* <b>", "owner": "ann|bob"}},
        "range_constraints": {"n": {"min": 0, "severity": "WARNING"}, "text": [0, 1], "absent": [0, 1]},
    }
}


@pytest.fixture
def summary(publish, as_of):
    artifact = publish({"id": ["u1", None], "text": [HOSTILE, "a"], "n": [1, -1]})
    validate(artifact, dataset_rules(RULES, "data"), as_of=as_of)
    return artifact.verdict()


def test_junit_counts_what_blocks_and_what_could_not_run(summary):
    root = ET.fromstring(junit([summary, summary]))
    suite = root[0]
    assert root.get("failures") == str(2 * int(suite.get("failures")))
    cases = {case.get("name").partition(":")[0]: case for case in suite.iter("testcase")}
    assert int(suite.get("tests")) == len(cases) == len(summary["rules"])
    kinds = {name: [child.tag for child in case] for name, case in cases.items()}
    assert kinds["not_null.id"] == kinds["in_set.text"] == kinds["column.absent"] == ["failure"]
    assert kinds["range.text"] == ["error"]
    assert kinds["range.absent"] == ["skipped"]
    assert kinds["range.n"] == ["system-out"], "a warning fails nothing"
    assert kinds["rows"] == []
    tags = [child.tag for case in suite.iter("testcase") for child in case]
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert tags.count(tag) == int(suite.get(count))


def test_junit_has_the_shape_that_ci_systems_read(summary):
    """Element order and attributes of the common schema: properties first, then cases; times with three decimals."""
    root = ET.fromstring(junit([summary]))
    assert root.tag == "testsuites"
    for suite in root:
        assert [child.tag for child in suite] == ["properties"] + ["testcase"] * int(suite.get("tests"))
        assert {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"} == set(suite.keys())
        assert re.fullmatch(r"\d+\.\d{3}", suite.get("time"))
        assert suite.get("timestamp") == "2026-01-14T02:00:00"
        for case in suite.iter("testcase"):
            assert set(case.keys()) == {"name", "classname", "time"}
            assert {key for child in case for key in child.attrib} <= {"type", "message"}


def test_no_value_breaks_out_of_the_xml(summary):
    failure = next(case for case in ET.fromstring(junit([summary])).iter("testcase") if "in_set" in case.get("name"))
    assert "]]></failure><b>" in failure[0].text
    assert "ann|bob" in failure[0].text
    assert "\x00" not in junit([summary])


def test_the_same_verdict_gives_the_same_documents(publish, as_of):
    artifact = publish({"id": ["u1"], "text": ["b"], "n": [1]})
    documents = []
    for _ in range(2):
        validate(artifact, dataset_rules(RULES, "data"), as_of=as_of)
        documents.append(re.sub(r'time="[\d.]+"', "", junit([artifact.verdict()])) + markdown(artifact.verdict()))
    assert documents[0] == documents[1]


def test_markdown_tells_failures_first_with_samples_place_and_owner(summary):
    text = markdown(summary)
    head, listed, report = text.strip().split("\n\n")
    assert head.startswith("❌ **data: BLOCKED** · ")
    assert "as of 14 Jan 2026" in head or "2026-01-14" in head
    assert listed.index("**ERROR") < listed.index("**WARNING**")
    assert "- **ERROR** `id` is never empty. 1 of 2 rows (50 %) is empty." in listed
    assert "samples: `-1` (1 row)" in listed or "samples: `-1`" in listed
    assert report == f"Report: `{summary['report']}`"


def test_no_value_breaks_out_of_the_markdown(summary):
    text = markdown(summary)
    assert "owner ann\\|bob" in text
    assert "note: Ask \\*ann\\* &lt;b&gt;" in text
    (line,) = [line for line in text.splitlines() if "javascript" in line]
    fence = "````"
    inside = line[line.index(fence) + len(fence) : line.rindex(fence)]
    assert "javascript" in inside, "values stand in a code span that is longer than any run of backticks in them"
    outside = line.replace(inside, "")
    assert not {"<", "[", "@", "|"}.intersection(outside)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- a", "\\- a"),
        ("1. a", "\\1. a"),
        ("a\n# b", "a \\# b"),
        ("`a*b` *c*", "`a*b` \\*c\\*"),
        ("a & b", "a &amp; b"),
    ],
)
def test_prose_stays_prose(text, shown):
    assert escaped(text) == shown


def test_an_empty_or_fenced_value_is_still_a_code_span():
    assert (code(""), code("``a"), code("a\nb")) == ("`  `", "``` ``a ```", "`a b`")


def test_markdown_tells_where_rows_went(publish, as_of, root):
    rules = {"data": {"required_columns": ["id"], "on_failure": "quarantine", "max_quarantine_share": 0.5}}
    done = sift(publish({"id": ["u1", None]}), dataset_rules(rules, "data"), as_of=as_of, root=root)
    text = markdown(done.first.artifact.verdict())
    assert "**data: QUARANTINED**" in text
    assert f"1 row was taken out: `{done.quarantine.uri}`." in text
    assert f"The rest, 1 row, passed and went on: `{done.artifact.uri}`." in text
    suite = ET.fromstring(junit([done.first.artifact.verdict()]))[0]
    assert suite.get("failures") == "0", "what was dealt with fails no build"


def test_data_docs_are_great_expectations_own(publish, as_of, tmp_path):
    artifact = publish(pa.table({"id": ["u1", None], "age": [1, 200]}))
    with pytest.raises(ArtifactNotFoundError):
        build_data_docs([artifact], tmp_path / "docs")
    rules = {"data": {"required_columns": ["id"], "schema": {"age": "string"}, "range_constraints": {"age": [0, 9]}}}
    validate(artifact, dataset_rules(rules, "data"), as_of=as_of)
    index = build_data_docs([artifact], tmp_path / "docs")
    assert "Data Docs" in index.read_text()
    (page,) = (tmp_path / "docs" / "validations").rglob("*.html")
    text = page.read_text()
    assert "must be of type" in text, "our own classes render there"
    assert "unexpected Exception" not in text
