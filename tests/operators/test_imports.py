"""Parsing a Dag stays cheap: nothing heavy comes along with the operators, and the stages know no Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.operators.home import REPOSITORY, environment, python

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"boto3", "duckdb", "fastapi", "feast", "great_expectations", "ibis", "pandas", "pyarrow"}
OPERATORS = ["assets", "base", "extract", "feast_apply", "feast_base", "feast_push", "ingest", "job", "materialize", "pipelines",
             "pulse", "retrying", "stopping", "telemetry", "training_set", "validate", "waiting"]  # fmt: skip
STAGES = ["artifacts", "config", "engines", "errors", "feature_extraction", "feature_store", "ingestion",
          "observability", "reporting", "run", "validation"]  # fmt: skip


def loaded(code: str, home: Path) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after `code`, which must not warn."""
    show = "import sys, json; print('LOADED', json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    done = python("-W", "error", "-c", f"{code}\n{show}", env=environment(home))
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.rpartition("LOADED ")[2]))


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The heavy packages that Airflow itself brings to every Dag file. They are not ours to answer for."""
    home = tmp_path_factory.mktemp("home")
    return loaded("from airflow.sdk import DAG, BaseOperator", home) & HEAVY


def test_the_operators_bring_nothing_heavy(baseline: set[str], tmp_path: Path) -> None:
    modules = "\n".join(f"import airflow_provider_mlpipe.operators.{name}" for name in OPERATORS)
    more = "from airflow_provider_mlpipe.decorators import *\nfrom airflow_provider_mlpipe.sensors import *\nfrom airflow_provider_mlpipe.triggers import *\nimport airflow_provider_mlpipe.hooks.feast"
    more += "\nimport airflow_provider_mlpipe.links.report\nimport airflow_provider_mlpipe.plugins.report"
    more += "\nfrom airflow_provider_mlpipe.lineage import *\nfrom airflow_provider_mlpipe.notifications import *"
    code = f"from airflow_provider_mlpipe.operators import *\n{modules}\n{more}"

    assert loaded(code, tmp_path) & HEAVY == baseline


@pytest.mark.parametrize(("file", "provider"), [("kafka_event_driven", "kafka"), ("spark_features_submitted", "spark")])
def test_a_dag_file_whose_provider_is_absent_imports_all_the_same(file: str, provider: str, tmp_path: Path) -> None:
    path = REPOSITORY / "dags" / f"{file}.py"
    code = f"""
import runpy, sys
from airflow.sdk import DAG

sys.modules["airflow.providers.apache.{provider}"] = None  # what importing it finds
told = [value.description for value in runpy.run_path({str(path)!r}).values() if isinstance(value, DAG)]
# Messages can be read by hand; nothing can be submitted.
assert {provider!r} == "spark" or "apache-airflow-providers-apache-kafka is not installed" in told[0]
assert len(told) == ({provider!r} == "kafka")
"""

    assert "airflow_provider_mlpipe" in loaded(code, tmp_path)


def test_parsing_a_dag_reads_no_file_and_looks_nothing_up(tmp_path: Path) -> None:
    # Neither the YAML nor the connection exists, and any look at [mlpipe] or a connection would raise.
    code = """
from airflow.sdk import DAG
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.configuration import conf

def refuse(*arguments, **options):
    raise AssertionError(f"looked up at parse time: {arguments}")

def given(artifact):
    refuse(artifact)

BaseHook.get_connection = refuse
get = conf.get
conf.get = lambda section, *rest, **options: refuse(section) if section == "mlpipe" else get(section, *rest, **options)

from airflow_provider_mlpipe.decorators import *
from airflow_provider_mlpipe.operators import *
from airflow_provider_mlpipe.sensors import *

with DAG("parse", schedule=None):
    raw = SourceIngestOperator(task_id="i", source="s", config="absent.yaml", conn_id="absent", artifact_conn_id="absent")
    valid = ValidateOperator(task_id="v", artifact=raw.output, config="absent.yaml", dataset="s")
    features = ExtractFeaturesOperator(task_id="e", feature_set="f", config="absent.yaml", inputs={"users": valid.output})
    feast = {"config": "absent.yaml", "feast_conn_id": "absent", "store": {"project": "p"}}
    FeastMaterializeOperator(task_id="m", artifact=features.output, **feast)
    FeastApplyOperator(task_id="a", artifact=features.output, **feast)
    FeastPushOperator(task_id="p", view="v", artifact=features.output, **feast)
    FeatureFreshnessSensor(task_id="f", view="v", max_age="1d", mode="reschedule", **feast)
    wait = {"source": "s", "config": "absent.yaml", "conn_id": "absent", "deferrable": True}
    NewObjectsSensor(task_id="o", **wait)
    NewRowsSensor(task_id="r", **wait)
    SourceIngestOperator(task_id="w", poke_interval=1, timeout=60, **wait)
    pipeline("user_features", {"users": "u", "activity": "a"}, ingestion="absent.yaml", features="absent.yaml")
    rows = mlpipe_ingest(config="absent.yaml", conn_id="absent")(refuse).override(task_id="rows")()
    rules = mlpipe_validate(given).override(task_id="rules")(rows)
    mlpipe_features(given).override(task_id="features")(rules)
"""
    assert "airflow_provider_mlpipe" in loaded(code, tmp_path)


def test_the_stages_know_no_airflow(tmp_path: Path) -> None:
    code = "\n".join(f"import airflow_provider_mlpipe.{stage}" for stage in STAGES)

    assert not loaded(code, tmp_path) & (HEAVY | {"airflow"})


def test_an_unknown_name_is_an_attribute_error() -> None:
    from airflow_provider_mlpipe import operators

    with pytest.raises(AttributeError, match="NoSuchOperator"):
        operators.NoSuchOperator  # noqa: B018
    assert set(operators.__all__) <= set(dir(operators))
