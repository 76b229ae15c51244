"""DynamoDB for tests: dynalite as the server, and a process whose boto3 is the one that Feast's store goes with.

Feast's DynamoDB store imports aiobotocore, which wants an older botocore than the environment has. So it is installed
into a folder of its own, which one child process puts before everything else; what a test wants done with the store is
done over there, and the test looks at the answer.
"""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import shutil
import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from airflow_provider_mlpipe.errors import MlpipeError
from airflow_provider_mlpipe.feature_store import open_store
from airflow_provider_mlpipe.feature_store.translation import quiet
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.config import FeatureStore

__all__ = ["Elsewhere", "apply", "dynalite", "elsewhere", "insisted", "read_by_stock", "without_keys"]

PYTHON = Path(sys.prefix) / "dynamodb-python"
SERVER = Path(sys.prefix) / "dynamodb-node" / "node_modules" / "dynalite" / "cli.js"
HOW = f"make {Path(sys.prefix).name}/.installed-dynamodb (needs npm)"

KEYS = {"AWS_ACCESS_KEY_ID": "the-key-of-a-test", "AWS_SECRET_ACCESS_KEY": servers.PASSWORD}
ENVIRONMENT = {
    **KEYS,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "2",  # botocore's default is ten, which is half a minute for a server that is down
}


@contextmanager
def dynalite() -> Iterator[str]:
    """Start dynalite in memory and yield its URL; its tables are there at once, not after half a second."""
    node = shutil.which("node")
    if node is None or not SERVER.exists():
        pytest.skip(f"no DynamoDB server: {HOW}")
    [port] = servers.free_ports()
    command = [node, str(SERVER), "--host", "127.0.0.1", "--port", str(port)]
    command += [part for kind in ("create", "delete", "update") for part in (f"--{kind}TableMs", "0")]
    with servers.process(command, lambda: servers.answers(port)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Start the other process."""
    if not (PYTHON / "aiobotocore").is_dir():
        pytest.skip(f"no client that goes with Feast's DynamoDB store: {HOW}")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare, initargs=(str(PYTHON),)) as pool:
        yield Elsewhere(pool)


@dataclass
class Elsewhere:
    """Calls functions over there.

    Attributes:
        told: everything that the last call logged, and the traceback of its error.
    """

    pool: ProcessPoolExecutor
    told: str = field(default="", init=False)

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return what `function` returns over there, or raise what it raises."""
        value, error, self.told = self.pool.submit(_answer, function, args, kwargs).result()
        assert servers.PASSWORD not in self.told
        if error is not None:
            raise error
        return value


def _prepare(folder: str) -> None:
    assert not {"boto3", "botocore"} & sys.modules.keys()
    sys.path.insert(0, folder)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(ENVIRONMENT)
    assert metadata.version("botocore").startswith("1.43.")


def _answer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, str]:
    """Return the value, the error and the log of a call; what is no error of ours comes back as its text."""
    log = io.StringIO()
    handler, everything = logging.StreamHandler(log), logging.getLogger()
    everything.addHandler(handler)
    everything.setLevel(logging.INFO)
    value, error = None, None
    try:
        value = function(*args, **kwargs)
    except Exception as raised:  # noqa: BLE001 - the test decides
        log.write(traceback.format_exc())
        error = raised if isinstance(raised, MlpipeError) else AssertionError(traceback.format_exc())
    finally:
        everything.removeHandler(handler)
    return value, error, log.getvalue()


# ------------------------------------------------------------------ what tests have done over there


def without_keys(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in an environment without credentials."""
    import boto3

    for name in KEYS:
        del os.environ[name]
    boto3.setup_default_session()  # the one from before remembers
    try:
        return function(*args, **kwargs)
    finally:
        os.environ.update(KEYS)
        boto3.setup_default_session()


def read_by_stock(store: FeatureStore, root: Storage, view: str, keys: list[dict[str, Any]], feature: str) -> list[Any]:
    """Return what Feast's own class answers, on the same registry and table."""
    opened = open_store(store, root)
    opened.config.online_config = dict(store.online_store)
    opened.config._online_store = None
    with quiet():
        provider = type(opened.provider)(opened.config)
        assert type(provider.online_store).__module__ == "feast.infra.online_stores.dynamodb"
        opened._provider = provider
        answer = opened.get_online_features(features=[f"{view}:{feature}"], entity_rows=keys).to_dict()
    return list(answer[feature])


def insisted(answers: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return what our class makes of these answers to requests for keys 1 to 3, and what it asked."""
    from airflow_provider_mlpipe.feature_store import feast_dynamodb

    class Client:
        asked: ClassVar[list[Any]] = []

        def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
            self.asked.append(RequestItems["t"])
            return answers[len(self.asked) - 1]

    client, feast_dynamodb.PATIENCE = Client(), 2
    found = feast_dynamodb._Thorough(client).batch_get_item(RequestItems={"t": {"Keys": [1, 2, 3], "Projection": "p"}})
    return found["Responses"].get("t", []), client.asked


def apply(folder: str) -> None:
    """Do what `feast apply` does, for a repository."""
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total

    sys.path.insert(0, folder)
    try:
        with quiet():
            apply_total(load_repo_config(Path(folder), Path(folder, "feature_store.yaml")), Path(folder), True)
    finally:
        sys.path.remove(folder)
