"""Results by content: what was computed once from the same inputs by the same definition is not computed again.

The key of a result is a digest of all that decides it: the fingerprints of the inputs, the definition, the moments, the
chunk, the engine and the versions. It stands in the artifact's manifest. An artifact with the right key at its own
address is taken as it is. One at another address is found by ``{set}/cache/{key}.json`` and copied, since every run has
an artifact of its own, with its own inputs for the gate to follow. The files only point: they may be removed at any
time, and several runs may write them at once, as whatever they point to is checked before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter
from airflow_provider_mlpipe.errors import ArtifactError
from airflow_provider_mlpipe.feature_extraction.proof import PROOF

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Description, Storage

__all__ = ["CACHE_KEY", "content_key", "remember", "reused"]

_log = logging.getLogger(__name__)

CACHE_KEY = "cache_key"
"""The name of the key among the manifest's details."""


def content_key(description: Description, schema: pa.Schema, *, engine: str) -> str:
    """Return the key of the result that a description announces."""
    content = {
        "dataset": description.dataset,
        "stage": description.stage,
        "inputs": sorted([item.name, item.fingerprint] for item in description.inputs),
        "details": description.details,
        "schema": [[item.name, str(item.type)] for item in schema],
        "engine": engine,
        "versions": [version("airflow-provider-mlpipe"), version("duckdb")],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]


def reused(root: Storage, description: Description, key: str, metrics: Mapping[str, Any]) -> Artifact | None:
    """Return an artifact of that key at the description's address, copied there if need be; None if there is none.

    Args:
        root: the artifact root.
        description: what the artifact would be if it were computed, without the key.
        key: from `content_key`.
        metrics: what a copy says of its own run, beside what the original counted.
    """
    own = _opened(root, description.folder, key)
    if own is not None and own.manifest.inputs == description.inputs:
        _log.info("%s: unchanged, nothing was computed: %s", description.dataset, own.uri)
        return own
    try:
        pointer = json.loads(root.below(f"{description.dataset}/cache").read(f"{key}.json") or b"{}")
        other = own or _opened(root, str(pointer["folder"]), key)
    except (ValueError, KeyError, TypeError):
        return None
    return None if other is None else _copied(root, description, other, key, metrics)


def remember(root: Storage, artifact: Artifact, description: Description, key: str) -> None:
    """Let later runs find an artifact by its key."""
    del artifact
    content = json.dumps({"folder": description.folder}).encode()
    root.below(f"{description.dataset}/cache").replace(f"{key}.json", content)


def _opened(root: Storage, folder: str, key: str) -> Artifact | None:
    try:
        artifact = Artifact.open(root.below(folder).uri, root.options)
        if artifact.manifest.details.get(CACHE_KEY) != key:
            return None
        artifact.check_parts()
    except ArtifactError:
        return None
    return artifact


def _copied(
    root: Storage, description: Description, other: Artifact, key: str, metrics: Mapping[str, Any]
) -> Artifact | None:
    volatile = ("created_timestamp",)
    try:
        with ArtifactWriter(root, description, other.schema, volatile=volatile) as writer:
            writer.write_all(other.batches())
            proof = other.read_beside(PROOF)
            details = {name: value for name, value in other.manifest.details.items() if name not in description.details}
            made = writer.publish({**other.manifest.metrics, **metrics}, {**details, CACHE_KEY: key})
    except (ArtifactError, OSError) as error:
        # Another run replaced it while it was read: then it is computed.
        _log.info("%s: %s cannot be reused (%s)", description.dataset, other.uri, error)
        return None
    if made.fingerprint != other.fingerprint:
        return None
    if proof is not None:
        made.write_beside(PROOF, proof)
    _log.info("%s: unchanged, nothing was computed: copied from %s", description.dataset, other.uri)
    return made
