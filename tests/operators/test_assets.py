"""What an asset's event says, and what a Dag makes of it: the parts that need no run. `test_operators` has the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor

from airflow_provider_mlpipe.operators import ValidateOperator, artifact_of
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


def told_by(alias: AssetAlias, events: OutletEventAccessors) -> dict[str, dict[str, Any]]:
    return {event.dest_asset_key.uri: event.extra for event in events[alias].asset_alias_events}


def test_an_alias_sends_an_event_of_the_datasets_folder() -> None:
    alias, events = AssetAlias("crowd"), OutletEventAccessors()
    context: Any = {"outlet_events": events}
    users = {"artifact": "s3://lake/users/raw/20260113", "rows": 3}

    report_outlets(context, [alias], users)

    assert told_by(alias, events) == {"s3://lake/users/raw": users}


def test_an_alias_of_several_artifacts_sends_one_event_of_each() -> None:
    alias, events = AssetAlias("crowd"), OutletEventAccessors()
    context: Any = {"outlet_events": events}
    users, teams = ({"artifact": f"/mlpipe/{name}/raw/20260113"} for name in ("users", "teams"))

    report_outlets(context, [alias], {"artifacts": {"users": users, "teams": teams}})

    assert told_by(alias, events) == {"file:///mlpipe/users/raw": users, "file:///mlpipe/teams/raw": teams}


def test_assets_that_the_author_added_to_an_alias_get_the_extra_and_keep_theirs() -> None:
    alias, events = AssetAlias("crowd"), OutletEventAccessors()
    context: Any = {"outlet_events": events}
    events[alias].add(Asset("mine", uri="s3://elsewhere/mine"), extra={"rows": "many", "by": "me"})

    report_outlets(context, [alias], {"artifact": "/users/raw/20260113", "rows": 3})

    assert told_by(alias, events) == {
        "s3://elsewhere/mine": {"artifact": "/users/raw/20260113", "rows": "many", "by": "me"}
    }


def rendered(context: Any, *, mapped: bool) -> Any:
    """Render an operator's templates as the task runner does: a mapped one by keywords."""
    task = ValidateOperator(
        task_id="check", artifact={"mine": artifact_of(USERS)}, dataset="{{ ti.task_id }}", config={}
    )
    if not mapped:
        task.render_template_fields(context)
        return task
    task._do_render_template_fields(
        parent=task,
        template_fields=task.template_fields,
        context=context,
        jinja_env=task.get_template_env(),
        seen_oids=set(),
    )
    return task


@pytest.mark.parametrize("mapped", [False, True])
def test_an_asset_without_an_artifact_is_not_in_airflows_log_of_templates(
    mapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    task = rendered(triggered(event(USERS, artifact="/2")), mapped=mapped)
    assert (task.artifact, task.dataset) == ({"mine": "/2"}, "check")

    with pytest.raises(TaskFailed, match="no event of this asset"):
        rendered(triggered(), mapped=mapped)
    assert caplog.records == []
