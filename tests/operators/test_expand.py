"""Every operator can be mapped over, has its arguments among the templates, and is serialized as Airflow does it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, TaskGroup
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_mlpipe import operators
from airflow_provider_mlpipe.operators import artifact_of

FEATURES = {"feature_set": "user_features", "config": "f.yaml"}
MAPPED: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {
    "SourceIngestOperator": ({"config": "i.yaml"}, {"source": ["users", "activity"]}),
    "ValidateOperator": ({"config": "v.yaml"}, {"artifact": ["/a", "/b"]}),
    "ExtractFeaturesOperator": ({**FEATURES, "inputs": {"users": "/a"}}, {"chunk": [{"index": 0, "of": 1}]}),
    "MergeFeaturesOperator": (FEATURES, {"chunks": [["/a", "/b"]]}),
    "FeastApplyOperator": ({}, {"artifact": ["/a", "/b"]}),
    "FeastMaterializeOperator": ({}, {"artifact": ["/a", "/b"]}),
    "FeastPushOperator": ({"view": "v"}, {"artifact": ["/a", "/b"]}),
    "FeastTrainingSetOperator": ({"features": "service"}, {"labels": ["/a", "/b"]}),
}
AT_PARSE = {"full_feature_names", "deferrable", "poke_interval", "timeout"}
"""Switches, and how a task waits."""


def classes() -> dict[str, Any]:
    return {name: getattr(operators, name) for name in operators.__all__ if name.endswith("Operator")}


def test_every_operator_can_be_mapped_over_in_a_group() -> None:
    assert set(MAPPED) == set(classes())
    with DAG("mapped", schedule=None) as dag, TaskGroup("all"):
        for name, kind in classes().items():
            given, over = MAPPED[name]
            kind.partial(task_id=name, **given).expand(**over)

    serialized = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert {task.task_id for task in serialized.tasks} == {f"all.{name}" for name in MAPPED}
    assert all(task.is_mapped for task in serialized.tasks)


@pytest.mark.parametrize("name", sorted(MAPPED))
def test_every_argument_is_a_template_and_has_a_renderer_that_exists(name: str) -> None:
    kind = classes()[name]
    own = {
        argument
        for parent in kind.__mro__
        if parent.__module__.startswith("airflow_provider_mlpipe")
        for argument in inspect.signature(inspect.unwrap(parent.__init__)).parameters
    } - {"self", "args", "kwargs"}

    assert own - AT_PARSE - set(kind.template_fields) == set()
    assert set(kind.template_fields_renderers) <= set(kind.template_fields)
    assert set(kind.template_fields_renderers.values()) <= {"json", "yaml"}


def test_an_artifact_of_an_asset_is_serialized_the_same_every_time() -> None:
    def page() -> Any:
        with DAG("downstream", schedule=[Asset("users")]) as dag:
            operators.ValidateOperator(
                task_id="check", config="v.yaml", artifact={"users": artifact_of(Asset("users"))}, dataset="d"
            )
        return DagSerialization.to_dict(dag)

    assert page() == page()
    assert "artifact_of(users)" in str(page())
