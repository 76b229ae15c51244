"""Names, selection, overriding: a plan holds what the selection needs, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.feature_extraction.catalog import DOMAINS
from airflow_provider_mlpipe.feature_extraction.plan import plan
from tests.feature_extraction.material import activity, bug, configured, done, extracted, rows, users


def names(**body):
    return [feature.name for feature in plan(configured(**body)).features]


def test_naming_rule():
    count = {"agg": "count"}
    pivot = {"column": "skill", "values": ["backend", "front end"]}
    assert names(
        aggregations={
            "a": count,
            "b": {**count, "windows": ["7d", "24h"]},
            "c": {**count, "pivot": pivot},
            "d": {**count, "pivot": pivot, "windows": ["7d", "30d"]},
        },
        aggregation_window="14d",
    ) == [
        "a_14d", "b_7d", "b_24h", "c_backend", "c_front_end",
        "d_backend_7d", "d_front_end_7d", "d_backend_30d", "d_front_end_30d",
    ]  # fmt: skip


def test_nothing_selected_means_the_catalog_or_what_is_declared():
    assert names() == [
        "tasks_completed_7d", "skill_score_backend", "skill_score_frontend", "skill_score_database",
        "skill_score_devops", "current_workload_hours", "avg_completion_hours", "bug_rate", "active_days",
        "tasks_completed_per_week",
    ]  # fmt: skip
    assert names(derived={"x": "bug_rate * 2"}) == ["x"]


def test_only_what_the_selection_needs_is_computed():
    spec = plan(configured(features=["tasks_completed_7d"]))
    assert [cell.agg for cell in spec.cells.values()] == ["count"]
    assert not spec.derived
    assert {(need.role, need.column) for need in spec.needs} == {("activity", "event_type")}
    score = plan(configured(features=["skill_score_backend"]))
    assert len(score.cells) == 2


def test_a_number_that_several_features_need_is_computed_once():
    same = {"agg": "count", "where": "event_type = 'task_completed'", "windows": ["7d"]}
    spec = plan(
        configured(
            aggregations={"mine": same, "twin": same}, derived={"ratio": "mine / twin"}, features=["ratio", "mine_7d"]
        )
    )
    assert len(spec.cells) == 1


def test_tasks_completed_7d_is_7_days_whatever_the_window(root):
    table = activity(*(done("ann", timedelta(days=day, hours=-1)) for day in range(1, 31)))
    found = extracted(
        root, users("ann"), table, aggregation_window="30d", features=["tasks_completed_7d", "current_workload_hours"]
    )
    assert rows(found) == {"ann": (7, 30.0)}


def test_a_user_overrides_and_extends_the_catalog(root):
    table = activity(done("ann", timedelta(hours=1)), bug("ann", timedelta(hours=2)), bug("ann", timedelta(hours=3)))
    found = extracted(
        root, users("ann"), table,
        # A block of the catalog's bug_rate: declaring one's own must not change bug_rate.
        aggregations={"window_bugs": {"agg": "count", "where": "event_type = 'no such event'"}},
        derived={"active_days": "window_bugs + 100", "bug_rate": "bug_rate * 10", "plain": "avg_completion_hours"},
        features=["bug_rate", "active_days", "plain", "window_bugs_7d", "skill_score_backend"],
    )  # fmt: skip
    assert rows(found) == {"ann": (20.0, 100.0, 1.0, 0, pytest.approx(1 / 6 * 1 / 3))}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"features": ["skill_score_backnd"]},
            "feature config: no feature named 'skill_score_backnd'. Did you mean 'skill_score_backend'?",
        ),
        ({"features": ["bug_rate", "bug_rate"]}, "features: 'bug_rate' is selected twice"),
        ({"derived": {"a": "b", "b": "c + 1", "c": "a"}}, "derived.a: refers to itself: a -> b -> c -> a"),
        ({"derived": {"a": "a + 1"}}, "derived.a: refers to itself: a -> a"),
        ({"derived": {"user_id": "1"}}, "derived.user_id: this name is taken by a column of every set"),
        ({"derived": {"event_timestamp": "1"}}, "this name is taken by a column of every set"),
        ({"derived": {"9lives": "1"}}, "derived.9lives: not a feature name"),
        (
            {"aggregations": {"a": {"agg": "count"}}, "derived": {"A_7d": "1"}},
            "derived.A_7d: a feature of this name is declared at",
        ),
        (
            {"aggregations": {"a": {"agg": "count", "pivot": {"column": "skill", "values": ["x y", "x-y"]}}}},
            "aggregations.a_x_y: a feature of this name is declared at",
        ),
        ({"aggregations": {"a": {"agg": "count", "windows": ["0d"]}}}, "a window must be longer than zero, got 0d"),
        ({"columns": {"activty": {"a": "b"}}}, "no input named 'activty'. Did you mean 'activity'?"),
        ({"entity": "user"}, "no entity named 'user'. Did you mean 'user_id'? Known: "),
    ],
)
def test_what_cannot_be_is_refused(body, message):
    with pytest.raises(ConfigError) as caught:
        plan(configured(**body))
    assert message in str(caught.value)


def test_messages_name_file_and_line(tmp_path):
    path = tmp_path / "features.yaml"
    path.write_text("user_features:\n  features:\n    - bug_rate\n    - bugrate\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{path}:4: no feature named 'bugrate'. Did you mean 'bug_rate'"):
        plan(feature_set(path, "user_features"))


def test_a_set_of_another_name_gives_its_entity():
    spec = plan(configured("churn", entity="user_id", features=["bug_rate"]))
    assert (spec.name, spec.domain.entity) == ("churn", "user_id")


def test_the_spec_hash_follows_the_meaning_not_the_writing():
    def spec_hash(**body):
        return plan(configured(**body)).spec_hash

    base = spec_hash(derived={"x": "bug_rate + 1"})
    assert spec_hash(derived={"x": "(bug_rate  + 1)"}) == base
    assert spec_hash(derived={"x": "bug_rate + 2"}) != base
    assert spec_hash(derived={"x": "bug_rate + 1"}, delay="1h") != base
    assert spec_hash(derived={"x": "bug_rate + 1"}, aggregation_window="8d") != base
    assert spec_hash(derived={"x": "bug_rate + 1"}, columns={"activity": {"hours": "amount"}}) != base
    assert spec_hash(derived={"x": "bug_rate + 1"}, normalize=True) == base


@pytest.mark.parametrize("entity", DOMAINS)
def test_every_feature_of_the_catalog_is_documented(entity):
    name = f"{entity.removesuffix('_id')}_features"
    spec = plan(configured(name, features=[*DOMAINS[entity].derived]))
    for feature in (*spec.features, *plan(configured(name)).features):
        meaning = feature.meaning
        assert all((meaning.description, meaning.unit, meaning.range, meaning.formula, meaning.source)), feature.name
