"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "validation.wording",
    "validation.samples",
    "validation.references",
    "reporting.markup",
    "reporting.figures",
    "validation.measures",
    "validation.documents",
    "validation.rules.bounds",
    "validation.rules.plain",
    "validation.rules.table",
    "validation.gx.aggregates",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    outcome = doctest.testmod(importlib.import_module(f"airflow_provider_mlpipe.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
