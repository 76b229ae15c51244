"""docs/how-to/features.md is true: its YAML plans, its function runs, its commands are there, its table is complete."""

from __future__ import annotations

import re
import sys
import types
from typing import get_args

import ibis
import pytest
from ruamel.yaml import YAML

from airflow_provider_mlpipe.cli.application import command_line
from airflow_provider_mlpipe.config import FeatureSet, feature_set
from airflow_provider_mlpipe.config.features import AggregationName
from airflow_provider_mlpipe.feature_extraction.expression import FUNCTIONS
from airflow_provider_mlpipe.feature_extraction.plan import ZERO_WITHOUT_EVENTS, plan
from tests.docs.howto import blocks, page

PAGE = page("features")


@pytest.fixture
def my_project(monkeypatch):
    """The page's function, where the page's YAML looks for it."""
    (text,) = blocks(PAGE, "python")
    module = types.ModuleType("my_project.features")
    module.__dict__["__name__"] = "my_project.features"
    exec(compile(text, "my_project/features.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "my_project", types.ModuleType("my_project"))
    monkeypatch.setitem(sys.modules, "my_project.features", module)
    return module


@pytest.mark.parametrize("block", blocks(PAGE, "yaml"), ids=lambda block: block.split("\n")[1].strip())
def test_the_examples_plan(block, tmp_path, my_project):
    path = tmp_path / "feature_config.yaml"
    path.write_text(block, encoding="utf-8")
    (name,) = YAML(typ="safe").load(block)
    assert plan(feature_set(path, name)).features


def test_the_function_runs(my_project):
    activity = ibis.memtable({"user_id": ["a", "a", "a"], "skill": ["x", "y", "x"], "hours": [1.0, 2.0, 3.0]})
    found = my_project.deepest_skill_hours({"activity": activity}, None)
    assert ibis.duckdb.connect().execute(found)["deepest_skill_hours"].tolist() == [4.0]


def test_the_commands_run(capsys):
    for line in blocks(PAGE, "console")[0].splitlines():
        assert command_line(line.removeprefix("$ mlpipe ").split("#")[0].split()) == 0
    assert "bug_rate" in capsys.readouterr().out


def test_the_table_of_aggregations_is_complete():
    table = {
        name: row[1] == "0" for row in re.findall(r"^\| (`.*?) \| .* \| (0|null) \|$", PAGE, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row[0])
    }  # fmt: skip
    assert set(table) == set(get_args(AggregationName))
    assert {name for name, zero in table.items() if zero} == set(ZERO_WITHOUT_EVENTS)


def test_every_key_and_function_is_told_of():
    told = {key for block in blocks(PAGE, "yaml") for body in YAML(typ="safe").load(block).values() for key in body}
    told |= set(re.findall(r"`(\w+)(?:: [^`]*)?`", PAGE))
    elsewhere = {"engine", "cache", "normalize", "handle_missing", "feast"}
    assert set(FeatureSet.model_fields) - told - elsewhere == set()
    assert all(name in PAGE for name in FUNCTIONS)
