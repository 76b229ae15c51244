"""A connection of type ``feast``: its form, what comes of its fields, its "Test" button, and no secret in sight."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from airflow_provider_mlpipe.errors import ConfigError
from airflow_provider_mlpipe.get_provider_info import get_provider_info
from airflow_provider_mlpipe.hooks.feast import FeastHook, merged
from tests.feature_store.feature_artifacts import VIEW, features, scores
from tests.servers import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_mlpipe.artifacts import Storage

    Connect = Callable[..., FeastHook]

PASSWORD = "hunter2-of-feast"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, root: Storage) -> Connect:
    """Make a connection known to Airflow and return its hook."""

    def add(password: str = "", conn_type: str = "feast", **extra: Any) -> FeastHook:
        fields = {"conn_type": conn_type, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_THE_FEAST", json.dumps(fields))
        return FeastHook("the_feast", artifact_root=root.root)

    return add


# ------------------------------------------------------------------ the form


def test_the_form_fits_airflows_schema_of_forms() -> None:
    import airflow

    schema = json.loads((Path(airflow.__file__).parent / "provider.yaml.schema.json").read_text())
    [form] = get_provider_info()["connection-types"]

    jsonschema.validate(
        [form], {**schema["properties"]["connection-types"], "definitions": schema.get("definitions", {})}
    )
    for name, field in form["conn-fields"].items():
        assert "null" in field["schema"]["type"], f"{name} would be a required field"
        assert field["description"].endswith("."), name


def test_the_form_leads_to_the_hook() -> None:
    [form] = get_provider_info()["connection-types"]
    module, _, name = form["hook-class-name"].rpartition(".")

    assert getattr(importlib.import_module(module), name) is FeastHook
    assert (form["connection-type"], form["hook-name"]) == (FeastHook.conn_type, FeastHook.hook_name)
    for group, suffix in (("hooks", "Hook"), ("sensors", "Sensor")):
        for entry in get_provider_info()[group]:
            for found in entry["python-modules"]:
                assert any(public.endswith(suffix) for public in importlib.import_module(found).__all__)


# ------------------------------------------------------------------ the fields


@pytest.mark.parametrize(
    ("password", "extra", "online"),
    [
        ("", {}, {}),
        (PASSWORD, {"online_type": "redis", "online_connection": "cache:6379"},
         {"type": "redis", "connection_string": f"cache:6379,password={PASSWORD}"}),
        (PASSWORD, {"online_connection": "rediss://ann@cache/3"},
         {"type": "redis", "connection_string": f"cache:6379,username=ann,db=3,ssl=true,password={PASSWORD}"}),
        (PASSWORD, {"online_connection": "postgresql://ann@db:5433/feast", "online_settings": {"db_schema": "serving"}},
         {"type": "postgres", "host": "db", "port": 5433, "database": "feast", "user": "ann", "password": PASSWORD,
          "db_schema": "serving"}),
        ("", {"online_type": "sqlite", "online_connection": "/data/online.db"}, {"type": "sqlite", "path": "/data/online.db"}),
        ("", {"online_type": "dynamodb", "online_settings": '{"region": "eu-west-1"}'},
         {"type": "dynamodb", "region": "eu-west-1"}),
        (PASSWORD, {"online_settings": {"type": "mysql", "host": "db"}}, {"type": "mysql", "host": "db", "password": PASSWORD}),
    ],
)  # fmt: skip
def test_the_online_store(connect: Connect, password: str, extra: dict[str, Any], online: dict[str, Any]) -> None:
    assert connect(password, **extra).feature_store().online_store == online


def test_the_other_fields(connect: Connect) -> None:
    store = connect(
        project="growth", registry="postgresql://ann@db:5433/feast?sslmode=require", registry_password="p@ss/w:rd",
        read_back=7, online_type=None, repo="",
    ).feature_store()  # fmt: skip

    assert (store.project, store.read_back) == ("growth", 7)
    assert store.registry == "postgresql://ann:p%40ss%2Fw%3Ard@db:5433/feast?sslmode=require"
    assert (store.online_store, store.on_empty) == ({}, "fail")


def test_a_connection_says_which_feast_and_a_section_how_to_use_it() -> None:
    section = {"project": "a", "registry": "r", "online_store": {"type": "redis"}, "read_back": 5, "on_empty": "skip"}

    assert merged(section, None, {"project": "c"}) == {**section, "project": "c"}
    assert merged(section, {"project": "b"}, None) == {"project": "b", "read_back": 5, "on_empty": "skip"}
    assert merged(section, {"project": "b"}, {"project": "c", "read_back": 9}) == {
        "project": "c", "read_back": 9, "on_empty": "skip",
    }  # fmt: skip
    spark = {"offline_store": {"type": "spark"}, "read_back": 5}
    assert merged(spark, {"project": "b"}, None) == {"project": "b", **spark}
    assert merged(spark, {"repo": "/feast"}, None) == {"repo": "/feast", "read_back": 5}, "it has one of its own"


@pytest.mark.parametrize(
    ("password", "fields", "match"),
    [
        ("", {"regsitry": "r.db"}, "Did you mean 'registry'"),
        ("", {"conn_type": "postgres"}, "type 'postgres', not 'feast'"),
        ("", {"online_connection": "cache:6379"}, "does not say of what type"),
        ("pass,word", {"online_type": "redis", "online_connection": "cache:6379"}, "holds a comma"),
        ("", {"online_connection": f"redis://:{PASSWORD},x@cache"}, "no Redis URL that Feast can use"),
        ("", {"online_type": "dynamodb", "online_connection": "x"}, "an address means nothing"),
        ("", {"online_type": "redis", "online_settings": f"password: {PASSWORD}"}, "no JSON object"),
        ("", {"read_back": "many"}, "read_back"),
        ("", {"require_validation": False}, "no field named 'require_validation'"),
    ],
)
def test_what_cannot_work_is_said_without_secrets(
    connect: Connect, password: str, fields: dict[str, Any], match: str
) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        connect(password, **fields).feature_store()

    assert PASSWORD not in str(caught.value)
    assert "pass,word" not in str(caught.value)
    assert connect(password, **fields).test_connection()[0] is False


def test_a_connection_that_is_not_there_is_named() -> None:
    assert FeastHook("absent").test_connection()[0] is False
    with pytest.raises(ConfigError, match="no Airflow connection named 'absent'"):
        FeastHook("absent").feature_store()


def test_secrets_are_masked_in_airflows_logs(connect: Connect) -> None:
    from airflow.sdk.log import redact

    connect(
        registry="mysql://ann:registry99secret@db/f", online_settings={"type": "dynamodb", "token": "tok-4711-abc"}
    ).section()

    assert redact("could not log in with registry99secret or tok-4711-abc") == "could not log in with *** or ***"


# ------------------------------------------------------------------ the button, and Feast itself


def test_the_button_and_the_store(connect: Connect, root: Storage) -> None:
    from airflow_provider_mlpipe.feature_store import materialize

    hook = connect()
    assert hook.test_connection() == (True, "Registry and online store answer. No feature view is registered yet.")
    materialize(features(root, scores(5)), hook.feature_store(), root=hook.root())

    assert hook.test_connection() == (True, f"Registry and online store answer. Feature views: {VIEW}.")
    answer = hook.get_conn().get_online_features([f"{VIEW}:top_skill"], [{"user_id": "u00001"}]).to_dict()
    assert answer == {"user_id": ["u00001"], "top_skill": ["skill 1 of 0"]}


def test_the_button_asks_redis(connect: Connect, valkey: str) -> None:
    (port,) = free_ports()

    assert connect(online_type="redis", online_connection=valkey).test_connection()[0] is True
    works, message = connect(PASSWORD, online_type="redis", online_connection=f"127.0.0.1:{port}").test_connection()
    assert not works
    assert "could not ask the online store" in message
    assert PASSWORD not in message
