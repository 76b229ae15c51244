"""Several artifacts at once: each by its own rules, referring to one another, and to what was passed on."""

from __future__ import annotations

import pytest

from airflow_provider_mlpipe.config import dataset_rules
from airflow_provider_mlpipe.errors import DataRejectedError
from airflow_provider_mlpipe.validation.sifting import raise_if_any_blocked, sift_all

USERS = {"user_id": ["u1", "u2", "u3"], "age": [30, 200, 31]}
EVENTS = {"event_id": [1, 2, 3], "user_id": ["u1", "u2", "u3"]}
FILE = {
    "users": {"range_constraints": {"age": {"max": 120, "on_failure": "quarantine"}}, "max_quarantine_share": 0.5},
    "events": {"references": {"user_id": "users.user_id"}, "on_failure": "quarantine", "max_quarantine_share": 0.5},
}


@pytest.fixture
def sifted(publish, root, as_of):
    def sifted(tables, file, **arguments):
        artifacts = {name: publish(table) for name, table in tables.items()}
        rules = {name: dataset_rules(file, name) for name in tables}
        return sift_all(artifacts, rules, as_of=as_of, root=root, **arguments)

    return sifted


def test_later_artifacts_refer_to_what_was_passed_on_of_earlier_ones(sifted):
    """The event of a user who went to quarantine goes there, too."""
    done = sifted({"users": USERS, "events": EVENTS}, FILE)
    raise_if_any_blocked(done.values())
    assert done["events"].artifact.table()["event_id"].to_pylist() == [1, 3]
    (orphan,) = done["events"].quarantine.table().to_pylist()
    assert (orphan["user_id"], orphan["_mlpipe_reasons"][0]["rule_id"]) == ("u2", "events.reference.user_id")


def test_earlier_ones_refer_to_later_ones_as_they_came(sifted):
    done = sifted({"events": EVENTS, "users": USERS}, FILE)
    assert done["events"].quarantine is None
    assert done["users"].quarantine.manifest.rows == 1


def test_related_artifacts_are_referred_to_and_not_judged(sifted, publish):
    done = sifted({"events": EVENTS}, FILE, related={"users": publish({"user_id": ["u1", "u3"]})})
    assert list(done) == ["events"]
    assert done["events"].quarantine.manifest.rows == 1


def test_all_rejections_are_told_together(sifted):
    file = {name: {"row_count": {"min": 10}} for name in ("users", "events")}
    done = sifted({"users": USERS, "events": EVENTS}, file)
    with pytest.raises(DataRejectedError) as caught:
        raise_if_any_blocked(done.values())
    assert "users: 1 rule of severity ERROR failed" in str(caught.value)
    assert "events: 1 rule of severity ERROR failed" in str(caught.value)
    assert len(caught.value.fields["datasets"]) == 2
