"""When a task is tried again: what a later try may mend is, and what it cannot mend never."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.errors import MlpipeError, Terminal, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context

__all__ = ["retry_policy"]

LONGEST = timedelta(hours=1)
"""What a server asks for beyond that is cut short."""


def retry_policy(longest: timedelta = LONGEST) -> Any:  # noqa: ANN401 - no such class before Airflow 3.3
    """Return a ``retry_policy`` by the errors of this package; None before Airflow 3.3, which has no such thing.

    A server that says when to come back is asked again then; what is transient otherwise, after the task's
    ``retry_delay`` and its back-off; what a retry cannot mend fails the task at once. Of other exceptions Airflow's own
    rules hold. Our operators have it by themselves; give it to functions that call the stages.

    Example::

        @task(retries=3, retry_policy=retry_policy())
        def count() -> int: ...

    Args:
        longest: a server that asks for a longer pause is asked again after this.
    """
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:
        return None

    class MlpipeRetryPolicy(RetryPolicy):
        """Decides by the error of this package that an exception is, or was caused by."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
        ) -> RetryDecision:
            """Decide; the reason is a line in the task's log."""
            del try_number, max_tries, context
            error = next(_ours(exception), None)
            if error is None:
                return RetryDecision.default()
            reason = error.message.splitlines()[0]
            if isinstance(error, Terminal):
                return RetryDecision.fail(reason=reason)
            if not isinstance(error, Transient):
                return RetryDecision.default()
            wait = error.fields.get("retry_after")
            delay = None if wait is None else min(timedelta(seconds=float(wait)), longest)
            return RetryDecision.retry(delay=delay, reason=reason)

    return MlpipeRetryPolicy()


def _ours(exception: BaseException | None) -> Iterator[MlpipeError]:
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        if isinstance(exception, MlpipeError):
            yield exception
        exception = exception.__cause__ or exception.__context__
