"""Dividing an artifact: the rows that break rules go to a quarantine with their reasons, the others on.

The engine only says which rows those are, by their position. The rows themselves go from parquet to parquet as Arrow
batches, in their order, so that no type, NaN or nanosecond passes through a system that knows it differently.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts import ArtifactWriter, Description
from airflow_provider_mlpipe.errors import ArtifactError, redact
from airflow_provider_mlpipe.run import Interval, Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_provider_mlpipe.artifacts import Artifact, Input, Storage
    from airflow_provider_mlpipe.validation.frame import Frame
    from airflow_provider_mlpipe.validation.measures import Condition
    from airflow_provider_mlpipe.validation.rules import Rule

__all__ = ["Division", "TooManyError", "divide", "stages_of"]

logger = logging.getLogger(__name__)

Breaking = tuple["Rule", "Condition"]
"""A rule, and the SQL that is true of a row that breaks it."""

REASONS = "_mlpipe_reasons"
POSITION = "_mlpipe_row"
_RELATION = "judged_with_position"
_STREAM = "judged_stream"


class TooManyError(Exception):
    """More rows break rules than may be taken out; nothing was published.

    Attributes:
        rows: how many were found by then.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(rows)
        self.rows = rows


@dataclass(frozen=True, kw_only=True)
class Division:
    """What an artifact was divided into.

    Attributes:
        clean: the rows that break no rule.
        quarantine: the others, each with its position in the artifact that was divided and with its reasons.
        by_rule: how many rows each rule takes out, by rule id; a row may break several.
    """

    clean: Artifact
    quarantine: Artifact
    by_rule: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows were taken out."""
        return self.quarantine.manifest.rows

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "rows": self.rows,
            "passed_on": self.clean.manifest.rows,
            "clean": redact(self.clean.uri),
            "artifact": redact(self.quarantine.uri),
            "by_rule": self.by_rule,
        }


def stages_of(stage: str) -> tuple[str, str]:
    """Return the stages under which the clean rows and the quarantine of an artifact lie.

    ``quarantine`` alone is what ingestion writes: rows that could not even be read.

    >>> stages_of("raw"), stages_of("features")
    (('validated', 'validated-quarantine'), ('features-validated', 'features-validated-quarantine'))
    """
    clean = "validated" if stage == "raw" else f"{stage}-validated"
    return clean, f"{clean}-quarantine"


def divide(
    frame: Frame, artifact: Artifact, breaking: Sequence[Breaking], *, root: Storage, run: Run, most: int
) -> Division:
    """Write the rows that break a rule and those that break none as two artifacts.

    The quarantine is published first: whoever finds the clean rows finds the others, too. A failure midway leaves
    what was there before.

    Args:
        frame: the rows as the conditions address them, on an engine of its own.
        artifact: the rows as they are.
        breaking: the rules, and what is true of a row that breaks them.
        root: the artifact root to write to.
        run: who divides. The partition is that of `artifact`, so that a rerun lands in the same place.
        most: so many rows may be taken out.

    Raises:
        TooManyError: there are more, or there would be nothing left; nothing was published.
        ArtifactError: the parts do not add up to the whole, or the storage refused.
    """
    stages = stages_of(artifact.manifest.stage)
    described = [_description(artifact, stage, run) for stage in stages]
    schemas = [artifact.schema, _quarantine_schema(artifact.schema)]
    by_rule = dict.fromkeys((rule.rule_id for rule, _ in breaking), 0)
    with ExitStack() as stack:
        clean, bad = (
            stack.enter_context(ArtifactWriter(root, description, schema, volatile=_volatile(artifact)))
            for description, schema in zip(described, schemas, strict=True)
        )
        for batch, indices, broken in _judged(frame, artifact, breaking):
            if len(indices):
                bad.write(_with_reasons(batch, indices, broken, breaking, schemas[1]))
                for rule_id, count in zip(by_rule, broken.sum(axis=0).tolist(), strict=True):
                    by_rule[rule_id] += count
                if bad.rows > most:
                    raise TooManyError(bad.rows)
            clean.write(_without(batch, indices))
        _check_sum(artifact, clean.rows, bad.rows)
        if clean.rows == 0:
            raise TooManyError(bad.rows)
        origin = {"uri": artifact.uri, "fingerprint": artifact.fingerprint}
        facts = {"of": origin, "rows": bad.rows, "by_rule": by_rule}
        listed = [{"rule_id": rule.rule_id, "rule": rule.text, "where": rule.where} for rule, _ in breaking]
        quarantine = bad.publish({"rows_quarantined": bad.rows}, {"quarantined": {**facts, "rules": listed}})
        kept = {"quarantine": {**facts, "artifact": quarantine.uri, "quarantine_fingerprint": quarantine.fingerprint}}
        published = clean.publish({"rows_quarantined": bad.rows}, kept)
    logger.info("%s: %d rows passed on, %d quarantined", redact(artifact.uri), clean.rows, bad.rows)
    return Division(clean=published, quarantine=quarantine, by_rule=by_rule)


def _description(artifact: Artifact, stage: str, run: Run) -> Description:
    manifest = artifact.manifest
    inputs: tuple[Input, ...] = (artifact.as_input(manifest.stage),)
    return Description(
        dataset=manifest.dataset, stage=stage, run=_in_partition_of(artifact, run), config_hash=manifest.config_hash,
        inputs=inputs, details=manifest.details,
    )  # fmt: skip


def _in_partition_of(artifact: Artifact, run: Run) -> Run:
    """Return `run` as one that writes to the partition of `artifact`."""
    recorded = artifact.manifest.run
    interval = Interval(start=recorded["interval"][0], end=recorded["interval"][1]) if recorded["interval"] else None
    found = replace(run, interval=interval, map_index=recorded["map_index"])
    return found if found.partition == artifact.manifest.partition else replace(found, run_id=recorded["run_id"])


def _volatile(artifact: Artifact) -> tuple[str, ...]:
    """Return the columns of features that say when they were computed, which is no part of their content."""
    return ("created_timestamp",) if "feature_set" in artifact.manifest.details else ()


def _quarantine_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of the rows, then where they stood and why they are here."""
    import pyarrow as pa

    reason = pa.struct([("rule_id", pa.string()), ("rule", pa.string()), ("where", pa.string())])
    position, reasons = (_free(name, schema.names) for name in (POSITION, REASONS))
    return pa.schema([*schema, pa.field(position, pa.int64()), pa.field(reasons, pa.list_(reason))])


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:  # as in the quarantine of a quarantine
        name = f"_{name}"
    return name


