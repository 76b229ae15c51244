"""Loading Great Expectations: late, because it costs seconds of CPU, and without the warnings of its own imports."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_great_expectations"]

_CONNECT = "pyspark.sql.connect"


def load_great_expectations() -> None:
    """Import the library, so that importing any part of it afterwards is quick and quiet.

    It imports modules that Python has deprecated, which is not for our users to hear (or, where warnings are errors,
    to fail of).
    """
    with warnings.catch_warnings(), _without_spark_connect():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations.expectations  # noqa: F401


@contextmanager
def _without_spark_connect() -> Iterator[None]:
    """Let Great Expectations do without Spark Connect, which it imports where pyspark is installed.

    In ``python -c`` and the like, pyspark (4.3) takes that import for a run of its doctests, and without gRPC it ends
    the process: silently, as a success.
    """
    if _CONNECT in sys.modules:
        yield
        return
    sys.modules[_CONNECT] = None  # type: ignore[assignment] # how Python says that there is no such module
    try:
        yield
    finally:
        del sys.modules[_CONNECT]
