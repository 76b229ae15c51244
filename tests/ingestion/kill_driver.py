"""Starts reads and kills them: a program of its own, that `test_kills` talks to line by line.

It forks a child per attempt, from a process that has imported everything and opened nothing: a start of Python with
these imports would cost seconds each time. What to import it learns from a first child, that runs undisturbed.

One request per line: ``{"kind", "source", "root", "s3", "try", "calls", "seconds"}``. The child gets SIGKILL when it
has made so many calls of functions (it sends it to itself), or after so many seconds (from here), or never if both are
null. One answer per line: ``{"killed", "code", "calls", "seconds"}``.
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

import tests.ingestion.places
from airflow_provider_mlpipe.artifacts import S3Options, Storage
from airflow_provider_mlpipe.run import Run
from tests.ingestion.support import DAY


class Calls:
    """Counts calls of Python's functions and of those of C, and ends the process at one of them."""

    def __init__(self, last: int | None) -> None:
        self.count, self._last = 0, last

    def __call__(self, *_: Any) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def work(request: dict[str, Any]) -> None:
    """Read as the request says; in a child."""

    def replace(name: str, stand_in: Any) -> None:
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, stand_in)

    options = S3Options(**request["s3"]) if request["s3"] else S3Options()
    getattr(tests.ingestion.places, request["kind"]).hide(replace)
    source = {**request["source"], "connection": options if request["s3"] else None}
    run = Run(dag_id="tests", interval=DAY.interval, try_number=request["try"])
    tests.ingestion.places.take(source, Storage(request["root"], options), run)


def fork(request: dict[str, Any], report: int) -> int:
    """Return the process id of a child that does it, and then writes how many calls that were, and its modules."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        calls = Calls(request["calls"])
        sys.setprofile(calls)
        try:
            work(request)
        finally:
            sys.setprofile(None)
        with os.fdopen(report, "w") as file:
            json.dump({"calls": calls.count, "modules": list(sys.modules)}, file)
        code = 0
    except BaseException:  # noqa: BLE001 - it must not return into the loop of its parent
        traceback.print_exc()
    finally:
        os._exit(code)


def watched(request: dict[str, Any]) -> dict[str, Any]:
    """Run one child, kill it in time, and say how it ended."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = fork(request, writing)
    os.close(writing)
    handle = os.pidfd_open(child)
    seconds = request["seconds"]
    if seconds is not None and not select.select([handle], [], [], seconds)[0]:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    said: dict[str, Any] = {}
    with os.fdopen(reading) as file, contextlib.suppress(json.JSONDecodeError):  # killed while it reported
        said = json.loads(file.read())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(handle)
    for name in said.pop("modules", ()):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return {"killed": code == -signal.SIGKILL, "code": code, "seconds": time.monotonic() - started, **said}


def main() -> None:
    """Answer until there is no more to read."""
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        print(json.dumps(watched(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
