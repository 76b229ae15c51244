"""What to say when the engine refuses one rule's statement, which is no reason to give up the others."""

from __future__ import annotations

__all__ = ["refusal"]


def refusal(error: Exception) -> str:
    """Return why the engine could not compute something, as a clause.

    Args:
        error: what DuckDB raised.

    Raises:
        Exception: `error` itself, if it says that the data cannot be read: that is about more than one rule.
    """
    import duckdb

    if isinstance(error, duckdb.IOException):
        raise error
    if isinstance(error, duckdb.OutOfMemoryException):
        return "it needs more memory than the engine's memory_limit and could not spill; raise memory_limit"
    return f"the engine cannot compute it: {str(error).splitlines()[0]}"
