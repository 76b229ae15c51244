"""What lies beside an artifact, or why it cannot be shown: for a page it is the same whether it is there or not."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import MANIFEST, ONLINE, REPORT, VERDICT, Manifest
from airflow_provider_mlpipe.errors import ArtifactCorruptError, MlpipeError, redact
from airflow_provider_mlpipe.plugins.vault import RefusedError
from airflow_provider_mlpipe.reporting import content

if TYPE_CHECKING:
    from airflow_provider_mlpipe.plugins.vault import Vault
    from airflow_provider_mlpipe.reporting.markup import Safe

__all__ = ["Found", "Missing", "described", "drawn", "report_file"]

log = logging.getLogger(__name__)

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What drawing raises on a file that is not what we wrote."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Why something is not shown: a headline, a sentence, and the status of HTTP that goes with it."""

    headline: str
    why: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """A published artifact.

    Attributes:
        manifest: its manifest.
        passed: whether exactly this content passed validation; None if it was not judged.
        online: what was done with it in the feature store; empty if nothing was.
    """

    manifest: Manifest
    passed: bool | None
    online: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A verdict as it is shown, and the summary that it was drawn from."""

    body: Safe
    summary: Mapping[str, Any]


def drawn(vault: Vault, report: object) -> Drawn | Missing:
    """Return the verdict beside which a report lies.

    Args:
        vault: what may be read.
        report: the report's address, as a task pushed it.
    """
    place = _folder_of(vault, report)
    raw = place if isinstance(place, Missing) else _read(vault, place, VERDICT)
    if isinstance(raw, Missing):
        return raw
    try:
        summary = _summary(raw)
        return Drawn(body=content(summary), summary=summary)
    except _UNREADABLE as error:
        log.warning("%s of %s cannot be shown: %r", VERDICT, redact(str(report)), error)
        return Missing(
            headline="The report cannot be shown",
            why=f"`{VERDICT}` is there, but it is not what this release writes. The file `{REPORT}` beside it may be.",
            status=422,
        )


def report_file(vault: Vault, report: object) -> bytes | Missing:
    """Return the report as the file that it is."""
    place = _folder_of(vault, report)
    return place if isinstance(place, Missing) else _read(vault, place, REPORT)


def described(vault: Vault, address: object) -> Found | Missing:
    """Return what an artifact says of itself."""
    try:
        place = vault.folder(address)
    except RefusedError as refused:
        return _refused(refused)
    raw = _read(vault, place, MANIFEST)
    if isinstance(raw, Missing):
        return raw
    try:
        manifest = Manifest.from_json(raw, place)
    except (ArtifactCorruptError, RecursionError) as error:
        return Missing(headline="The artifact cannot be shown", why=redact(str(error)), status=422)
    verdict, online = (_beside(vault, place, name) for name in (VERDICT, ONLINE))
    judged = verdict.get("meta", {}).get("mlpipe", {}) if isinstance(verdict.get("meta"), Mapping) else {}
    same = isinstance(judged, Mapping) and judged.get("fingerprint") == manifest.fingerprint
    return Found(
        manifest=manifest,
        passed=bool(judged.get("passed")) if same else None,
        online=online if online.get("fingerprint") == manifest.fingerprint else {},
    )


def _folder_of(vault: Vault, report: object) -> str | Missing:
    if not isinstance(report, str) or not report.endswith(f"/{REPORT}"):
        return _refused(RefusedError(f"What the task pushed is not the address of a `{REPORT}`."))
    try:
        return vault.folder(report.removesuffix(f"/{REPORT}"))
    except RefusedError as refused:
        return _refused(refused)


def _read(vault: Vault, place: str, name: str) -> bytes | Missing:
    try:
        content = vault.read(place, name)
    except RefusedError as refused:
        return _refused(refused)
    except (MlpipeError, OSError, ImportError) as error:
        log.warning("%s of %s cannot be read: %s", name, redact(place), redact(str(error)))
        why = f"The API server cannot read `{name}` now: {redact(str(error))}"
        return Missing(headline="The storage does not answer as it should", why=why, status=502)
    if content is None:
        why = f"There is no `{name}` any more: it was deleted, or the API server sees another storage than the workers."
        return Missing(headline="It is not there", why=why, status=404)
    return content


def _beside(vault: Vault, place: str, name: str) -> Mapping[str, Any]:
    """Return a JSON object that need not be there."""
    raw = _read(vault, place, name)
    try:
        found = {} if isinstance(raw, Missing) else json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _summary(raw: bytes) -> Mapping[str, Any]:
    summary = json.loads(raw)["meta"]["mlpipe"]
    if not isinstance(summary, Mapping):
        raise TypeError("meta.mlpipe is no object")
    return summary


def _refused(refused: RefusedError) -> Missing:
    return Missing(headline="Not served", why=str(refused), status=403)
