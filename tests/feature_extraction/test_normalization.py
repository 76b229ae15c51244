"""Normalisation and imputation: fitted once, kept as an immutable state, loaded by every later run."""

from __future__ import annotations

import json
import logging
import statistics
from datetime import timedelta

import pytest

from airflow_provider_mlpipe.errors import FeatureError
from airflow_provider_mlpipe.feature_extraction.state import FittedState, Statistics
from tests.feature_extraction.material import AS_OF, activity, bug, done, extracted, users

HOUR = timedelta(hours=1)
PEOPLE = users("ann", "bob", "cy", "di")
# hours 1, 2, 6 for three users and none for di: the mean per task is null for di.
EVENTS = activity(
    done("ann", HOUR, hours=1.0), done("bob", HOUR, hours=2.0), done("cy", HOUR, hours=6.0), bug("cy", HOUR)
)
FEATURES = ["current_workload_hours", "avg_completion_hours", "skill_score_frontend"]


def normalized(found, column):
    return found.normalized.table().column(column).to_pylist()


def state_files(root):
    folder = root.below("user_features/state")
    pointer = json.loads(folder.read("current.json"))
    return pointer, json.loads(folder.read(f"{pointer['spec_hash']}/{pointer['fit_id']}.json"))


def test_z_scores_after_imputation(root):
    found = extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True, handle_missing="impute")
    hours = [1.0, 2.0, 6.0, 0.0]
    mean, std = statistics.mean(hours), statistics.pstdev(hours)
    assert normalized(found, "current_workload_hours") == pytest.approx([(value - mean) / std for value in hours])
    seen = [1.0, 2.0, 6.0]  # di has none: she gets the median, but the statistics are of what there is
    mean, std = statistics.mean(seen), statistics.pstdev(seen)
    assert normalized(found, "avg_completion_hours") == pytest.approx(
        [(value - mean) / std for value in [*seen, statistics.median(seen)]]
    )
    assert normalized(found, "skill_score_frontend") == [0.0] * 4  # constant when fitted
    assert found.artifact.table().column("avg_completion_hours").to_pylist() == [1.0, 2.0, 6.0, None]

    artifact = found.normalized
    assert (artifact.manifest.dataset, artifact.manifest.stage) == ("user_features__normalized", "features")
    assert [(item.name, item.fingerprint) for item in artifact.manifest.inputs] == [
        ("features", found.artifact.fingerprint)
    ]
    assert artifact.schema.names == found.artifact.schema.names
    assert artifact.schema.field("user_id").type == found.artifact.schema.field("user_id").type
    assert normalized(found, "event_timestamp") == [AS_OF] * 4
    assert "feast" not in artifact.manifest.details  # raw features are what goes to the store


@pytest.mark.parametrize(
    ("missing", "normalize", "expected"),
    [
        ("zero", False, [1.0, 2.0, 6.0, 0.0]),
        ("impute", False, [1.0, 2.0, 6.0, 2.0]),
        ("drop", False, [1.0, 2.0, 6.0]),
    ],
)
def test_other_ways_with_nulls(root, missing, normalize, expected):
    found = extracted(
        root, PEOPLE, EVENTS, features=["avg_completion_hours"], normalize=normalize, handle_missing=missing
    )
    assert normalized(found, "avg_completion_hours") == expected


def test_counts_stay_whole_when_only_imputed(root):
    found = extracted(root, PEOPLE, EVENTS, features=["tasks_completed_7d"], handle_missing="impute")
    assert normalized(found, "tasks_completed_7d") == [1, 1, 1, 0]
    assert found.normalized.schema.field("tasks_completed_7d").type == "int64"


def test_the_first_run_fits_promotes_and_says_so(root, caplog):
    found = extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    pointer, state = state_files(root)
    assert warned == [
        (
            "user_features: there was no fitted state, so normalisation was fitted on this run's 4 entities as of "
            f"{AS_OF.isoformat()} and promoted as {pointer['fit_id']}; later runs use it unchanged. To fit on a stated range: "
            "mlpipe features fit user_features"
        )
    ]
    assert state["feature_set"] == "user_features"
    assert state["spec_hash"] == found.artifact.manifest.details["spec_hash"]
    assert state["fitted_on"] == {
        "as_of": AS_OF.isoformat(),
        "events_from": (AS_OF - timedelta(days=7)).isoformat(),
        "events_to": AS_OF.isoformat(),
        "rows": 4,
        "fingerprint": found.artifact.fingerprint,
    }
    assert state["statistics"]["avg_completion_hours"] == {
        "count": 3, "nulls": 1, "min": 1.0, "max": 6.0, "median": 2.0, "mean": 3.0, "q1": 1.5, "q3": 4.0, "mode": 1.0,
        "std": pytest.approx(statistics.pstdev([1.0, 2.0, 6.0])),
    }  # fmt: skip
    assert found.normalized.manifest.details["fit_id"] == pointer["fit_id"]


