"""docs/how-to/validation.md is true: its YAML loads and becomes rules, and it names what there is."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from ruamel.yaml import YAML

from airflow_provider_mlpipe.config import DatasetRules, dataset_rules
from airflow_provider_mlpipe.validation.row_expression import ALLOWED
from airflow_provider_mlpipe.validation.rules import rules_of
from tests.docs.howto import blocks, page

PAGE = page("validation")
BLOCKS = blocks(PAGE, "yaml")
AS_OF = datetime(2026, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[1].strip())
def test_the_examples_are_rules(block, tmp_path):
    path = tmp_path / "validation_config.yaml"
    path.write_text(block)
    (dataset,) = YAML(typ="safe").load(block)
    assert len(rules_of(dataset_rules(path, dataset), AS_OF)) > 2


def test_every_key_of_a_dataset_is_told_of():
    told = {key for block in BLOCKS for rules in YAML(typ="safe").load(block).values() for key in rules}
    told |= set(re.findall(r"`(\w+)(?:: \w+)?`", PAGE))
    known = {info.alias or name for name, info in DatasetRules.model_fields.items()}
    elsewhere = {"expectations", "engine", "max_quarantine_share", "sensitive"}
    assert known - told - elsewhere == set()


def test_the_functions_of_row_rules_are_those_that_are_allowed():
    listed = re.search(r"and the functions (.+?)\. Text stands", PAGE, flags=re.DOTALL)
    assert listed is not None
    told = set(re.split(r",\s+|\s+and\s+", listed[1]))
    assert told == set(ALLOWED.partition("extract, ")[2].split(", "))
