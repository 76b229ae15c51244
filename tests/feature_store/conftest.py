"""Fixtures that several files of this folder share."""

from __future__ import annotations

import pytest

from airflow_provider_mlpipe.artifacts import Storage
from tests.feature_store.training_sets import feature_history


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A root with a history of features; tests only add training sets of their own names."""
    root = Storage(str(tmp_path_factory.mktemp("root")))
    feature_history(root)
    return root
