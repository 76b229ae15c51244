"""`mlpipe check`: the kind by content, what is in it, all that is wrong with it."""

from __future__ import annotations

import pytest

from tests.cli.terminal import CONFIG


@pytest.fixture
def file(tmp_path):
    def write(text, name="some.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_example_files_are_good(mlpipe):
    files = sorted(CONFIG.glob("*.yaml"))
    answer = mlpipe("check", *files, "--json")
    assert answer.code == 0
    found = {item["file"]: item for item in answer.document["files"]}
    assert answer.document["ok"] is True
    assert [found[str(path)]["kind"] for path in files] == ["features", "ingestion", "validation"]
    names = [holding["name"] for holding in found[str(CONFIG / "ingestion_config.yaml")]["holdings"]]
    assert names == [
        "user_data", "activity_data", "task_data", "task_outcomes",
        "project_data", "team_data", "project_tasks", "project_activity", "activity_files",
    ]  # fmt: skip


def test_people_see_what_each_holds_and_where(mlpipe):
    path = CONFIG / "validation_config.yaml"
    answer = mlpipe("check", path)
    assert answer.code == 0
    assert f"{path}: validation" in answer.out
    assert "10 rules: 8 ERROR, 2 WARNING" in answer.out


def test_all_problems_of_all_files_are_told_with_their_lines(mlpipe, file):
    rules = file(
        "user_data:\n  requird_columns: [a]\n  range_constraints: {a: [1]}\nother:\n  fresh: 3\n  required_columns: [x]\n",
        "v.yaml",
    )
    sources = file("sources:\n  a: {type: databse}\n  b: {type: file, path: x, batch_size: -1}\n", "i.yaml")
    answer = mlpipe("check", rules, sources, "--json")
    assert answer.code == 2
    first, second = answer.document["files"]
    assert len(first["problems"]) == 2 or len(first["problems"]) == 3
    assert any(problem.startswith(f"{rules}:2: unknown key 'requird_columns'") for problem in first["problems"])
    assert any(problem.startswith(f"{rules}:5: unknown key 'fresh'") for problem in first["problems"])
    assert [problem.split(": ")[0] for problem in second["problems"]] == [f"{sources}:2", f"{sources}:3"]


def test_an_absent_variable_is_a_note_and_its_value_is_never_shown(mlpipe, file, monkeypatch):
    path = file(
        'sources:\n  t: {type: api, url: "http://x", headers: {Authorization: "Bearer ${TOKEN_A}", X-B: "${TOKEN_B}"}}\n'
    )
    monkeypatch.delenv("TOKEN_A", raising=False)
    monkeypatch.setenv("TOKEN_B", "hunter2")
    answer = mlpipe("check", path)
    assert answer.code == 0
    assert f"{path}:2: sources.t.headers.Authorization needs the environment variable TOKEN_A" in answer.out
    assert "hunter2" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("type: file\npath: x.csv\n", "ingestion"),
        ("feature_store: {project: p}\n", "features"),
        ("user_features: {derived: {a: b}}\n", "features"),
        ("x: {allow_empty: true}\n", "validation"),
    ],
)
def test_the_kind_is_told_from_the_content(mlpipe, file, text, kind):
    answer = mlpipe("check", file(text), "--json")
    assert (answer.code, answer.document["files"][0]["kind"]) == (0, kind)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n", "cannot tell what kind of configuration this is"),
        ("", "the top must be a mapping of names, it is empty"),
        ("sources: [\n", "not YAML"),
        ("sources: 3\n", "dictionary"),
        ("sources: {a: {type: file, path: x}}\nfoo: 1\n", "unknown key 'foo'"),
    ],
)
def test_what_is_no_configuration_says_why(mlpipe, file, text, problem):
    answer = mlpipe("check", file(text), "--json")
    assert answer.code == 2
    assert problem in " ".join(answer.document["files"][0]["problems"])


def test_a_missing_file_is_one_problem_and_the_others_are_still_read(mlpipe, tmp_path):
    answer = mlpipe("check", tmp_path / "no.yaml", CONFIG / "feature_config.yaml", "--json")
    assert answer.code == 2
    missing, good = answer.document["files"]
    assert "no such file" in missing["problems"][0]
    assert good["problems"] == []
