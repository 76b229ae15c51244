"""What the engines raise, told apart without importing an engine that is not in use."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from airflow_provider_mlpipe.engines.interruption import heed
from airflow_provider_mlpipe.wording import redact

__all__ = ["NotOnSparkError", "Refusal", "refusal"]


class NotOnSparkError(Exception):
    """A statement has no form that means the same on Spark; the text says what of it has none."""


@dataclass(frozen=True)
class Refusal:
    """What an engine said.

    Attributes:
        problem: its first line.
        out_of_memory: whether it wanted more memory, or more room to spill, than it may have.
        lost: whether the engine itself went away, so that trying again may help.
        unreadable: whether it could not read the data at all.
    """

    problem: str
    out_of_memory: bool = False
    lost: bool = False
    unreadable: bool = False


def refusal(error: BaseException) -> Refusal | None:
    """Return what an engine means by an exception; None if it is not an engine's.

    An engine that a signal has called off means nothing by it: what the signal's handler raises is raised here.
    """
    heed()
    if isinstance(error, NotOnSparkError):
        return Refusal(str(error))
    duckdb: Any = sys.modules.get("duckdb")
    if duckdb is not None and isinstance(error, duckdb.Error):
        return Refusal(
            _first_line(error),
            out_of_memory=isinstance(error, duckdb.OutOfMemoryException),
            unreadable=isinstance(error, duckdb.IOException),
        )
    py4j: Any = sys.modules.get("py4j.protocol")
    if py4j is not None and isinstance(error, py4j.Py4JError | ConnectionError):
        java = getattr(error, "java_exception", None)
        text = str(java) if java is not None else str(error)
        return Refusal(_first_line(text), out_of_memory="OutOfMemoryError" in text, lost=java is None)
    pyspark: Any = sys.modules.get("pyspark.errors")
    if pyspark is not None and isinstance(error, pyspark.PySparkException):
        text = str(error)
        lost = any(sign in text for sign in ("ExecutorLostFailure", "SparkContext was shut down", "FetchFailed"))
        unreadable = any(sign in text for sign in ("FAILED_READ_FILE", "PATH_NOT_FOUND", "FileNotFoundException"))
        return Refusal(_first_line(text), out_of_memory="OutOfMemory" in text, lost=lost, unreadable=unreadable)
    return None


def _first_line(error: object) -> str:
    return redact((str(error).strip() or type(error).__name__).splitlines()[0])
