"""``feature_store.online_store`` takes Feast's own settings, or one URL that an environment variable can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mlpipe import config
from airflow_provider_mlpipe.errors import ConfigError

REPO = Path(__file__).parents[2]


def online_store(value: Any) -> dict[str, Any]:
    return config.feature_store({"feature_store": {"online_store": value}}).model.online_store


@pytest.mark.parametrize(
    ("url", "connection"),
    [
        ("redis://cache", "cache:6379"),
        ("redis://:p%2Fw@cache:7000/2", "cache:7000,password=p/w,db=2"),
        ("rediss://ann:pw@cache:6380", "cache:6380,username=ann,password=pw,ssl=true"),
    ],
)
def test_a_url_becomes_feasts_settings(url: str, connection: str) -> None:
    assert online_store(url) == {"type": "redis", "connection_string": connection}


def test_settings_pass_through_and_nothing_means_the_embedded_store() -> None:
    settings = {"type": "sqlite", "path": "online.db"}

    assert online_store(settings) == settings
    assert online_store("") == {}


@pytest.mark.parametrize("url", ["mysql://ann:s3cret@h/db", "s3cret", "redis://:s3cret%2Cx@h", "redis://"])
def test_other_text_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"feature_store\.online_store") as caught:
        online_store(url)

    assert "s3cret" not in str(caught.value)


def test_the_example_file_is_embedded_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLPIPE_FEAST_REGISTRY", "MLPIPE_ONLINE_STORE"):
        monkeypatch.delenv(name, raising=False)
    file = REPO / "config/feature_config.yaml"
    embedded = config.feature_store(file).model
    assert (embedded.registry, embedded.online_store) == ("", {})

    monkeypatch.setenv("MLPIPE_FEAST_REGISTRY", "postgresql+psycopg://feast@db/feast")
    monkeypatch.setenv("MLPIPE_ONLINE_STORE", "redis://cache:6379")
    outside = config.feature_store(file).model
    assert outside.registry == "postgresql+psycopg://feast@db/feast"
    assert outside.online_store["type"] == "redis"
