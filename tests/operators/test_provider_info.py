"""The provider's metadata: one wrong key and every `airflow` command fails, so it is held against Airflow's schema."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from airflow_provider_mlpipe.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from tests.operators.home import Airflow


def test_airflow_accepts_it() -> None:
    import airflow

    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_what_it_names_exists() -> None:
    for group in get_provider_info()["operators"]:
        for module in group["python-modules"]:
            operators = [name for name in importlib.import_module(module).__all__ if name.endswith("Operator")]
            assert operators, f"{module} has no operator"


def test_it_names_all_that_authors_import() -> None:
    from airflow_provider_mlpipe import operators, sensors

    info = get_provider_info()
    for key, room in (("operators", operators), ("sensors", sensors)):
        named = {name for group in info[key] for name in group["python-modules"]}
        assert {getattr(room, name).__module__ for name in room.__all__ if name[0].isupper()} <= named
    for name in info["extra-links"]:
        module, _, kind = name.rpartition(".")
        assert getattr(importlib.import_module(module), kind).name


def test_the_entry_point_leads_to_it() -> None:
    (entry,) = [e for e in entry_points(group="apache_airflow_provider") if "mlpipe" in e.value]

    assert entry.load() is get_provider_info


@pytest.mark.airflow
def test_airflow_lists_the_provider_and_knows_its_configuration(airflow: Airflow) -> None:
    providers = airflow.command("providers", "list", "--output", "json")
    root = airflow.command("config", "get-value", "mlpipe", "artifact_root")
    limit = airflow.with_env(AIRFLOW__MLPIPE__MEMORY_LIMIT="3GB").command(
        "config", "get-value", "mlpipe", "memory_limit"
    )

    assert providers.returncode == 0, providers.stderr
    assert "airflow-provider-mlpipe" in {p["package_name"] for p in json.loads(providers.stdout)}
    assert root.stdout.strip() == str(airflow.artifacts)
    assert limit.stdout.strip() == "3GB"
