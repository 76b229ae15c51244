"""Loading Great Expectations: late, because it costs seconds of CPU, and without the warnings of its own imports."""

from __future__ import annotations

import warnings

__all__ = ["load_great_expectations"]


def load_great_expectations() -> None:
    """Import the library, so that importing any part of it afterwards is quick and quiet.

    It imports modules that Python has deprecated, which is not for our users to hear (or, where warnings are errors,
    to fail of).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations.expectations  # noqa: F401
