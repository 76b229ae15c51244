"""Functions of users: what they see, what becomes of what they return, and what they are told when they are wrong."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import pytest

from airflow_provider_mlpipe.config import feature_set
from airflow_provider_mlpipe.errors import ConfigError, FeatureError
from airflow_provider_mlpipe.feature_extraction import Moments, extract, merge_chunks
from airflow_provider_mlpipe.feature_extraction.chunks import Chunk
from airflow_provider_mlpipe.feature_extraction.compile import own
from airflow_provider_mlpipe.feature_extraction.lineage import Edge, lineage
from airflow_provider_mlpipe.feature_extraction.plan import plan
from tests.feature_extraction import own_features
from tests.feature_extraction.material import (
    AS_OF,
    activity,
    configured,
    day,
    done,
    extracted,
    published,
    rows,
    users,
)

HOUR = timedelta(hours=1)
HERE = own_features.__name__
EVENTS = activity(
    done("ann", HOUR, hours=3.0), done("ann", 50 * HOUR, hours=0.5), done("bob", 2 * HOUR, hours=9.0),
    done("ann", 31 * 24 * HOUR, hours=100.0), done("ann", -HOUR, hours=100.0), done("stranger", HOUR),
)  # fmt: skip


def test_a_function_sees_its_window_and_its_result_joins_the_others(root):
    found = extracted(
        root, users("ann", "bob", "cy"), EVENTS, custom=[f"{HERE}:big"], derived={"share": "big_tasks / 2"},
        features=["big_tasks", "mean_hours", "share", "tasks_completed_7d"],
    )  # fmt: skip
    assert rows(found) == {"ann": (1.0, 1.75, 0.5, 2), "bob": (1.0, 9.0, 0.5, 1), "cy": (None, None, None, 0)}


def test_a_function_of_dataframes_gets_frames_cut_alike(root):
    found = extracted(
        root, users("ann", "bob", created_at=[AS_OF - HOUR, AS_OF + HOUR]), EVENTS, custom=[f"{HERE}:latest_age"],
        delay="1h",
    )  # fmt: skip
    context, tables = own_features.SEEN[-1]
    assert rows(found) == {"ann": (2.0,), "bob": (0.0,)}
    assert (context.as_of, context.start, context.end) == (AS_OF, AS_OF - HOUR - timedelta(days=30), AS_OF - HOUR)
    seen = tables["activity"]["occurred_at"].dt.tz_localize("UTC")
    assert seen.min() >= context.start
    assert seen.max() < context.end
    # A time that has not come yet is null there, too.
    assert tables["users"].set_index("user_id")["created_at"].isna().to_dict() == {"ann": True, "bob": True}


def test_many_moments_give_what_each_gives_alone(root):
    inputs = {"users": published(root, "users", users("ann", "bob")), "activity": published(root, "activity", EVENTS)}
    features = configured(custom=[f"{HERE}:big"])
    moments = Moments.between(AS_OF - timedelta(days=2), AS_OF + timedelta(days=1), "1d")
    history = extract(features, inputs, root=root, run=day(), as_of=moments).artifact.table().to_pandas()
    for moment in moments:
        alone = extract(features, inputs, root=root, run=day(moment), as_of=moment).artifact.table().to_pandas()
        same = history[history["event_timestamp"] == moment].reset_index(drop=True)
        columns = ["user_id", "big_tasks", "mean_hours"]
        pd.testing.assert_frame_equal(same[columns], alone[columns])


def test_lineage_knows_declared_columns_and_owns_up_to_the_rest():
    spec = plan(configured(custom=[f"{HERE}:big", f"{HERE}:latest_age"], features=["big_tasks", "latest_age"]))
    assert [edge for edge in lineage(spec) if edge.role == "activity"] == [
        Edge(feature="big_tasks", role="activity", column="hours", kind="value"),
        Edge(feature="big_tasks", role="activity", column="occurred_at", kind="time"),
        Edge(feature="latest_age", role="activity", column="*", kind="input"),
        Edge(feature="latest_age", role="activity", column="occurred_at", kind="time"),
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"failed in line \d+ with AttributeError: 'Table' object has no attribute 'no_such_column'"),
        ("not_a_table", "returned int, not an Ibis table"),
        ("not_named", "returned no column 'not_named', only user_id, other"),
        ("not_unique", "returned more than one row for some user_id: 'ann'"),
        ("not_numbers", "returned string in 'not_numbers', but a feature is a number"),
    ],
)
def test_what_goes_wrong_in_a_function_names_it_and_both_places(root, tmp_path, name, message):
    path = tmp_path / "features.yaml"
    path.write_text(f"user_features:\n  custom:\n    - {HERE}:{name}\n", encoding="utf-8")
    inputs = {"users": published(root, "users", users("ann")), "activity": published(root, "activity", EVENTS)}
    with pytest.raises(FeatureError, match=message) as caught:
        extract(feature_set(path, "user_features"), inputs, root=root, run=day(), as_of=AS_OF)
    assert str(caught.value).startswith(f"{path}:3: {name}: {HERE}:{name} ({own_features.__file__}:")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{HERE}:nothing", "cannot be imported: AttributeError"),
        ("no_such_module:nothing", "cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:unmarked", "is not a feature"),
        (f"{HERE}:of_projects", "is about project_id, the set about user_id"),
        (f"{HERE}:of_invoices", "no input named 'invoices'. Known: activity, users"),
        ("nobody_offers_this", "no entry point of mlpipe.features named 'nobody_offers_this'"),
    ],
)
def test_what_cannot_be_called_is_refused_before_any_work(name, message):
    with pytest.raises(ConfigError) as caught:
        plan(configured(custom=[name]))
    assert message in str(caught.value)


def test_a_package_offers_functions_by_entry_point(root, monkeypatch):
    from importlib.metadata import EntryPoint

    offer = EntryPoint(name="big", value=f"{HERE}:big", group="mlpipe.features")
    monkeypatch.setattr("airflow_provider_mlpipe.feature_extraction.custom.entry_points", lambda **_: [offer])
    assert rows(extracted(root, users("ann"), EVENTS, custom=["big"]), "big_tasks") == {"ann": 1.0}


def test_another_text_of_a_function_is_another_meaning():
    first, second = (plan(configured(custom=[f"{HERE}:{name}"])).spec_hash for name in ("big", "latest_age"))
    assert first != second


def proof_of(found):
    return json.loads(found.artifact.read_beside("_proof.json"))


def test_the_proof_names_the_latest_time_of_each_input_that_a_function_was_given(root):
    people = users("ann", "bob", created_at=[AS_OF - 5 * HOUR, AS_OF + HOUR])
    found = extracted(
        root, people, EVENTS, custom=[f"{HERE}:big", f"{HERE}:latest_age"], derived={"share": "big_tasks / 2"},
        features=["big_tasks", "latest_age", "share", "bug_rate"], delay="30m",
    )  # fmt: skip
    proof = proof_of(found)
    assert proof["violations"] == 0
    event, person = ((AS_OF - ago).isoformat() for ago in (HOUR, 5 * HOUR))
    given = {
        "latest_input": event, "seconds_before_end": 1800, "windows_days": [30], "violations": 0,
        "sources": {"activity": event},
    }  # fmt: skip
    assert proof["features"]["big_tasks"] == proof["features"]["share"] == given
    # What is to come is not there: neither the event an hour later nor the time of bob's.
    assert proof["features"]["latest_age"] == {**given, "sources": {"activity": event, "users": person}}
    frame = own_features.SEEN[-1][1]["activity"]
    assert frame["occurred_at"].max().isoformat() + "+00:00" == event


def test_the_proof_of_many_moments_and_of_chunks_is_about_all_that_functions_were_given(root):
    inputs = {"users": published(root, "users", users("ann", "bob")), "activity": published(root, "activity", EVENTS)}
    features = configured(custom=[f"{HERE}:big"], cache=False)
    moments = Moments.between(AS_OF - timedelta(days=2), AS_OF + timedelta(days=1), "1d")
    whole = extract(features, inputs, root=root, run=day(), as_of=moments)
    assert proof_of(whole)["features"]["big_tasks"]["latest_input"] == (AS_OF - HOUR).isoformat()
    assert proof_of(whole)["features"]["big_tasks"]["seconds_before_end"] == 3600
    below = root.below("chunks")
    parts = [
        extract(features, inputs, root=below, run=day(), as_of=moments, chunk=Chunk(index=n, of=2)).artifact
        for n in range(2)
    ]
    merged = merge_chunks(features, parts, root=below, run=day())
    assert proof_of(merged) == proof_of(whole)


@pytest.mark.parametrize("name", ["big", "latest_age"])
def test_a_cut_that_lets_the_future_in_is_found_out_before_the_function_sees_it(root, monkeypatch, name):
    """The proof is computed from the tables themselves: with the cut broken, nothing is called or published."""
    real = own.visible

    def broken(plan, role, schema, columns, start, end):
        return real(plan, role, schema, columns, start, end + timedelta(days=1))

    monkeypatch.setattr("airflow_provider_mlpipe.feature_extraction.compile.visible", broken)
    calls = len(own_features.SEEN)
    with pytest.raises(FeatureError, match=f"{name} .* would be given 1 rows of 'activity' from outside of"):
        extracted(root, users("ann", "bob"), EVENTS, custom=[f"{HERE}:{name}"])
    assert len(own_features.SEEN) == calls
    assert root.below(f"user_features/features/{day().partition}").read("_manifest.json") is None
