"""docs/how-to/observability.md: the settings are Airflow's, the names are those that are sent, the message is the one that is written."""

from __future__ import annotations

import re
from configparser import ConfigParser
from importlib.metadata import entry_points
from typing import Any

import pytest

from airflow_provider_mlpipe.lineage.places import Place, database, place_of, table_place
from airflow_provider_mlpipe.notifications.message import Judgement, Message
from airflow_provider_mlpipe.observability import REGISTRY
from tests.docs.howto import blocks, page

PAGE = page("observability")


def test_every_setting_is_one_of_airflow_or_of_openlineages_provider() -> None:
    from airflow.configuration import conf

    known: dict[str, Any] = conf.configuration_description
    providers = {point.module: point for point in entry_points(group="apache_airflow_provider")}
    openlineage = providers["airflow.providers.openlineage.get_provider_info"].load()()["config"]
    told = ConfigParser()
    told.read_string("\n".join(blocks(PAGE, "ini")))
    assert told.sections() == ["metrics", "openlineage"]
    for section in told.sections():
        options = (openlineage if section == "openlineage" else known)[section]["options"]
        assert set(told[section]) <= set(options)
    assert "otel_on" in known["metrics"]["options"]


def test_the_metric_that_is_shown_exists_in_its_stage() -> None:
    ((stage, name),) = re.findall(r"^airflow\.mlpipe\.(\w+)\.(\w+)\{", PAGE, flags=re.MULTILINE)
    stages = re.search(r"with the stages (.*?)\. All", PAGE, flags=re.DOTALL)

    assert REGISTRY[name].stage == stage
    assert stages is not None
    assert set(re.findall(r"`(\w+)`", stages[1])) == {metric.stage for metric in REGISTRY.values()} - {"any"}


def test_data_sets_are_named_as_the_table_says() -> None:
    rows = dict(re.findall(r"^\| (Table|File, folder|REST endpoint|Topic) \| (.*) \|$", PAGE, flags=re.MULTILINE))
    postgres = table_place(database("postgresql://db.example.com/shop"), "users")

    assert f"`{postgres.namespace}`" in rows["Table"]
    assert f"`{postgres.name}`" in rows["Table"]
    assert table_place(database("mysql://db.example.com/shop"), "users") == (
        "mysql://db.example.com:3306",
        "shop.users",
    )
    assert place_of("s3://bucket/a/{start:%Y}/b") == Place("s3://bucket", "a")
    assert place_of("/a/b/*.csv") == Place("file", "/a/b")


def test_a_message_looks_like_that() -> None:
    (shown,) = blocks(PAGE, "text")
    rule = {
        "severity": "ERROR", "text": "No two rows have the same `user_id`.", "where": "config/validation_config.yaml:5",
        "found": "4 of 268 rows (1.49 %) share a key with another: 2 duplicated keys.", "owner": None,
        "samples": [{"values": {"user_id": user}, "key": {}} for user in ("u_0001", "u_0002")],
    }  # fmt: skip
    judgement = Judgement(dataset="user_data", rows=268, counts={"errors": 1, "warnings": 1}, rules=[rule])

    message = Message(state="FAILED", what="user_feature_pipeline.validate_users", judgements=[judgement])

    assert message.text == shown.rstrip("\n")


@pytest.mark.parametrize("expression", re.findall(r"\{\{ (mlpipe[^}]*?) \}\}", PAGE))
def test_what_templates_can_say_is_there(expression: str) -> None:
    from jinja2 import Environment, StrictUndefined

    message = Message(state="FAILED", what="etl.check", facts={"Report": "/lake/_report.html"})

    assert (
        Environment(undefined=StrictUndefined, autoescape=False)
        .from_string(f"{{{{ {expression} }}}}")
        .render(mlpipe=message)
    )
