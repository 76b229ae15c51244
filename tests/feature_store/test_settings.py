"""From the ``feature_store`` section to Feast's configuration, and what is said when that does not work."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError, StoreUnavailableError
from airflow_provider_mlpipe.feature_store import open_store
from airflow_provider_mlpipe.feature_store.locks import held
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import hidden_values, hide, translated
from tests import servers

BUCKET = Storage("s3://lake/features", S3Options(endpoint_url="http://127.0.0.1:1"))
SECRET = servers.PASSWORD


def test_everything_is_below_a_local_root(root: Storage) -> None:
    settings = Settings.of(FeatureStore(), root)
    assert settings.registry == f"sqlite:///{root.root}/_feast/registry.db"
    assert settings.online == {"type": "sqlite", "path": f"{root.root}/_feast/online.db"}


def test_a_path_is_a_registry_file_and_a_url_a_database(root: Storage, tmp_path: Path) -> None:
    file = Settings.of(FeatureStore(registry=str(tmp_path / "registry.pb")), root)
    assert (file.registry, file.registry_is_file) == (str(tmp_path / "registry.pb"), True)
    url = Settings.of(FeatureStore(registry="postgresql://ann@db/feast"), root)
    assert (url.registry, url.registry_is_file) == ("postgresql+psycopg://ann@db/feast", False)
    relative = Settings.of(
        FeatureStore(registry="sqlite:///r.db", online_store={"type": "sqlite", "path": "o.db"}), root
    )
    assert relative.registry == f"sqlite:///{Path.cwd()}/r.db"
    assert relative.online["path"] == f"{Path.cwd()}/o.db"


@pytest.mark.parametrize(
    ("store", "key"),
    [
        (FeatureStore(), "feature_store.online_store"),
        (FeatureStore(online_store={"type": "sqlite"}), "feature_store.online_store"),
        (FeatureStore(online_store={"type": "sqlite", "path": "/x/online.db"}), "feature_store.registry"),
        (FeatureStore(online_store={"type": "redis"}), "feature_store.registry"),
    ],
)
def test_a_bucket_as_root_needs_places_for_registry_and_online_store(store: FeatureStore, key: str) -> None:
    with pytest.raises(ConfigError, match="s3://lake/features is a bucket, which cannot hold it") as caught:
        Settings.of(store, BUCKET)
    assert caught.value.fields["key"] == key
    assert "feature_store.registry to an SQL URL" in caught.value.hint
    assert "feature_store.online_store to {type: redis" in caught.value.hint


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"registry": "s3://lake/registry.pb"}, "a registry file on s3:// loses what writers do at the same time"),
        ({"online_store": {"path": "x"}}, "the kind of online store is missing"),
        ({"online_store": {"type": "rediss"}}, "no type of online store named 'rediss'. Did you mean 'redis'"),
        ({"online_store": {"type": "redis", "pasword": SECRET}}, "pasword: Extra inputs are not permitted"),
        ({"online_store": {"type": "redis", "connection_string": 6379}}, "connection_string: "),
        ({"online_store": {"type": "sqlite", "path": "/proc/no/online.db"}}, "cannot create /proc/no: No such file"),
    ],
)
def test_mistakes_are_named_without_their_values(root: Storage, section: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(FeatureStore(**section), root)
    assert said in caught.value.message
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or SECRET not in str(caught.value.__context__)


def test_a_registry_that_does_not_answer_can_be_tried_again(root: Storage) -> None:
    [port] = servers.free_ports()
    with pytest.raises(StoreUnavailableError, match="open its registry: OperationalError") as caught:
        open_store(FeatureStore(registry=f"postgresql://ann:{SECRET}@127.0.0.1:{port}/feast"), root)
    assert SECRET not in str(caught.value)


def test_a_registry_that_is_no_registry_is_refused(root: Storage, tmp_path: Path) -> None:
    (tmp_path / "registry.pb").write_bytes(b"not a registry at all")
    with pytest.raises(StoreRejectedError, match="open its registry: DecodeError"):
        open_store(FeatureStore(registry=str(tmp_path / "registry.pb")), root)


def test_secrets_are_found_wherever_they_stand_in_the_settings() -> None:
    found = hidden_values(
        {
            "connection_string": "cache:6379,ssl=true,password=pa,55,db=0",
            "registry": "mysql+pymysql://u:p:w/1@h/d?ssl_key_token=tok",
            "aws_secret_access_key": "abc",
            "path": "/data/password/online.db",
        }
    )
    assert set(found) == {"pa", "p:w/1", "tok", "abc"}
    assert hide("WRONGPASS for p:w/1 with abc", found) == "WRONGPASS for *** with ***"


def test_an_error_whose_cause_names_a_secret_loses_its_cause() -> None:
    with pytest.raises(StoreRejectedError) as caught, translated((SECRET,), doing="do it"):
        raise ValueError(f"cannot use {SECRET}")
    assert caught.value.message == "the feature store could not do it: ValueError: cannot use ***"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(StoreRejectedError) as caught, translated((SECRET,), doing="do it"):
        raise ValueError("plain")
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_lock_is_waited_for_and_given_up_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    lock = tmp_path / "below" / "a.lock"
    with (
        held(lock, what="the store"),
        pytest.raises(StoreUnavailableError, match="the store is locked by another process"),
        held(lock, what="the store", seconds=0),
    ):
        pytest.fail("two hold one lock")
    with contextlib.suppress(RuntimeError), held(lock, what="the store", seconds=0):
        raise RuntimeError  # an error releases it
    with held(lock, what="the store", seconds=0):
        pass


def test_importing_the_room_is_light() -> None:
    heavy = "{'airflow', 'boto3', 'duckdb', 'feast', 'great_expectations', 'ibis', 'pandas', 'pyarrow', 'sqlalchemy'}"
    program = f"import sys, airflow_provider_mlpipe.feature_store; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
