"""From the ``feature_store`` section to Feast's configuration, and what is said when that does not work."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.errors import ConfigError, StoreRejectedError, StoreUnavailableError
from airflow_provider_mlpipe.feature_store import open_store
from airflow_provider_mlpipe.feature_store.definitions import Definition
from airflow_provider_mlpipe.feature_store.locks import held
from airflow_provider_mlpipe.feature_store.settings import Settings
from airflow_provider_mlpipe.feature_store.translation import hidden_values, hide, quiet, translated
from tests import servers
from tests.feature_store.feature_artifacts import features, scores

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


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ProvisionedThroughputExceededException", StoreUnavailableError),
        ("ThrottlingException", StoreUnavailableError),
        ("ResourceInUseException", StoreUnavailableError),
        ("ResourceNotFoundException", StoreRejectedError),
        ("InvalidSignatureException", StoreRejectedError),
    ],
)
def test_a_busy_aws_can_be_tried_again_and_what_it_quotes_is_hidden(
    root: Storage, monkeypatch: pytest.MonkeyPatch, code: str, error: type[Exception]
) -> None:
    """AWS quotes the request that it refuses, with the token that it was signed with."""
    from botocore.session import get_session

    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    settings = Settings.of(FeatureStore(online_store={"type": "dynamodb", "region": "eu-west-1"}), root)
    client = get_session().create_client("dynamodb", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    answer = {"Error": {"Code": code, "Message": f"x-amz-security-token:{SECRET}"}}
    with pytest.raises(error) as caught, translated(settings.secrets, doing="read"):
        raise client.exceptions.from_code(code)(answer, "BatchGetItem")
    assert "BatchGetItem operation: x-amz-security-token:***" in str(caught.value)
    assert caught.value.__cause__ is None


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


SPARK = {
    "type": "spark",
    "spark_conf": {"spark.master": "spark://cluster:7077", "spark.hadoop.fs.s3a.secret.key": SECRET},
}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"offline_store": {"type": "bigquery"}}, "type is 'bigquery'; it is duckdb or spark"),
        ({"offline_store": {"spark_conf": {}}}, "type is None; it is duckdb or spark"),
        ({"offline_store": {"type": "duckdb", "staging_location": "x"}}, "duckdb has no settings here"),
        ({"engine": "spark"}, "engine: spark needs offline_store: {type: spark, ...}"),
        ({"engine": "spark", "offline_store": SPARK}, "SQLite has one writer; give a server"),
        ({"repo": "x", "offline_store": SPARK}, "repo says where Feast is, and so does offline_store"),
    ],
)
def test_stores_and_engines_that_do_not_go_together(section: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("{", r"\{").replace("}", r"\}")):
        FeatureStore.model_validate(section)


def test_on_spark_feast_gets_its_own_settings_and_sources(root: Storage) -> None:
    online = {"type": "redis", "connection_string": "cache:6379"}
    settings = Settings.of(FeatureStore(engine="spark", offline_store=SPARK, online_store=online), root)
    assert settings.by_spark
    assert SECRET in settings.secrets
    assert SECRET not in repr(settings)
    conf = settings.spark["spark_conf"]
    assert (conf["spark.master"], conf["spark.sql.session.timeZone"]) == ("spark://cluster:7077", "UTC")
    with quiet():  # Feast says of its Spark sources that they are experimental
        source = Definition.of(features(root, scores(2))).objects("s3://lake/x/*.parquet", by_spark=True)[1]
    assert (type(source).__name__, source.path, source.file_format) == (
        "SparkSource",
        "s3a://lake/x/*.parquet",
        "parquet",
    )
    assert (source.timestamp_field, source.created_timestamp_column) == ("event_timestamp", "created_timestamp")


def test_a_store_whose_client_is_not_installed_says_what_to_install(
    root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "aiobotocore" else find(name, *more)
    )
    dynamo = FeatureStore(online_store={"type": "dynamodb", "region": "eu-west-1"})
    with pytest.raises(ConfigError, match="'dynamodb' needs aiobotocore, which is not installed") as caught:
        open_store(dynamo, root)
    assert caught.value.hint == "pip install 'feast[aws]'"
