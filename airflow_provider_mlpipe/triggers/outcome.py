"""What a trigger tells the task that waits: something is there, looking failed, or the time is over. Plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe import errors
from airflow_provider_mlpipe.errors import MlpipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["arrived", "expired", "facts_of", "failed"]


def arrived(facts: Mapping[str, Any], deadline: float | None = None) -> dict[str, Any]:
    """Return the event of something that is there; `deadline` is until when a task would have waited."""
    return {"status": "success", "found": dict(facts), "deadline": deadline}


def failed(error: MlpipeError) -> dict[str, Any]:
    """Return the event of an error that ends the waiting; its texts hold no secret."""
    said = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"status": "error", **said, "retry_after": error.fields.get("retry_after")}


def expired(seconds: float, last: MlpipeError | None) -> dict[str, Any]:
    """Return the event of time that is over.

    Args:
        seconds: how long was waited.
        last: what the last look failed with, if it did.
    """
    reason = "" if last is None else f" The last look failed: {last.message}"
    return {"status": "timeout", "message": f"nothing came in {seconds:,.0f} s.{reason}"}


def facts_of(event: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what was found, in the task that a trigger woke.

    Raises:
        AirflowSensorTimeout: the time is over, which no retry gives back.
        MlpipeError: looking failed; if it is transient, the task's retries apply.
    """
    from airflow.providers.common.compat.sdk import AirflowSensorTimeout

    event = event or {"status": "error", "kind": "", "message": "the trigger ended without a word", "hint": ""}
    if event["status"] == "success":
        return dict(event["found"])
    if event["status"] == "timeout":
        raise AirflowSensorTimeout(event["message"])
    kind = getattr(errors, event["kind"], MlpipeError) if event["kind"] in errors.__all__ else MlpipeError
    raise kind(event["message"], hint=event["hint"], retry_after=event.get("retry_after"))
