"""docs/how-to/profiles-and-drift.md is true: its commands run, its YAML loads, its excerpt is what is proposed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from ruamel.yaml import YAML

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.cli.application import command_line
from airflow_provider_mlpipe.config import Distribution
from tests.docs.howto import blocks, page

PAGE = page("profiles-and-drift")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder in which the page's commands have run."""
    folder = tmp_path_factory.mktemp("profiles")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (block,) = blocks(PAGE, "console")
        for line in block.splitlines():
            assert command_line(line.removeprefix("$ mlpipe ").split()) == 0, line
    return folder


def test_the_proposal_is_what_the_page_shows(workplace):
    lines = (workplace / "validation_config.yaml").read_text().splitlines()
    shown = blocks(PAGE, "yaml")[0].splitlines()
    assert [line for line in shown if line not in lines] == []


def test_the_drift_rules_are_configuration_and_find_their_references(workplace, monkeypatch):
    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.run import instant
    from airflow_provider_mlpipe.validation import validate

    path = workplace / "drift.yaml"
    path.write_text(blocks(PAGE, "yaml")[1])
    monkeypatch.chdir(workplace)
    (folder,) = Path("artifacts/task_data/external").iterdir()
    rules = config.dataset_rules(path, "task_data")
    verdict = validate(Artifact.open(str(folder)), rules, as_of=instant("2026-02-01"))
    drifts = {result.columns[0]: result for result in verdict.results if result.kind == "drift"}
    assert drifts["skill"].observed == drifts["estimated_hours"].observed == 0
    assert set(drifts) == set(YAML(typ="safe").load(blocks(PAGE, "yaml")[1])["task_data"]["distribution"])


def test_methods_and_defaults_are_those_of_the_page():
    methods = re.findall(r"^\| `(psi|js|ks)`", PAGE, flags=re.MULTILINE)
    assert sorted(methods) == sorted(get_args(Distribution.model_fields["method"].annotation))
    assert f"default `threshold` is {Distribution.model_fields['threshold'].default}" in PAGE
    assert f"`min_rows` ({Distribution.model_fields['min_rows'].default} unless set)" in PAGE
