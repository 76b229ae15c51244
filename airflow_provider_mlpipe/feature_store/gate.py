"""The gate: nothing goes online unless all that it was computed from has passed validation, exactly as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import Artifact
from airflow_provider_mlpipe.errors import ArtifactError, ArtifactNotFoundError, GateClosedError, redact

if TYPE_CHECKING:
    from airflow_provider_mlpipe.artifacts import Input

__all__ = ["check"]


def check(artifact: Artifact) -> None:
    """Pass if every input of the artifact, and theirs, is still what it was and has a passed verdict.

    What rows were taken out of may have failed: the verdict on the rows that were left vouches for them (ADR 5). What
    mapped tasks published need not be judged apart where it was judged together (ADR 6); a part that was, and failed,
    counts.

    Raises:
        GateClosedError: one has not; names it, why, and what to do.
        ArtifactError: the storage does not answer, so nothing can be said.
    """
    own = artifact.verdict()
    if own is not None and not own.get("passed"):
        raise _closed(artifact, "it was validated itself, and failed", f"mlpipe validate {redact(artifact.uri)}")
    if not artifact.manifest.inputs:
        hint = "extract the features from validated artifacts (mlpipe extract)"
        raise _closed(artifact, "its manifest names no inputs, so nothing says what it was computed from", hint)
    seen: set[tuple[str, str, str]] = set()
    waiting = [(source, artifact) for source in artifact.manifest.inputs]
    while waiting:
        source, user = waiting.pop()
        # The same input may be vouched for on one way here and not on another.
        vouched = _vouched(source, user)
        if (source.uri, source.fingerprint, vouched) in seen:
            continue
        seen.add((source.uri, source.fingerprint, vouched))
        found = _passed(source, user, artifact, vouched=vouched)
        waiting += [(above, found) for above in found.manifest.inputs]


def _vouched(source: Input, user: Artifact) -> str:
    """Return how `user`, having passed, vouches for `source`; empty if it does not.

    ``left``: it is what was left of `source` after bad rows were taken out. ``all``: it is all that mapped tasks
    published, `source` among it.
    """
    details = user.manifest.details
    taken = details.get("quarantine")
    origin = taken.get("of") if isinstance(taken, dict) else None
    left = origin == {"uri": source.uri, "fingerprint": source.fingerprint}
    if not (left or details.get("gathered")) or (user.verdict() or {}).get("passed") is not True:
        return ""
    return "left" if left else "all"


def _passed(source: Input, user: Artifact, artifact: Artifact, *, vouched: str) -> Artifact:
    """Return the input, if it is what it was and has passed, or `user` vouches for it."""
    place = redact(source.uri)
    again = f"mlpipe validate {place}"
    try:
        found = Artifact.open(source.uri, user.place.options)
    except ArtifactNotFoundError:
        hint = "make that input again, validate it, and extract the features from it"
        raise _closed(artifact, "it is gone: there is no artifact any more", hint, source) from None
    if found.fingerprint != source.fingerprint:
        why = (
            f"it has changed since: the features were computed from {source.fingerprint}, it is {found.fingerprint} now"
        )
        raise _closed(artifact, why, f"{again}, then extract the features again", source)
    if vouched == "left":
        return found
    try:
        verdict = found.verdict()
    except ArtifactError as error:
        raise _closed(artifact, f"its verdict cannot be read ({redact(error.message)})", again, source) from error
    if verdict is None and vouched:
        return found
    if verdict is None:
        raise _closed(artifact, "it has no verdict for this content: it was not validated", again, source)
    if verdict.get("passed") is not True:
        failed = verdict.get("errors", verdict.get("failed", ""))
        count = f" ({failed} rules)" if failed else ""
        why = f"it failed validation{count}; report: {redact(str(verdict.get('report') or place))}"
        raise _closed(artifact, why, f"repair the data, then {again}, then extract the features again", source)
    return found


def _closed(artifact: Artifact, why: str, then: str, source: Input | None = None) -> GateClosedError:
    which = "" if source is None else f" Input {source.name!r} at {redact(source.uri)}:"
    return GateClosedError(
        f"{redact(artifact.uri)} does not go online.{which} {why}.",
        hint=f"Next: {then}. (feature_store.require_validation: false lets it through, and says so.)",
        artifact=redact(artifact.uri),
        input="" if source is None else source.name,
        why=why,
    )
