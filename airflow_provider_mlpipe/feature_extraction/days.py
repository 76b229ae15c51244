"""A history, day by day: its slices have the fingerprints that the days' own runs gave, or it is not the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.artifacts.fingerprint import Fingerprint
from airflow_provider_mlpipe.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact

__all__ = ["Days", "Difference", "compare", "day_fingerprints"]

_TIME = "event_timestamp"
_VOLATILE = ("created_timestamp",)


class Days:
    """Takes the rows of a history in the order of their moments, and keeps rows and fingerprint of each.

    Args:
        schema: the schema of the rows.
        volatile: columns that do not count.
    """

    def __init__(self, schema: pa.Schema, volatile: tuple[str, ...] = _VOLATILE) -> None:
        self._schema, self._volatile = schema, volatile
        self._open: tuple[datetime, Fingerprint, int] | None = None
        self._done: list[dict[str, Any]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some rows."""
        import pyarrow as pa

        for moment, rows in _runs(batch):
            if self._open is None or self._open[0] != moment:
                self._close()
                self._open = (moment, Fingerprint(self._schema, self._volatile), 0)
            _, fingerprint, count = self._open
            fingerprint.update(pa.Table.from_batches([rows], schema=self._schema))
            self._open = (moment, fingerprint, count + rows.num_rows)

    def as_list(self) -> list[dict[str, Any]]:
        """Return ``as_of``, ``rows`` and ``fingerprint`` of every moment that has rows."""
        self._close()
        return self._done

    def _close(self) -> None:
        if self._open is not None:
            moment, fingerprint, rows = self._open
            self._done.append({"as_of": moment.isoformat(), "rows": rows, "fingerprint": fingerprint.digest()})
        self._open = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A day whose own run holds other rows than the history's slice of it.

    Attributes:
        as_of: the day's moment.
        history: the slice's fingerprint; None if the history has no row of that moment.
        run: the fingerprint of the day's artifact.
        uri: where the day's artifact is.
    """

    as_of: datetime
    history: str | None
    run: str
    uri: str


def day_fingerprints(history: Artifact, *, reread: bool = False) -> dict[datetime, str]:
    """Return the fingerprint of each moment's rows, as an artifact of these rows alone would have it.

    Args:
        history: an artifact of many moments.
        reread: compute them from the rows, rather than take those that were noted when the rows were written.

    Raises:
        FeatureError: the artifact is none of many moments.
    """
    noted = history.manifest.details.get("days")
    if noted is None:
        raise FeatureError.because(
            where=history.uri, feature=history.manifest.dataset, problem="is not a history of many moments",
            hint="Make one with mlpipe extract --as-of-range START END.",
        )  # fmt: skip
    if reread:
        days = Days(history.schema)
        for batch in history.batches():
            days.add(batch)
        noted = days.as_list()
    return {datetime.fromisoformat(day["as_of"]): day["fingerprint"] for day in noted}


def compare(history: Artifact, runs: Iterable[Artifact], *, reread: bool = False) -> tuple[Difference, ...]:
    """Hold the slices of a history against the artifacts of the days' own runs; return where they differ.

    Args:
        history: an artifact of many moments.
        runs: artifacts of one moment each, of the same feature set.
        reread: see `day_fingerprints`.

    Raises:
        FeatureError: `history` is none, or a run is of another set or definition.
    """
    slices = day_fingerprints(history, reread=reread)
    found = []
    for run in runs:
        details, expected = run.manifest.details, history.manifest.details
        if any(details.get(name) != expected.get(name) for name in ("feature_set", "spec_hash")):
            raise FeatureError.because(
                where=run.uri, feature=str(expected.get("feature_set")),
                problem="was computed by another definition than the history, so that they cannot be compared",
                hint="Compute the history or the day anew with the present definition.",
            )  # fmt: skip
        moment = datetime.fromisoformat(details["as_of"])
        if slices.get(moment) != run.fingerprint and (moment in slices or run.manifest.rows):
            found.append(Difference(as_of=moment, history=slices.get(moment), run=run.fingerprint, uri=run.uri))
    return tuple(found)


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[datetime, pa.RecordBatch]]:
    """Yield the stretches of a batch that belong to one moment."""
    import pyarrow.compute as pc

    encoded = pc.run_end_encode(batch.column(_TIME))
    start = 0
    for end, moment in zip(encoded.run_ends.to_pylist(), encoded.values.to_pylist(), strict=True):
        yield moment.astimezone(UTC), batch.slice(start, end - start)
        start = end
