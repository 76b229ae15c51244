"""Looking at data without rules: what every column holds, which columns are keys, how often rows arrive.

A validation reads what its rules need. A survey takes the time to count exactly, as what it finds is kept: a stored
profile that later data is compared with, a first set of rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine
from airflow_provider_mlpipe.errors import redact
from airflow_provider_mlpipe.run import instant
from airflow_provider_mlpipe.validation.cadence import Cadence, cadence
from airflow_provider_mlpipe.validation.distributions import distributions
from airflow_provider_mlpipe.validation.frame import Frame
from airflow_provider_mlpipe.validation.keys import proven_keys
from airflow_provider_mlpipe.validation.profile import EXACT_ROWS, ColumnProfile, profile

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from airflow_provider_mlpipe.artifacts import Artifact
    from airflow_provider_mlpipe.engines import DuckDBSettings

__all__ = ["Survey", "survey"]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What there is in an artifact.

    Attributes:
        dataset: the artifact's dataset.
        stage: its stage.
        artifact: its address, without secrets.
        fingerprint: of its content.
        rows: how many.
        as_of: the moment that ages are measured against; None if the artifact tells none.
        columns: by name, in the order of the data.
        distributions: by column: ``bins`` or ``values``, and ``weights``.
        keys: columns, or pairs of columns, that are different in every row.
        cadence: how often rows arrive.
        sensitive: columns whose values are not told.
    """

    dataset: str
    stage: str
    artifact: str
    fingerprint: str
    rows: int
    as_of: datetime | None
    columns: dict[str, ColumnProfile]
    distributions: dict[str, dict[str, list[Any]]]
    keys: tuple[tuple[str, ...], ...]
    cadence: Cadence | None
    sensitive: frozenset[str] = frozenset()

    @property
    def exact(self) -> bool:
        """Whether distinct values were counted, not estimated."""
        return self.rows <= EXACT_ROWS


def survey(
    artifact: Artifact,
    *,
    as_of: datetime | None = None,
    sensitive: Collection[str] = (),
    engine: DuckDBSettings | None = None,
) -> Survey:
    """Look at all rows of an artifact.

    Args:
        artifact: the rows.
        as_of: the moment that ages are measured against; the end of the artifact's own interval if absent.
        sensitive: columns of which only type, nulls and distinct values are told.
        engine: what the computation may take.

    Raises:
        ArtifactError: the data cannot be read.
    """
    manifest = artifact.manifest
    ends = manifest.run.get("interval")
    moment = instant(as_of) if as_of is not None else instant(ends[1]) if ends else None
    hidden = frozenset(sensitive)
    with DuckDBEngine.open(engine) as opened:
        frame = Frame.of_artifact(opened, artifact)
        columns = profile(frame)
        told = {name: column for name, column in columns.items() if name not in hidden}
        keys = proven_keys(frame, columns)
        repeating = {name: column for name, column in told.items() if (name,) not in keys}
        return Survey(
            dataset=manifest.dataset,
            stage=manifest.stage,
            artifact=redact(artifact.uri),
            fingerprint=artifact.fingerprint,
            rows=frame.rows,
            as_of=moment,
            columns=columns,
            distributions=distributions(frame, repeating) if frame.rows else {},
            keys=keys,
            cadence=cadence(frame, told, moment) if moment is not None and frame.rows else None,
            sensitive=hidden,
        )
