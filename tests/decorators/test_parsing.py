"""What a Dag file makes of decorators and `pipeline`, without running anything."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, XComArg, task, task_group

from airflow_provider_mlpipe import decorators
from airflow_provider_mlpipe.decorators import mlpipe_features, mlpipe_ingest, mlpipe_validate
from airflow_provider_mlpipe.decorators.calling import arguments, artifact_parameters, call
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.operators import ExtractFeaturesOperator, SourceIngestOperator, pipeline


def rows():
    return []


def rules(artifact: Any, most: int = 3) -> dict[str, Any]:
    return {}


def features(users: Any, activity: Any) -> dict[str, Any]:
    return {}


def after(dag: DAG) -> dict[str, set[str]]:
    return {item.task_id: set(item.upstream_task_ids) for item in dag.tasks}


@pytest.mark.parametrize("name", decorators.__all__)
def test_airflow_knows_the_decorators_by_name(name: str) -> None:
    assert getattr(task, name).__name__ == name
    assert getattr(decorators, name).__name__ == name
    assert name in dir(decorators)
    with pytest.raises(AttributeError, match="mlpipe_all"):
        decorators.mlpipe_all  # noqa: B018


def test_a_call_is_a_task_and_its_arguments_are_what_it_comes_after() -> None:
    with DAG("d", schedule=None) as dag:
        raw = mlpipe_ingest(rows)()
        again = mlpipe_ingest(rows, retries=5).override(task_id="other", source="more")()
        checked = mlpipe_validate(dataset="people")(rules)(raw, most=4)
        many = mlpipe_validate(rules).override(task_id="many").partial(most=1).expand(artifact=[raw, again])
        mlpipe_features(features)(users=checked, activity=many)

    assert after(dag) == {
        "rows": set(), "other": set(), "rules": {"rows"}, "many": {"rows", "other"}, "features": {"rules", "many"},
    }  # fmt: skip
    assert isinstance(checked, XComArg)
    assert [dag.get_task(name).source for name in ("rows", "other")] == ["rows", "more"]
    assert dag.get_task("other").retries == 5
    assert dag.get_task("rules").dataset == "people"
    assert dag.get_task("features").feature_set == "features"
    # A function annotated to return a mapping does not make Airflow unpack the address that the task returns.
    assert not dag.get_task("rules").multiple_outputs


def test_arguments_and_the_operators_own_are_templates() -> None:
    with DAG("d", schedule=None) as dag:
        mlpipe_ingest(config={"max_error_rate": 0.1})(rows)()
        mlpipe_validate(rules)("{{ ds }}")
        mlpipe_features(features)("a", "b")

    assert {"op_args", "op_kwargs", "config", "as_of", "artifact_root"} <= set(dag.get_task("rows").template_fields)
    assert {"op_args", "related", "fail_task"} <= set(dag.get_task("rules").template_fields)
    assert {"op_kwargs", "inputs", "chunk"} <= set(dag.get_task("features").template_fields)
    judged = dag.get_task("rules")
    judged.render_template_fields({"ds": "2026-01-14"})
    assert list(judged.op_args) == ["2026-01-14"]


async def later():
    return []


async def later_rows():
    yield {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: mlpipe_ingest(later), "write def, not async def"),
        (lambda: mlpipe_ingest(source="s")(later_rows), "write def, not async def"),
        (
            lambda: mlpipe_validate(rows),
            r"test_parsing.py:\d+: @task.mlpipe_validate needs a parameter without a default",
        ),
        (lambda: mlpipe_features(rows), "needs a parameter without a default"),
        (lambda: mlpipe_ingest(multiple_outputs=True)(rows), "leave multiple_outputs out"),
        (lambda: mlpipe_ingest("orders"), "takes its options by name"),
    ],
)
def test_a_function_of_no_use_is_refused_when_the_dag_is_parsed(make: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        make()


def test_parameters_without_a_default_take_artifacts() -> None:
    def function(users, activity, window="7d", *more, teams, data_interval_end, limit=1, **rest):
        return users, activity, window, teams, data_interval_end, limit

    assert artifact_parameters(function) == ("users", "activity", "teams")
    given: Any = (("u", "a"), {"teams": ["t1", "t2"], "limit": 2})
    assert arguments(function, *given) == {"users": "u", "activity": "a", "teams": ["t1", "t2"]}
    opened = {"users": "U", "activity": "A", "teams": "T"}
    context: Any = {"data_interval_end": "end", "ds": "day"}
    assert call(function, *given, context, opened) == ("U", "A", "7d", "T", "end", 2)
    with pytest.raises(ConfigError, match="give a plain value a default"):
        arguments(function, (3, "a"), {})


ROLES = {"users": "user_data", "activity": "activity_data"}


def test_a_pipeline_is_the_whole_chain() -> None:
    with DAG("d", schedule=None) as dag:
        made = pipeline("user_features", ROLES, retries=4, artifact_root="s3://lake/x", validate={"fail_task": False})

    group = {name.removeprefix("user_features."): upstream for name, upstream in after(dag).items()}
    assert group == {
        "ingest_users": set(),
        "validate_users": {"user_features.ingest_users"},
        "ingest_activity": set(),
        "validate_activity": {"user_features.ingest_activity"},
        "extract": {"user_features.validate_users", "user_features.validate_activity"},
        "materialize": {"user_features.extract"},
    }
    assert {(item.retries, item.artifact_root) for item in dag.tasks} == {(4, "s3://lake/x")}
    assert dag.get_task("user_features.validate_users").dataset == "user_data"
    assert dag.get_task("user_features.validate_users").fail_task is False
    assert made.output.operator.task_id == "user_features.materialize"
    assert made.features.operator.task_id == "user_features.extract"


def test_inputs_are_sources_arguments_or_artifacts() -> None:
    tracker = {"source": "user_data", "conn_id": "tracker", "dataset": "crew", "rules": "people"}
    with DAG("d", schedule=None) as dag:
        activity = mlpipe_ingest(rows)()
        made = pipeline(
            "user_features", {"users": tracker, "activity": activity}, validation="rules.yaml", online=False
        )

    assert set(after(dag)) == {
        "rows", "user_features.ingest_users", "user_features.validate_users", "user_features.extract",
    }  # fmt: skip
    assert dag.get_task("user_features.ingest_users").conn_id == "tracker"
    checked = dag.get_task("user_features.validate_users")
    assert (checked.dataset, checked.config) == ("people", "rules.yaml")
    assert made.output is made.features
    assert made.inputs["activity"] is activity


def test_rules_refer_to_other_roles_by_the_names_that_they_give_them() -> None:
    activity = {"source": "activity_data", "related": {"user_data": "users"}}
    with DAG("d", schedule=None) as dag:
        crew = SourceIngestOperator(task_id="crew", source="crew", config={})
        pipeline("user_features", {"users": crew, "activity": activity})  # a task stands for its output

        assert set(dag.get_task("user_features.validate_activity").related) == {"user_data"}
        assert after(dag)["user_features.validate_activity"] == {"user_features.ingest_activity", "crew"}
        with pytest.raises(ConfigError, match="related names 'users', which is no role, or one that stands after it"):
            pipeline("more", {"activity": {**activity, "dataset": "again"}, "users": crew})


def test_two_roles_of_one_pipeline_need_two_sources() -> None:
    with DAG("d", schedule=None), pytest.raises(ConfigError, match="ingest_users writes 'user_data' in the same run"):
        pipeline("user_features", {"users": "user_data", "activity": "user_data"})


def test_without_validation_the_raw_artifact_goes_on() -> None:
    with DAG("d", schedule=None) as dag:
        pipeline("user_features", ROLES, validation=None, online={"store": {"project": "p"}})

    assert after(dag)["user_features.extract"] == {"user_features.ingest_users", "user_features.ingest_activity"}
    assert dag.get_task("user_features.materialize").store == {"project": "p"}


def test_two_pipelines_share_inputs_in_groups_of_their_own() -> None:
    with DAG("d", schedule=None) as dag:
        first = pipeline("user_features", ROLES)

        @task_group
        def more() -> None:
            pipeline("team_features", {**first.inputs, "teams": "team_data"}, group_id="teams")

        first >> more()

    names = after(dag)
    assert names["more.teams.extract"] == {
        "user_features.validate_users", "user_features.validate_activity", "more.teams.validate_teams",
    }  # fmt: skip
    assert "user_features.materialize" in names["more.teams.ingest_teams"]


@pytest.mark.parametrize("apart", [{}, {"artifact_root": "/elsewhere"}])
def test_two_tasks_of_one_run_must_not_write_one_place(apart: dict[str, str]) -> None:
    with DAG("d", schedule=None) as dag:
        pipeline("user_features", ROLES)
        if apart:
            pipeline("user_features", ROLES, **apart)  # a group of its own, too
            assert "user_features__1.materialize" in dag.task_ids
            return
        with pytest.raises(ConfigError, match="user_features.ingest_users writes 'user_data' in the same run") as said:
            pipeline("team_features", ROLES)
        assert "inputs={**other.inputs, ...}" in str(said.value)


def test_the_same_set_twice_is_refused_but_for_a_history() -> None:
    month = {"start": "2026-01-01", "end": "2026-02-01"}
    with DAG("d", schedule=None):
        first = pipeline("user_features", ROLES, online=False)
        pipeline("user_features", first.inputs, extract={"as_of": month}, online=False)
        with pytest.raises(ConfigError, match="writes 'user_features' in the same run"):
            pipeline("user_features", first.inputs)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({}, "inputs: there is none"), ({"users": 3}, r"inputs\['users'\]"), ({"users": {"conn_id": "c"}}, "users")],
)
def test_an_input_that_is_none_is_refused(inputs: Any, said: str) -> None:
    with DAG("d", schedule=None), pytest.raises(ConfigError, match=said):
        pipeline("user_features", inputs)


def test_a_pipeline_survives_airflows_serialization() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("d", schedule=None) as dag:
        first = pipeline("user_features", ROLES)
        first >> SourceIngestOperator(task_id="after", source="s", config={})
        ExtractFeaturesOperator(task_id="more", feature_set="f", config={}, inputs={"users": first.inputs["users"]})

    again = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert {item.task_id: set(item.upstream_task_ids) for item in again.tasks} == after(dag)
    assert "user_features" in again.task_group.children
