"""The gate: every way in which an input can fail to vouch for the features, and the loud way past it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import VERDICT, Artifact, ArtifactWriter, Description, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import GateClosedError, Terminal
from airflow_provider_mlpipe.feature_store import materialize
from airflow_provider_mlpipe.feature_store.gate import check
from airflow_provider_mlpipe.ingestion import gather
from tests.feature_store.feature_artifacts import features, raw, run_of, scores, verdict


def closed(root: Storage, artifact: object) -> GateClosedError:
    """Return what the gate says; nothing of Feast may exist afterwards."""
    with pytest.raises(GateClosedError) as caught:
        materialize(artifact, FeatureStore(), root=root)  # type: ignore[arg-type]
    assert isinstance(caught.value, Terminal)
    assert caught.value.exit_code == 1
    assert not Path(root.root, "_feast").exists()
    return caught.value


def test_passed_inputs_open_it(root: Storage) -> None:
    inputs = (raw(root, "users").as_input("users"), raw(root, "activity").as_input("activity"))
    check(features(root, scores(2), inputs=inputs))


def test_an_input_that_nobody_validated(root: Storage) -> None:
    users, activity = raw(root, "users"), raw(root, "activity", judged=False)
    artifact = features(root, scores(2), inputs=(users.as_input("users"), activity.as_input("activity")))

    error = closed(root, artifact)

    assert artifact.uri in error.message
    assert f"Input 'activity' at {activity.uri}: it has no verdict for this content: it was not validated" in str(error)
    assert f"mlpipe validate {activity.uri}" in error.hint
    assert error.fields["input"] == "activity"


def test_an_input_that_failed(root: Storage) -> None:
    users = raw(root, judged=False)
    verdict(users, passed=False)
    error = closed(root, features(root, scores(2), inputs=(users.as_input("users"),)))
    assert "it failed validation (2 rules); report: r.html" in error.message
    assert f"repair the data, then mlpipe validate {users.uri}" in error.hint


def test_a_verdict_for_other_content(root: Storage) -> None:
    users = raw(root, judged=False)
    verdict(users, fingerprint="rows-of-yesterday")
    error = closed(root, features(root, scores(2), inputs=(users.as_input("users"),)))
    assert "no verdict for this content" in error.message


def test_a_verdict_that_cannot_be_read(root: Storage) -> None:
    users = raw(root)
    users.write_beside(VERDICT, b"{half a")
    error = closed(root, features(root, scores(2), inputs=(users.as_input("users"),)))
    assert "its verdict cannot be read" in error.message


@pytest.mark.parametrize("answer", ["true", "1", "null"])
def test_only_true_is_passed(root: Storage, answer: str) -> None:
    users = raw(root)
    text = f'{{"meta": {{"mlpipe": {{"fingerprint": "{users.fingerprint}", "passed": {answer}}}}}}}'
    users.write_beside(VERDICT, text.encode())
    artifact = features(root, scores(2), inputs=(users.as_input("users"),))
    if answer == "true":
        check(artifact)
    else:
        assert "it failed validation" in closed(root, artifact).message


def test_an_input_that_changed_since(root: Storage) -> None:
    before = raw(root, rows=3).as_input("users")
    artifact = features(root, scores(2), inputs=(before,))
    now = raw(root, rows=4)
    error = closed(root, artifact)
    assert "it has changed since" in error.message
    assert before.fingerprint in error.message
    assert now.fingerprint in error.message
    assert "then extract the features again" in error.hint


def test_an_input_that_is_gone(root: Storage) -> None:
    users = raw(root)
    artifact = features(root, scores(2), inputs=(users.as_input("users"),))
    shutil.rmtree(users.uri)
    error = closed(root, artifact)
    assert "it is gone" in error.message
    assert "make that input again" in error.hint


def test_an_input_of_an_input(root: Storage) -> None:
    source = raw(root, "export", judged=False)
    users = raw(root, "users", inputs=(source.as_input("export"),))
    artifact = features(root, scores(2), inputs=(users.as_input("users"),))
    assert "Input 'export'" in closed(root, artifact).message
    verdict(source)
    check(artifact)


def clean_of(root: Storage, users: Artifact, *, passed: bool = True) -> Artifact:
    """Return what `validation.sift` makes of `users`: some rows taken out, the others judged again."""
    origin = {"uri": users.uri, "fingerprint": users.fingerprint}
    described = Description(
        dataset=users.manifest.dataset, stage="validated", run=run_of(1), inputs=(users.as_input("raw"),),
        details={"quarantine": {"of": origin, "rows": 1}},
    )  # fmt: skip
    with ArtifactWriter(root, described, users.schema) as writer:
        writer.write(next(users.batches()).slice(1))
        clean = writer.publish()
    verdict(clean, passed=passed)
    return clean


def test_clean_rows_vouch_for_the_failed_ones_that_they_were_taken_from(root: Storage) -> None:
    users = raw(root, judged=False)
    verdict(users, passed=False)
    check(features(root, scores(2), inputs=(clean_of(root, users).as_input("users"),)))


def test_clean_rows_that_failed_vouch_for_nothing(root: Storage) -> None:
    users = raw(root, judged=False)
    verdict(users, passed=False)
    error = closed(root, features(root, scores(2), inputs=(clean_of(root, users, passed=False).as_input("users"),)))
    assert "/validated/" in error.message
    assert "it failed validation" in error.message


def test_clean_rows_vouch_only_for_what_they_were_taken_from_not_for_who_reads_it_directly(root: Storage) -> None:
    users = raw(root, judged=False)
    verdict(users, passed=False)
    both = (clean_of(root, users).as_input("users"), users.as_input("all_users"))
    for inputs in (both, both[::-1]):
        error = closed(root, features(root, scores(2), inputs=inputs))
        assert "Input 'all_users'" in error.message


def test_clean_rows_do_not_hide_that_the_others_changed_since(root: Storage) -> None:
    users = raw(root, rows=3, judged=False)
    verdict(users, passed=False)
    artifact = features(root, scores(2), inputs=(clean_of(root, users).as_input("users"),))
    raw(root, rows=5)
    assert "it has changed since" in closed(root, artifact).message


def test_no_inputs_at_all(root: Storage) -> None:
    error = closed(root, features(root, scores(2), inputs=()))
    assert "its manifest names no inputs" in error.message


def test_features_that_failed_validation_themselves(root: Storage) -> None:
    artifact = features(root, scores(2))
    verdict(artifact, passed=False)
    assert "it was validated itself, and failed" in closed(root, artifact).message


def test_the_way_past_is_loud_and_recorded(root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    users = raw(root, judged=False)
    artifact = features(root, scores(2), inputs=(users.as_input("users"),))

    done = materialize(artifact, FeatureStore(require_validation=False), root=root)

    assert done.rows == 2
    assert done.gate.startswith("overridden: ")
    assert "it was not validated" in done.gate
    assert done.metrics["gate_overridden"] == 1
    [record] = [record for record in caplog.records if "GATE OVERRIDDEN" in record.message]
    assert record.levelname == "WARNING"
    assert users.uri in record.message


def test_nothing_is_overridden_where_nothing_was_wrong(root: Storage, caplog: pytest.LogCaptureFixture) -> None:
    done = materialize(features(root, scores(2)), FeatureStore(require_validation=False), root=root)
    assert (done.gate, done.metrics["gate_overridden"]) == ("passed", 0)
    assert "GATE" not in caplog.text


@pytest.fixture
def together(root: Storage) -> tuple[Artifact, Artifact]:
    """Two parts that mapped tasks published, not judged, and all of it as one artifact."""
    parts = [raw(root, f"activity_{part}", judged=False) for part in ("north", "south")]
    return parts[0], gather(parts, root=root, run=run_of(14))


def test_what_was_judged_together_need_not_be_judged_apart(root: Storage, together: tuple[Artifact, Artifact]) -> None:
    part, whole = together
    artifact = features(root, scores(2), inputs=(whole.as_input("activity"),))
    with pytest.raises(GateClosedError, match="'activity' .* it was not validated"):
        check(artifact)
    verdict(part)  # one part says nothing of all
    with pytest.raises(GateClosedError, match="'activity' .* it was not validated"):
        check(artifact)
    verdict(whole)
    check(artifact)


def test_a_part_that_was_judged_apart_and_failed_counts(root: Storage, together: tuple[Artifact, Artifact]) -> None:
    part, whole = together
    verdict(whole)
    verdict(part, passed=False)
    with pytest.raises(GateClosedError, match="it failed validation"):
        check(features(root, scores(2), inputs=(whole.as_input("activity"),)))


def test_a_whole_does_not_vouch_for_a_part_that_is_read_by_itself(
    root: Storage, together: tuple[Artifact, Artifact]
) -> None:
    part, whole = together
    verdict(whole)
    inputs = (whole.as_input("activity"), part.as_input("part"))
    with pytest.raises(GateClosedError, match="'part' .* it was not validated"):
        check(features(root, scores(2), inputs=inputs))
