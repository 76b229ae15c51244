"""``mlpipe profile``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import json

from ruamel.yaml import YAML


def test_it_tells_people_and_machines_the_same(mlpipe, tracker):
    said = mlpipe("profile", tracker.parquet)
    assert said.code == 0, said.err
    for expected in ("task_id", "1,759 rows", "key: task_id"):
        assert expected in said.out
    document = json.loads(mlpipe("profile", tracker.parquet, "--json").out)
    assert document["keys"] == [["task_id"]]
    assert document["profile"]["columns"]["task_id"]["distinct"] == 1759
    assert document["profile"]["artifact"] == str(tracker.parquet)


def test_the_proposal_refers_to_the_profile_as_the_yaml_sees_it(mlpipe, tracker, tmp_path):
    reference, proposal = tmp_path / "profiles" / "tasks.json", tmp_path / "config" / "validation_config.yaml"
    files = ("--reference-out", reference, "--propose", proposal, "--dataset", "task_data", "--as-of", "2026-02-01")
    assert mlpipe("profile", tracker.parquet, *files).code == 0
    rules = YAML(typ="safe").load(proposal.read_text())["task_data"]
    assert rules["distribution"]["skill"]["reference"] == "../profiles/tasks.json"
    assert mlpipe("check", proposal).code == 0
    assert mlpipe("profile", tracker.parquet, *files).code == 0, "the same content again is fine"
    proposal.write_text("task_data: {allow_empty: true}\n")
    again = mlpipe("profile", tracker.parquet, *files)
    assert again.code == 2
    assert "the file exists and says something else" in again.err
    assert proposal.read_text() == "task_data: {allow_empty: true}\n"


def test_a_proposal_to_stdout_is_nothing_but_yaml(mlpipe, tracker):
    said = mlpipe("profile", tracker.parquet, "--propose", "-", "--dataset", "task_data")
    assert list(YAML(typ="safe").load(said.out)) == ["task_data"]
    assert "freshness: not proposed" in said.out


def test_sensitive_columns_tell_no_value_and_must_be_there(mlpipe, tracker):
    said = mlpipe("profile", tracker.parquet, "--sensitive", "assignee_id", "--json")
    assert "u_0001" not in said.out
    wrong = mlpipe("profile", tracker.parquet, "--sensitive", "asignee_id")
    assert (wrong.code, "no such column" in wrong.err) == (2, True)


def test_nothing_there_is_an_error(mlpipe, tmp_path):
    missing = mlpipe("profile", tmp_path / "none.parquet")
    assert missing.code in {2, 3}
    assert "no artifact at" in missing.err