def test_later_runs_load_and_never_refit(root, caplog):
    extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True)
    before = state_files(root)
    caplog.clear()
    later = activity(done("ann", HOUR, hours=100.0), done("ann", -12 * HOUR, hours=7.0))
    found = extracted(root, PEOPLE, later, as_of=AS_OF + timedelta(days=1), features=FEATURES, normalize=True)
    assert state_files(root) == before
    assert "fitted" not in caplog.text
    known = before[1]["statistics"]["current_workload_hours"]
    assert normalized(found, "current_workload_hours")[0] == pytest.approx((107.0 - known["mean"]) / known["std"])


def test_a_state_of_other_features_is_refused_before_any_work(root):
    extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True)
    next_day = AS_OF + timedelta(days=1)
    with pytest.raises(FeatureError) as caught:
        extracted(root, PEOPLE, EVENTS, as_of=next_day, features=FEATURES, normalize=True, aggregation_window="30d")
    message = str(caught.value)
    assert "belongs to another definition of the features" in message
    assert (
        "mlpipe features fit user_features --input ROLE=ARTIFACT ... --from TIME --to TIME, then" in caught.value.hint
    )
    assert "mlpipe features promote user_features FIT_ID" in caught.value.hint
    assert not list(root.below("user_features/features/20260114T020000Z-20260115T020000Z").names())
    # Without the pointer the next run fits anew, and the old state stays.
    old, _ = state_files(root)
    root.below("user_features/state").delete("current.json")
    extracted(root, PEOPLE, EVENTS, as_of=next_day, features=FEATURES, normalize=True, aggregation_window="30d")
    new, _ = state_files(root)
    assert new["spec_hash"] != old["spec_hash"]
    assert root.below("user_features/state").read(f"{old['spec_hash']}/{old['fit_id']}.json")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder, _: folder.replace("current.json", b"{"), "current.json cannot be read"),
        (lambda folder, name: folder.delete(name), "which is not there"),
        (
            lambda folder, name: folder.replace(name, folder.read(name).replace(b'"count": 3', b'"count": 4')),
            "was changed after it was written",
        ),
        (lambda folder, name: folder.replace(name, b"[]"), "cannot be read"),
    ],
    ids=["pointer", "missing", "edited", "not a state"],
)
def test_a_damaged_state_is_refused(root, damage, message):
    extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True)
    pointer, _ = state_files(root)
    damage(root.below("user_features/state"), f"{pointer['spec_hash']}/{pointer['fit_id']}.json")
    with pytest.raises(FeatureError, match=message):
        extracted(root, PEOPLE, EVENTS, features=FEATURES, normalize=True)


def test_the_same_data_in_another_order_gives_the_same_fit(root, tmp_path):
    found = []
    for name, step in (("a", 1), ("b", -1)):
        place = root.below(name)
        events = [done(f"u{n}", n * HOUR, hours=n / 7) for n in range(1, 100)][::step]
        people = users(*[f"u{n}" for n in range(120)][::step])
        extracted(place, people, activity(*events), features=FEATURES, normalize=True)
        found.append(state_files(place)[0]["fit_id"])
    assert found[0] == found[1]


def test_a_constant_fraction_is_constant(root):
    # 0.1 + 0.1 + 0.1 is not 0.3 in floats: the mean of equal numbers may be off, and must not pass for a deviation.
    events = activity(*(done(f"u{n}", HOUR, hours=0.1) for n in range(3)))
    found = extracted(root, users("u0", "u1", "u2"), events, features=["avg_completion_hours"], normalize=True)
    assert normalized(found, "avg_completion_hours") == [0.0, 0.0, 0.0]


def test_a_feature_without_any_value_at_the_fit_stays_null(root, caplog):
    found = extracted(root, PEOPLE, activity(), features=["bug_rate"], normalize=True)
    assert normalized(found, "bug_rate") == [None] * 4
    assert "saw no value of bug_rate; they stay null" in caplog.text
    assert found.normalized.manifest.metrics["missing_values"] == 4


def test_normalising_an_empty_set(root):
    found = extracted(root, users(), activity(), features=["bug_rate"], normalize=True)
    assert found.normalized.manifest.rows == 0


def test_state_survives_the_way_through_json():
    known = Statistics(count=3, nulls=0, mean=0.1 + 0.2, std=1e-300, min=-0.0, max=1e300, median=None)
    state = FittedState(feature_set="s", spec_hash="h", fitted_on={"rows": 3}, statistics={"x": known})
    again = FittedState.from_json(state.to_json())
    assert again == state
    assert again.fit_id == state.fit_id
