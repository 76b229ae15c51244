"""What OpenLineage's own provider sends of our tasks, as it arrives at a server: every data set, column and rule.

The runs are those of `tests.operators.observed`: the example Dags as people copy them, and some that go wrong.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.lineage.facts import check_facets, edges, named, only, origins

if TYPE_CHECKING:
    from tests.operators.observed import Observed

pytestmark = [pytest.mark.slow, pytest.mark.airflow]


@pytest.fixture(scope="module")
def seen() -> Observed:
    from tests.operators.observed import observed

    return observed()


def test_every_task_is_told_of_at_its_start_and_at_its_end(seen: Observed) -> None:
    for name, run in seen.runs.items():
        dag = {"pipeline": "user_feature_pipeline", "training": "training_set_weekly", "otel": "plain", "off": "plain"}
        for task, state in run.states.items() if name != "mapped" else ():
            job = f"{dag.get(name, name)}.{task}"
            seen.event(name, job, "START")
            seen.event(name, job, {"success": "COMPLETE", "failed": "FAIL"}[state])


def test_of_a_mapped_task_every_one_is_told_of(seen: Observed) -> None:
    kinds = Counter(event["eventType"] for event in seen.events if event["job"]["name"] == "mapped.people")

    assert kinds == {"START": 3, "COMPLETE": 3}


def test_every_facet_is_what_openlineage_says_it_is(seen: Observed) -> None:
    assert check_facets(seen.events) == {
        "columnLineage", "dataQualityAssertions", "dataQualityMetrics", "inputStatistics", "outputStatistics",
        "schema", "storage", "version",
    }  # fmt: skip


def test_nothing_sent_holds_where_the_provider_could_not_ask(seen: Observed) -> None:
    """Neither our mixin nor the provider complained."""
    for run in seen.runs.values():
        assert not [
            line for line in run.log.splitlines() if "OpenLineage" in line and ("[warning" in line or "[error" in line)
        ]


def test_a_feature_in_the_online_store_leads_back_to_columns_of_the_database(seen: Observed) -> None:
    database = f"sqlite://{seen.databases['good'].removeprefix('sqlite:///')}"

    found = origins(("mlpipe", "user_profile_features", "current_workload_hours"), edges(seen.events))

    assert found == {
        (database, "users", "user_id"),
        *((database, "activity", name) for name in ("user_id", "hours", "event_type", "occurred_at")),
    }


def test_a_training_set_leads_back_to_labels_and_features(seen: Observed) -> None:
    database = f"sqlite://{seen.databases['good'].removeprefix('sqlite:///')}"
    event = seen.event("training", "training_set_weekly.training_set", "COMPLETE")
    (output,) = named(event["outputs"])
    came = edges(seen.events)

    assert output == ("file", f"{seen.artifacts}/late_tasks/training_set") or output[1].startswith(
        f"{seen.artifacts}/late_tasks"
    )
    assert origins((*output, "took_hours"), came) == {
        (database, "tasks", "completed_at"),
        (database, "tasks", "created_at"),
    }
    assert origins((*output, "user_id"), came) == {(database, "tasks", "assignee_id")}
    assert (database, "activity", "hours") in origins((*output, "current_workload_hours"), came)
    assert ("mlpipe", "user_profile_features") in named(event["inputs"])


def test_how_a_column_takes_part_is_said(seen: Observed) -> None:
    event = seen.event("pipeline", "user_feature_pipeline.extract_features", "COMPLETE")
    fields = only(event["outputs"], "/user_features/features")["facets"]["columnLineage"]["fields"]
    said = {
        (one["name"].split("/")[-2], one["field"]): [(each["type"], each["subtype"]) for each in one["transformations"]]
        for one in fields["current_workload_hours"]["inputFields"]
    }

    assert said == {
        ("user_data", "user_id"): [("INDIRECT", "JOIN")],
        ("activity_data", "user_id"): [("INDIRECT", "JOIN")],
        ("activity_data", "hours"): [("DIRECT", "AGGREGATION")],
        ("activity_data", "event_type"): [("INDIRECT", "FILTER")],
        ("activity_data", "occurred_at"): [("INDIRECT", "WINDOW")],
    }


def test_what_is_normalised_comes_from_the_raw_features(seen: Observed) -> None:
    event = seen.event("pipeline", "user_feature_pipeline.extract_features", "COMPLETE")
    normalised = only(event["outputs"], "/user_features__normalized/features")
    (source,) = normalised["facets"]["columnLineage"]["fields"]["skill_score_backend"]["inputFields"]

    assert source["name"].endswith("/user_features/features")
    assert source["transformations"][0]["subtype"] == "TRANSFORMATION"


def test_an_output_says_how_much_it_is_and_what_is_in_it(seen: Observed) -> None:
    event = seen.event("pipeline", "user_feature_pipeline.extract_features", "COMPLETE")
    output = only(event["outputs"], "/user_features/features")
    fields = {field["name"]: field for field in output["facets"]["schema"]["fields"]}

    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 264
    assert output["outputFacets"]["outputStatistics"]["size"] > 1_000
    assert fields["tasks_completed_7d"]["type"] == "int64"
    assert "completed" in fields["tasks_completed_7d"]["description"]
    assert output["facets"]["version"]["datasetVersion"].startswith("rows-")


def test_renamed_columns_lead_to_the_sources_own(seen: Observed) -> None:
    event = seen.event("otel", "plain.people", "COMPLETE")
    (output,) = event["outputs"]
    fields = output["facets"]["columnLineage"]["fields"]

    assert [one["field"] for one in fields["person"]["inputFields"]] == ["user_id"]
    assert "nickname" not in fields  # a column of nulls comes from nowhere
    assert "email" in {field["name"] for field in event["inputs"][0]["facets"]["schema"]["fields"]}


def test_of_rejected_data_every_rule_is_told_with_the_failure(seen: Observed) -> None:
    event = seen.event("rejected", "rejected.check", "FAIL")
    (judged,) = event["inputs"]
    told = judged["inputFacets"]["dataQualityAssertions"]["assertions"]
    failed = {(one["assertion"], one.get("column"), one["severity"]) for one in told if not one["success"]}

    assert failed == {("unique", "person", "error"), ("not_null", "mail", "error"), ("in_set", "status", "warn")}
    assert len(told) == seen.runs["rejected"].xcom("check", "metrics")["total_checks"]
    assert event["outputs"] == []
    (unique,) = [one for one in told if one["assertion"] == "unique" and one["column"] == "person"]
    assert unique["params"]["unexpected"] == 4
    assert "2 duplicated keys" in unique["actual"]


def test_rejected_data_is_measured(seen: Observed) -> None:
    (judged,) = seen.event("rejected", "rejected.check", "FAIL")["inputs"]
    measured = judged["inputFacets"]["dataQualityMetrics"]

    assert measured["rowCount"] == seen.runs["rejected"].xcom("check", "metrics")["rows_validated"]
    assert measured["columnMetrics"]["mail"]["nullCount"] == 3
    assert measured["columnMetrics"]["mail"]["count"] == measured["rowCount"] - 3


def test_no_value_of_a_sensitive_column_is_sent(seen: Observed) -> None:
    sent = "\n".join(str(seen.event("rejected", "rejected.check", kind)) for kind in ("START", "FAIL"))

    assert "'mail'" in sent
    assert "example.com" not in sent


def test_rows_that_were_taken_out_are_an_output_of_their_own(seen: Observed) -> None:
    event = seen.event("kept", "kept.check", "COMPLETE")
    clean, out = (only(event["outputs"], ending) for ending in ("/validated", "/validated-quarantine"))
    (whole,) = event["inputs"]

    rows = [one["outputFacets"]["outputStatistics"]["rowCount"] for one in (clean, out)]
    assert rows[1] == 3
    assert sum(rows) == whole["inputFacets"]["inputStatistics"]["rowCount"]
    assert [one["name"] for one in clean["facets"]["columnLineage"]["fields"]["person"]["inputFields"]] == [
        whole["name"]
    ]


def test_a_source_that_was_not_read_is_named_with_the_failure(seen: Observed) -> None:
    event = seen.event("absent", "absent.people", "FAIL")

    database = f"sqlite://{seen.databases['good'].removeprefix('sqlite:///')}"
    assert named(event["inputs"]) == [(database, "no_such_table")]
    assert event["outputs"] == []
