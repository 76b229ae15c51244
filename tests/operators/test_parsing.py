"""What parsing a Dag of all our operators costs beyond Airflow's own: our modules, and nothing done.

Counted in a process of its own by Python's audit events, which no library gets around: files opened, folders listed,
addresses looked up, connections and processes started.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.operators.home import environment, python

CHILD = """
import json, sys, sysconfig

from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, task
from airflow.providers.common.compat.sdk import BaseNotifier, TaskGroup, XComArg

with DAG("plain", schedule=None):  # what comes with any Dag is here before anything counts
    first = BaseOperator(task_id="first")
    first >> BaseSensorOperator(task_id="second")

done, before = [], set(sys.modules)
CODE = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")})
WATCHED = ("open", "os.listdir", "os.scandir", "socket.", "sqlite3.", "subprocess.", "os.system", "os.exec", "os.fork")

def audit(event, arguments):
    if event.startswith(WATCHED):
        subject = str(arguments[0]) if arguments else ""
        ours = __file_of_package__ in subject
        # Importing reads Python's files and lists their folders.
        importing = ours or subject.startswith(CODE) or "__editable__" in subject
        if not (event in {"open", "os.listdir", "os.scandir"} and importing and not subject.endswith((".yaml", ".json"))):
            done.append([event, subject])

sys.addaudithook(audit)

from airflow_provider_mlpipe.decorators import mlpipe_features, mlpipe_ingest, mlpipe_validate
from airflow_provider_mlpipe.notifications import MlpipeNotifier
from airflow_provider_mlpipe.operators import *
from airflow_provider_mlpipe.sensors import *

with DAG("ours", schedule=None, on_failure_callback=MlpipeNotifier()) as dag:
    files = {"config": "absent.yaml", "artifact_conn_id": "absent", "artifact_root": "s3://absent/place"}
    feast = {**files, "feast_conn_id": "absent", "store": {"project": "p"}}
    raw = SourceIngestOperator(task_id="ingest", source="s", conn_id="absent", deferrable=True, **files)
    valid = ValidateOperator(task_id="validate", artifact=raw.output, dataset="s", **files)
    features = ExtractFeaturesOperator(task_id="extract", feature_set="f", inputs={"users": valid.output}, **files)
    parts = ExtractFeaturesOperator.partial(
        task_id="parts", feature_set="f", inputs={"users": valid.output}, **files
    ).expand(chunk=[{"index": n, "of": 4} for n in range(4)])
    MergeFeaturesOperator(task_id="merge", feature_set="f", chunks=parts.output, **files)
    FeastMaterializeOperator(task_id="materialize", artifact=features.output, **feast)
    FeastApplyOperator(task_id="apply", artifact=features.output, **feast)
    FeastPushOperator(task_id="push", view="v", artifact=features.output, **feast)
    FeastTrainingSetOperator(task_id="train", labels=raw.output, features="service", **feast)
    FeatureFreshnessSensor(task_id="fresh", view="v", max_age="1d", **feast)
    NewObjectsSensor(task_id="objects", source="s", deferrable=True, conn_id="absent", parameters={}, **files)
    NewRowsSensor(task_id="rows", source="s", dataset="d", transient_retries=3, **files)
    pipeline("f", {"users": "u", "activity": "a"}, ingestion="absent.yaml", validation="absent.yaml")

    @mlpipe_ingest
    def rows():
        return []

    @mlpipe_validate
    def judged(rows):
        return {}

    @mlpipe_features
    def computed(users):
        return {}

    computed(judged(rows()))

print("FOUND", json.dumps({
    "done": done, "modules": sorted(set(sys.modules) - before), "kinds": sorted({t.task_type for t in dag.tasks}),
}))
"""


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was done while the Dag was made, and which modules came with it."""
    import airflow_provider_mlpipe

    package = json.dumps(str(airflow_provider_mlpipe.__path__[0]))
    code = CHILD.replace("__file_of_package__", package)
    done = python("-W", "error", "-c", code, env=environment(tmp_path_factory.mktemp("home")))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition("FOUND ")[2])
    return found


def test_nothing_is_read_and_nobody_is_asked(parsed: dict[str, Any]) -> None:
    assert parsed["done"] == []


def test_every_operator_and_sensor_was_parsed(parsed: dict[str, Any]) -> None:
    from airflow_provider_mlpipe import operators, sensors

    public = {name for room in (operators, sensors) for name in room.__all__ if name[0].isupper()}
    assert public <= set(parsed["kinds"])


def test_what_is_imported_is_ours_or_airflows(parsed: dict[str, Any], record_property: Any) -> None:
    """No library comes along, and few of our own modules: those that say what a task is, none that does it."""
    import sys

    ours = [name for name in parsed["modules"] if name.startswith("airflow_provider_mlpipe.")]
    stages = (
        "ingestion.",
        "validation.",
        "feature_extraction.",
        "feature_store.",
        "engines.",
        "artifacts.",
        "reporting.",
    )
    record_property("modules of ours", len(ours))

    assert not [name for name in ours if name.removeprefix("airflow_provider_mlpipe.").startswith(stages)]
    foreign = {name.partition(".")[0] for name in parsed["modules"]} - set(sys.stdlib_module_names)
    assert foreign <= {"airflow", "airflow_provider_mlpipe"}
