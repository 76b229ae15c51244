"""Starts materialisations and kills them: a program of its own, that `test_kills` talks to line by line.

It forks a child per attempt, from a process that has imported everything and opened nothing: an import of Feast would
cost six CPU seconds each time. What to import it learns from a first child, that runs undisturbed.

One request per line, ``{"uri", "root", "settings", "rollback", "after"}``; after so many seconds the child gets
SIGKILL, unless `after` is null. One answer per line, ``{"killed", "code", "seconds"}``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
import warnings
from typing import Any

from airflow_provider_mlpipe.artifacts import Artifact, Storage
from airflow_provider_mlpipe.config import FeatureStore
from airflow_provider_mlpipe.feature_store import materialize, rollback


def work(request: dict[str, Any]) -> None:
    """Do what the request says; in a child."""
    artifact, root = Artifact.open(request["uri"]), Storage(request["root"])
    store = FeatureStore(**request["settings"])
    if request["rollback"]:
        rollback(request["rollback"], artifact, store=store, root=root)
    else:
        materialize(artifact, store, root=root)


def fork(request: dict[str, Any], report: int | None = None) -> int:
    """Return the process id of a child that does it, and then writes to `report` which modules it has loaded."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work(request)
        if report is not None:
            os.write(report, "\n".join(sys.modules).encode())
        code = 0
    except BaseException:  # noqa: BLE001 - it must not return into the loop of its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def watched(request: dict[str, Any]) -> dict[str, Any]:
    """Run one child, kill it in time, and say how it ended."""
    started = time.monotonic()
    child = fork(request)
    handle = os.pidfd_open(child)
    try:
        ended, _, _ = select.select([handle], [], [], request["after"])
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    finally:
        os.close(handle)
    code = os.waitstatus_to_exitcode(status)
    return {"killed": code == -signal.SIGKILL, "code": code, "seconds": time.monotonic() - started}


def warm_up(request: dict[str, Any]) -> None:
    """Import what a child needs."""
    readable, writable = os.pipe()
    child = fork(request, writable)
    os.close(writable)
    with os.fdopen(readable) as stream:
        names = stream.read().split("\n")
    os.waitpid(child, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def main() -> None:
    """Answer requests until there are no more."""
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        if number == 0:
            warm_up(request)
        sys.stdout.write(json.dumps(watched(request)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
