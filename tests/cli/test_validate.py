"""``mlpipe validate``: files that no stage wrote, rows taken out, several artifacts, and what it writes for others."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_mlpipe.artifacts import Artifact
from tests.cli.terminal import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

AS_OF = ("--as-of", "2026-01-14T02:00:00Z")
YAML = """\
people:
  on_failure: quarantine
  max_quarantine_share: 0.5
  sensitive: [email]
  required_columns: [id]
  range_constraints: {age: [0, 120]}
strict:
  range_constraints: {age: [0, 120]}
  categorical_constraints: {zip: {values: ["01234"], severity: WARNING}}
"""
CSV = "id,age,zip,email\nu1,30,01234,ann@secret.org\nu2,200,01235,bob@secret.org\nu3,31,01234,\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a validation file and files of somebody else, where commands run."""
    (tmp_path / "rules.yaml").write_text(YAML)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "people.csv").write_text(CSV)
    table = pa.table(
        {"id": ["u1", "u2", "u3"], "age": [30, 200, 31], "zip": ["01234"] * 3, "email": ["ann@secret.org", "", None]}
    )
    pq.write_table(table, tmp_path / "theirs" / "people.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_files_of_others_are_judged_and_their_folder_is_left_alone(mlpipe, place, name):
    answer = mlpipe("validate", f"theirs/{name}", "--config", "rules.yaml", "--dataset", "people", *AS_OF, "--json")
    assert answer.code == 0, answer.err
    said = answer.document
    assert files(place / "theirs") == {"people.csv", "people.parquet"}
    judged = Artifact.open(said["judged"])
    assert judged.uri.endswith("/people/external/20260113T020000Z-20260114T020000Z")
    assert judged.verdict()["passed"] is False
    assert judged.table()["zip"].to_pylist()[0] == "01234"
    referred = judged.manifest.parts[0].name
    assert referred.endswith("/theirs/people.parquet") is (name == "people.parquet")
    assert Artifact.open(said["artifact"]).table()["id"].to_pylist() == ["u1", "u3"]
    assert Artifact.open(said["quarantine"]).table()["id"].to_pylist() == ["u2"]
    assert said["counts"]["rows_quarantined"] == 1


def test_a_parquet_file_that_changed_is_another_content(mlpipe, place):
    command = ("validate", "theirs/people.parquet", "--config", "rules.yaml", "--dataset", "people", *AS_OF, "--json")
    first = Artifact.open(mlpipe(*command).document["judged"])
    again = Artifact.open(mlpipe(*command).document["judged"])
    assert first.fingerprint == again.fingerprint
    pq.write_table(
        pa.table({"id": ["u9"], "age": [1], "zip": [""], "email": [""]}), place / "theirs" / "people.parquet"
    )
    assert "theirs/people.parquet has" in mlpipe("validate", first.uri, "--config", "rules.yaml").err
    changed = Artifact.open(mlpipe(*command).document["judged"])
    assert changed.fingerprint != first.fingerprint


def test_an_unpublished_folder_below_the_root_is_no_files_of_others(mlpipe, place):
    half = place / "artifacts" / "people" / "raw" / "p"
    half.mkdir(parents=True)
    pq.write_table(pa.table({"id": ["u1"], "age": [1]}), half / "part-t1-0.parquet")
    answer = mlpipe("validate", half, "--config", "rules.yaml", "--dataset", "people", *AS_OF)
    assert (answer.code, "no artifact at" in answer.err) == (3, True)


def test_lines_that_are_no_rows_are_refused(mlpipe, place):
    (place / "theirs" / "people.csv").write_text(CSV + "u4,1\n")
    answer = mlpipe("validate", "theirs/people.csv", "--config", "rules.yaml", "--dataset", "people", *AS_OF)
    assert answer.code == 3
    assert "a line with 2 fields instead of 4" in answer.err


def test_several_by_name_are_all_judged_before_one_stops(mlpipe, place):
    command = ("validate", "people=theirs/people.csv", "crew=theirs/people.parquet", "--config", "rules.yaml", *AS_OF)
    answer = mlpipe(*command, "--dataset", "crew=strict", "--json")
    assert answer.code == 1
    found = answer.document["artifacts"]
    assert (found["people"]["passed"], found["crew"]["passed"]) == (True, False)
    assert (
        found["crew"]["dataset"],
        "strict: 1 rule of severity ERROR failed" in answer.document["error"]["message"],
    ) == ("strict", True)
    assert "several artifacts need names" in mlpipe("validate", "theirs/people.csv", "theirs/people.parquet").err


def test_what_it_writes_for_others_is_written_whatever_the_verdict(mlpipe, place):
    written = ("--junit", "out/junit.xml", "--markdown", "out/summary.md", "--data-docs", "out/docs")
    command = ("validate", "theirs/people.csv", "--config", "rules.yaml", *AS_OF, *written)
    assert mlpipe(*command, "--dataset", "strict").code == 1
    suite = ET.parse(place / "out" / "junit.xml").getroot()[0]
    assert (suite.get("name"), suite.get("failures")) == ("strict", "1")
    assert "BLOCKED" in (place / "out" / "summary.md").read_text()
    assert (place / "out" / "docs" / "index.html").exists()
    passed = mlpipe(*command, "--dataset", "people")
    assert passed.code == 0, passed.err
    assert ET.parse(place / "out" / "junit.xml").getroot()[0].get("failures") == "0"
    assert "QUARANTINED" in (place / "out" / "summary.md").read_text()
    assert passed.out.startswith("people: QUARANTINED, 4 of 5 rules held")
    assert "1 row went to quarantine: ./artifacts/people/external-validated-quarantine/" in passed.out
    assert "What is left: people: PASSED, 5 of 5 rules held" in passed.out
    written_now = [*(place / "out").rglob("*"), *(place / "artifacts" / "people").rglob("_*")]
    told = passed.out + passed.err + "".join(path.read_text(errors="replace") for path in written_now if path.is_file())
    assert "secret.org" not in told, "email is sensitive"


def test_the_how_to_page_is_true(mlpipe, tmp_path, monkeypatch):
    """docs/how-to/validation-outcomes.md: its rules load, its command gives what stands below it."""
    page = (REPOSITORY / "docs" / "how-to" / "validation-outcomes.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(yaml|csv|console)\n(.*?)```", page, re.DOTALL))
    (tmp_path / "rules.yaml").write_text(blocks["yaml"])
    (tmp_path / "users.csv").write_text(blocks["csv"])
    monkeypatch.chdir(tmp_path)
    first, *said, second = blocks["console"].splitlines()
    answer = mlpipe(*shlex.split(first.removeprefix("$ mlpipe ")))
    assert answer.code == 0, answer.err
    assert [line for line in said if line not in answer.out] == []
    assert {"junit.xml", "summary.md"} <= files(tmp_path)
    assert "users.range.age" in mlpipe(*shlex.split(second.removeprefix("$ mlpipe "))).out