def _judged(
    frame: Frame, artifact: Artifact, breaking: Sequence[Breaking]
) -> Iterator[tuple[_Placed, NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield every batch with the indices of its bad rows, and with which rules each of those breaks."""
    import numpy as np

    found = _Bad(frame, artifact, breaking)
    start = 0
    for batch in artifact.batches():
        positions, broken = found.before(start + batch.num_rows)
        yield _Placed(batch, start), np.asarray(positions - start), broken
        start += batch.num_rows


@dataclass(frozen=True)
class _Placed:
    """A batch, and the position of its first row in the artifact."""

    batch: pa.RecordBatch
    start: int


def _without(placed: _Placed, indices: NDArray[np.int64]) -> pa.RecordBatch:
    """Return the batch without some rows."""
    import numpy as np
    import pyarrow as pa

    if not len(indices):
        return placed.batch
    keep = np.ones(placed.batch.num_rows, dtype=bool)
    keep[indices] = False
    return placed.batch.filter(pa.array(keep))


def _with_reasons(
    placed: _Placed,
    indices: NDArray[np.int64],
    broken: NDArray[np.bool_],
    breaking: Sequence[Breaking],
    schema: pa.Schema,
) -> pa.RecordBatch:
    """Return the bad rows of a batch, each with its position and its reasons."""
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts.writer import plain_batch

    listed = [{"rule_id": rule.rule_id, "rule": rule.text, "where": rule.where} for rule, _ in breaking]
    reasons = [[listed[place] for place in row.nonzero()[0]] for row in broken]
    rows = plain_batch(placed.batch.take(pa.array(indices, pa.int64())))
    added = [pa.array(indices + placed.start, pa.int64()), pa.array(reasons, schema.types[-1])]
    return pa.RecordBatch.from_arrays([*rows.columns, *added], schema=schema)


class _Bad:
    """The positions of the rows that break a rule, in order, taken from the engine as they are needed."""

    def __init__(self, frame: Frame, artifact: Artifact, breaking: Sequence[Breaking]) -> None:
        import numpy as np

        self._empty = np.empty(0, dtype=np.int64), np.empty((0, len(breaking)), dtype=bool)
        self._positions, self._broken = self._empty
        self._batches: Iterator[pa.RecordBatch] = iter(_bad_rows(frame, artifact, breaking))

    def before(self, end: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the positions below `end` that were not yet returned, and a matrix of the rules that they break."""
        import numpy as np

        while not len(self._positions) or self._positions[-1] < end:
            batch = next(self._batches, None)
            if batch is None:
                break
            positions, *columns = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            self._positions = np.concatenate([self._positions, positions])
            self._broken = np.concatenate([self._broken, np.stack(columns, axis=1).astype(bool)])
        some = int(np.searchsorted(self._positions, end))
        given = self._positions[:some], self._broken[:some]
        self._positions, self._broken = self._positions[some:], self._broken[some:]
        return given


def _bad_rows(frame: Frame, artifact: Artifact, breaking: Sequence[Breaking]) -> pa.RecordBatchReader:
    """Return the positions of the rows that break a rule, sorted, with one boolean column per rule."""
    connection = frame.embedded.connection
    connection.register(_STREAM, _stream(artifact))
    parameters = [value for _, (_, values) in breaking for value in values]
    flags = ", ".join(f"coalesce(({sql}), false) AS b{place}" for place, (_, (sql, _)) in enumerate(breaking))
    some = " OR ".join(f"b{place}" for place in range(len(breaking)))
    sql = (
        f"SELECT * FROM (SELECT position, {flags} FROM ({_addressed(frame)}) AS {_RELATION}) "  # noqa: S608
        f"WHERE {some} ORDER BY position"
    )
    return connection.sql(sql, params=parameters).to_arrow_reader(65_536)


def _addressed(frame: Frame) -> str:
    """Return the stream with its columns named as conditions name them, NaN being null."""
    from airflow_provider_mlpipe.validation.frame import logical_type

    columns = ", ".join(
        f"CASE WHEN isnan(g{place}) THEN NULL ELSE g{place} END AS c{place}"
        if logical_type(column) == "float"
        else f"g{place} AS c{place}"
        for place, column in enumerate(frame.schema)
    )
    return f"SELECT {columns}, position FROM {_STREAM}"  # noqa: S608


def _stream(artifact: Artifact) -> pa.RecordBatchReader:
    """Return the rows with their positions, to be read once."""
    import numpy as np
    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts.writer import plain_batch, plain_schema

    fields = [pa.field(f"g{place}", _readable(kind)) for place, kind in enumerate(plain_schema(artifact.schema).types)]
    schema = pa.schema([*fields, pa.field("position", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in artifact.batches():
            columns = [
                column if column.type == given.type else column.cast(given.type)
                for column, given in zip(plain_batch(batch).columns, fields, strict=True)
            ]
            positions = pa.array(np.arange(start, start + batch.num_rows, dtype=np.int64))
            yield pa.RecordBatch.from_arrays([*columns, positions], schema=schema)
            start += batch.num_rows

    return pa.RecordBatchReader.from_batches(schema, batches())


def _readable(kind: pa.DataType) -> pa.DataType:
    """Return a type that the engine takes from Arrow: decimals of 256 bits as what its parquet reader makes of them."""
    import pyarrow as pa

    return pa.float64() if pa.types.is_decimal256(kind) else kind


def _check_sum(artifact: Artifact, clean: int, bad: int) -> None:
    """Refuse to publish if a row got lost or came twice."""
    if clean + bad == artifact.manifest.rows:
        return
    raise ArtifactError(
        f"{redact(artifact.uri)} has {artifact.manifest.rows:,} rows, but {clean:,} to pass on and {bad:,} to "
        f"quarantine are {clean + bad:,}: nothing was published.",
        hint="Try again; if it happens again, this is a defect of airflow-provider-mlpipe: please report it.",
        uri=redact(artifact.uri),
    )
