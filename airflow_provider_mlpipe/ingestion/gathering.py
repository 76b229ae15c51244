"""What mapped tasks published, as one artifact: a manifest that names their files, and no row copied."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts import MANIFEST, Artifact, Description, Manifest, Part
from airflow_provider_mlpipe.artifacts.manifest import encode_schema, schema_fields
from airflow_provider_mlpipe.errors import ArtifactError, ConfigError, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_mlpipe.artifacts import Storage
    from airflow_provider_mlpipe.run import Run

__all__ = ["gather"]

logger = logging.getLogger(__name__)


def gather(artifacts: Sequence[Artifact], *, root: Storage, run: Run) -> Artifact:
    """Return one artifact with the rows of all: ``{root}/{dataset}/{stage}-all/{partition}``.

    It refers to the parts where they are: a mapped task that runs again replaces its own, and the artifact is to be
    gathered again, which Airflow does by clearing what comes after. The order of `artifacts` does not matter.

    Args:
        artifacts: of one dataset and stage, or of one stage: then the first one names the dataset.
        root: the artifact root.
        run: who asks; decides the partition.

    Raises:
        ConfigError: there is none, or they do not have the same columns.
        PublishError: the artifact root refused.
    """
    given = sorted(artifacts, key=lambda artifact: artifact.uri)
    if not given:
        raise ConfigError(
            "there is no artifact to go on with: the mapped tasks returned none.",
            hint="Map them over at least one partition, or skip this task too.",
        )
    if len(given) == 1:
        return given[0]
    _refuse_different(given)
    first = given[0].manifest
    described = Description(
        dataset=first.dataset, stage=f"{first.stage}-all", run=run,
        inputs=tuple(artifact.as_input(artifact.manifest.partition) for artifact in given),
    )  # fmt: skip
    parts = tuple(part for artifact in given for part in _addressed(artifact))
    digest = hashlib.sha256("\n".join(sorted(artifact.fingerprint for artifact in given)).encode()).hexdigest()[:40]
    place = root.below(described.folder)
    manifest = Manifest(
        dataset=described.dataset,
        stage=described.stage,
        partition=run.partition,
        rows=sum(artifact.manifest.rows for artifact in given),
        bytes=sum(part.bytes for part in parts),
        fingerprint=f"all-{digest}",
        parts=parts,
        schema=schema_fields(given[0].schema),
        arrow_schema=encode_schema(given[0].schema),
        run=run.as_dict(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        inputs=described.inputs,
        metrics=_counts(given),
        details={"gathered": len(given)},
        versions=first.versions,
    )
    with place.publishing(MANIFEST):
        place.make_folder()
        place.replace(MANIFEST, manifest.to_json())
    logger.info("%s: %d artifacts, %d rows", redact(place.uri), len(given), manifest.rows)
    return Artifact(place, manifest)


def _addressed(artifact: Artifact) -> Iterable[Part]:
    """Return the parts with addresses that hold from anywhere."""
    local = artifact.place.is_local
    for part, path in zip(artifact.manifest.parts, artifact.paths, strict=True):
        name = str(Path(path).absolute()) if local else f"s3://{path.removeprefix('s3://')}"
        yield Part(name=name, rows=part.rows, bytes=part.bytes, sha256=part.sha256)


def _counts(given: Iterable[Artifact]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for artifact in given:
        for name in ("records_read", "records_written", "records_failed", "duplicates_dropped"):
            total[name] += int(artifact.manifest.metrics.get(name, 0))
    return dict(total)


def _refuse_different(given: Sequence[Artifact]) -> None:
    """Refuse artifacts whose rows are not of one table."""
    first = given[0]
    for other in given[1:]:
        if other.place.is_local != first.place.is_local:
            raise ArtifactError(
                f"{redact(first.uri)} and {redact(other.uri)} are not in one storage.", hint="Use one artifact root."
            )
        if other.manifest.stage != first.manifest.stage:
            raise ConfigError(
                f"{redact(first.uri)} is {first.manifest.stage}, {redact(other.uri)} is {other.manifest.stage}.",
                hint="Give the artifacts of one task.",
            )
        if other.schema == first.schema:
            continue
        ours, theirs = ({field.name: str(field.type) for field in each.schema} for each in (first, other))
        unlike = [
            f"{name} ({ours.get(name, 'absent')}, {theirs.get(name, 'absent')})"
            for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)
        ]  # fmt: skip
        raise ConfigError(
            f"{redact(first.uri)} and {redact(other.uri)} cannot be one: {len(unlike)} columns differ: "
            f"{', '.join(unlike[:5]) or 'in their order'}.",
            hint="Declare them in the ingestion file: types for the types, columns for what a partition lacks.",
        )
