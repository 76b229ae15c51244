"""What to say when the engine refuses one rule's statement, which is no reason to give up the others."""

from __future__ import annotations

from airflow_provider_mlpipe import engines

__all__ = ["refusal"]


def refusal(error: Exception) -> str:
    """Return why the engine could not compute something, as a clause.

    Args:
        error: what was raised.

    Raises:
        Exception: `error` itself, if it is not the engine's, or if it says that the data cannot be read or that the
            engine went away: that is about more than one rule.
    """
    found = engines.refusal(error)
    if found is None or found.unreadable or found.lost:
        raise error
    if found.out_of_memory:
        return "it needs more memory than the engine's memory_limit and could not spill; raise memory_limit"
    return f"the engine cannot compute it: {found.problem}"
