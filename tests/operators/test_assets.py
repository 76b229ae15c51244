"""What an asset's event says, and what a Dag makes of it: the parts that need no run. `test_operators` has the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor

from airflow_provider_mlpipe.operators import artifact_of
from airflow_provider_mlpipe.operators.assets import report_outlets
from airflow_provider_mlpipe.operators.base import TaskFailed

USERS, OTHERS = Asset("users"), Asset("others")


def event(asset: Asset, **extra: Any) -> Any:
    return SimpleNamespace(asset=asset, source_aliases=[], extra=extra)


def triggered(*events: Any) -> dict[str, Any]:
    return {
        "ti": SimpleNamespace(task_id="check"),
        "triggering_asset_events": TriggeringAssetEventsAccessor.build(events),
        "inlet_events": {},
    }


def test_the_newest_event_that_triggered_the_run_counts() -> None:
    context = triggered(event(USERS, artifact="/1"), event(OTHERS, artifact="/x"), event(USERS, artifact="/2"))

    assert artifact_of(USERS).resolve(context) == "/2"


def test_every_event_gives_each_artifact_once() -> None:
    context = triggered(*(event(USERS, artifact=uri) for uri in ("/1", "/2", "/1")), event(USERS))

    assert artifact_of(USERS, every=True).resolve(context) == ["/1", "/2"]


def test_one_of_several_is_chosen_by_name() -> None:
    context = triggered(event(USERS, artifacts={"ann": {"artifact": "/a"}, "ben": {"artifact": "/b"}}))

    assert artifact_of(USERS, name="ben").resolve(context) == "/b"


def test_a_run_that_no_asset_triggered_takes_the_newest_of_an_inlet() -> None:
    context = triggered(event(OTHERS, artifact="/x"))
    context["inlet_events"] = {USERS: [event(USERS, artifact="/1"), event(USERS, artifact="/2")]}

    assert artifact_of(USERS).resolve(context) == "/2"
    assert artifact_of(USERS, every=True).resolve(context) == ["/2"], "what was there before belongs to other runs"


@pytest.mark.parametrize("events", [[], [event(OTHERS, artifact="/x")], [event(USERS, from_rest_api=True)]])
def test_an_event_without_an_artifact_fails_the_task_and_says_why(events: list[Any]) -> None:
    with pytest.raises(TaskFailed, match=r"task check: artifact_of\(users\): no event of this asset"):
        artifact_of(USERS).resolve(triggered(*events))


def test_what_a_dags_page_shows_is_the_same_at_every_parse() -> None:
    assert str(artifact_of(USERS)) == str(artifact_of(Asset("users"))) == "artifact_of(users)"
    assert str(artifact_of(USERS, name="ben")) == "artifact_of(users, ben)"


def test_what_the_author_put_into_the_event_stays() -> None:
    events: Any = OutletEventAccessors()
    events[USERS].extra = {"rows": "mine", "ticket": 7}

    report_outlets({"outlet_events": events}, [USERS, OTHERS, "not an asset"], {"rows": 3, "artifact": "/1"})

    assert events[USERS].extra == {"rows": "mine", "ticket": 7, "artifact": "/1"}
    assert events[OTHERS].extra == {"rows": 3, "artifact": "/1"}
