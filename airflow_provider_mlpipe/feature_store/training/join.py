"""The point-in-time join: for each label, per view, the newest row that is not later and not too old.

In three steps, so that wide rows are never sorted by time nor held: (1) keys and times of the labels, numbered; (2) an
as-of join of those with nothing but keys and times of the features; (3) the feature rows that were hit, streamed past
the hits into a file of their own, in the order of the labels. DuckDB spills each of them when memory is short.

Two rows of one key and one time: the one created later counts (one without a creation time last), and of rows created
at the same time the one with the greater values, column by column, nulls last: arbitrary, but always the same.
"""

# ruff: noqa: S608 - names are ours or quoted, values are numbers

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine, literal, quote
from airflow_provider_mlpipe.feature_store.training.labels import FileRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from airflow_provider_mlpipe.feature_store.training.history import Snapshot
    from airflow_provider_mlpipe.feature_store.training.labels import Labels
    from airflow_provider_mlpipe.feature_store.training.selection import Chosen

__all__ = ["Join", "Match", "Spine"]

_ROW_GROUP_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Spine:
    """The labels as the join sees them: numbered, with keys and times.

    Attributes:
        rows: how many.
        first: the earliest label; None if none has a time.
        last: the latest.
        without_time: labels without a time, which match nothing.
        without_key: labels with a null in a key of any view.
        after_as_of: labels later than the run's moment.
    """

    rows: int
    first: datetime | None
    last: datetime | None
    without_time: int
    without_key: int
    after_as_of: int


@dataclass(frozen=True, kw_only=True)
class Match:
    """What became of the labels in one view, counted on the join's own result.

    Attributes:
        matched: labels with a row.
        without_key: labels with a null in a key.
        lead_microseconds: the greatest feature time less label time; None without a match.
        violations: matches with a feature later than the label, later than as_of, or older than the TTL.
        oldest: the earliest event time among the matched rows.
        newest: the latest.
    """

    matched: int
    without_key: int
    lead_microseconds: int | None
    violations: int
    oldest: datetime | None
    newest: datetime | None


class Join:
    """The join of one training set.

    Args:
        engine: with enough room to spill.
        keys: the labels' key columns, of all views together.
        scratch: a folder for what was found.
        as_of: features later than this are not seen; None for no such cut.
    """

    def __init__(self, engine: DuckDBEngine, keys: Sequence[str], scratch: Path, as_of: datetime | None) -> None:
        self._engine = engine
        self._keys = {name: f"k{number}" for number, name in enumerate(keys)}
        self._scratch = scratch
        self._as_of = as_of
        self._views: list[Chosen] = []
        # Joins are built on the right side, which is written to be the narrow one, whatever the estimates say.
        engine.connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")

    def read(self, labels: Labels, time: str) -> Spine:
        """Take keys and times of the labels."""
        columns = [*self._keys, time]
        created, rows = False, 0
        for batch in labels.batches(list(dict.fromkeys(columns))):
            self._engine.connection.register("batch", _numbered(batch, list(self._keys), time, rows))
            verb = "INSERT INTO spine" if created else "CREATE TEMP TABLE spine AS"
            self._engine.connection.execute(f"{verb} SELECT * FROM batch")
            self._engine.connection.unregister("batch")
            created, rows = True, rows + batch.num_rows
        if not created:
            import pyarrow as pa

            empty = pa.RecordBatch.from_pylist([], schema=labels.schema)
            self._engine.connection.register("batch", _numbered(empty, list(self._keys), time, 0))
            self._engine.connection.execute("CREATE TEMP TABLE spine AS SELECT * FROM batch")
        late = "false" if self._as_of is None else f"t > {_instant(self._as_of)}"
        null = _any_null(self._keys.values())
        first, last, timeless, keyless, after = self._engine.row(
            f"SELECT epoch_us(min(t)), epoch_us(max(t)), count(*) - count(t), count(*) FILTER ({null}), "
            f"count(*) FILTER ({late}) FROM spine"
        )
        return Spine(
            rows=rows,
            first=_moment(first),
            last=_moment(last),
            without_time=timeless,
            without_key=keyless,
            after_as_of=after,
        )

    def match(self, chosen: Chosen, snapshot: Snapshot, spine: Spine) -> Match:
        """Find the rows of one view.

        Args:
            chosen: what to take.
            snapshot: the files to read; a column that none of them has is null.
            spine: what `read` returned.
        """
        number = len(self._views)
        self._views.append(chosen)
        self._source(number, chosen, snapshot, spine)
        on = " AND ".join(f"s.{key} = f.{key}" for key in self._of(chosen))
        same = ", ".join([*self._of(chosen), "t"])
        # If the newest row is too old, so are all others: the TTL may be looked at after the join.
        fresh = "true" if chosen.ttl is None else f"epoch_us(s.t) - epoch_us(f.t) <= {_microseconds(chosen.ttl)}"
        taken = ", ".join(f"s.{key}" for key in self._of(chosen))
        self._engine.connection.execute(
            f"CREATE TEMP TABLE hit{number} AS SELECT s.n, {taken}, f.t FROM spine AS s "
            f"ASOF JOIN (SELECT {same} FROM source{number}) AS f ON {on} AND s.t >= f.t WHERE {fresh}"
        )
        self._collect(number, chosen)
        return self._counts(number, chosen)

    def unmatched(self) -> int:
        """Return how many labels have a row in no view."""
        hits = " UNION ".join(f"SELECT n FROM hit{number}" for number in range(len(self._views)))
        (count,) = self._engine.row(f"SELECT count(*) FROM spine ANTI JOIN ({hits}) USING (n)")
        return int(count)

    def rows(self, number: int) -> Iterator[pa.RecordBatch]:
        """Yield what was found in the view of that number: the label's number, then the features; in order."""
        return FileRows(self._file(number)).batches()

    def _source(self, number: int, chosen: Chosen, snapshot: Snapshot, spine: Spine) -> None:
        """Make the view's rows readable under our names: k0.., t, c, f0.., within the labels' stretch of time."""
        present = {name for file in snapshot.files for name in file.schema.names}
        created = f"CAST({quote(chosen.created)} AS TIMESTAMPTZ)" if chosen.created in present else "NULL::TIMESTAMPTZ"
        columns = [f"{quote(theirs)} AS {self._keys[ours]}" for ours, theirs in chosen.keys.items()]
        columns += [f"CAST({quote(chosen.timestamp)} AS TIMESTAMPTZ) AS t", f"{created} AS c"]
        columns += [
            f"{quote(feature.column) if feature.column in present else 'NULL'} AS f{position}"
            for position, feature in enumerate(chosen.features)
        ]
        paths = ", ".join(literal(path) for path in snapshot.paths)
        start, end = self.window(chosen, spine)
        bounds = [f"t <= {_instant(end)}"] if end is not None else ["false"]
        bounds += [f"t >= {_instant(start)}"] if start is not None else []
        present_keys = [f"{key} IS NOT NULL" for key in self._of(chosen)]
        read = f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
        self._engine.connection.execute(
            f"CREATE TEMP VIEW source{number} AS SELECT * FROM (SELECT {', '.join(columns)} FROM {read}) "
            f"WHERE {' AND '.join([*bounds, *present_keys])}"
        )

    def window(self, chosen: Chosen, spine: Spine) -> tuple[datetime | None, datetime | None]:
        """Return the stretch of time in which rows can matter, both ends included; without an end none can."""
        if spine.first is None or spine.last is None:
            return None, None
        end = spine.last if self._as_of is None else min(spine.last, self._as_of)
        try:
            start = None if chosen.ttl is None else spine.first - chosen.ttl
        except OverflowError:
            start = None
        return start, end

    def _counts(self, number: int, chosen: Chosen) -> Match:
        """Count on what was found, against the labels themselves."""
        future = "h.t > s.t" if self._as_of is None else f"(h.t > s.t OR h.t > {_instant(self._as_of)})"
        old = "false" if chosen.ttl is None else f"epoch_us(s.t) - epoch_us(h.t) > {_microseconds(chosen.ttl)}"
        matched, lead, violations, oldest, newest = self._engine.row(
            f"SELECT count(*), max(epoch_us(h.t) - epoch_us(s.t)), count(*) FILTER ({future} OR {old}), "
            f"epoch_us(min(h.t)), epoch_us(max(h.t)) FROM hit{number} AS h JOIN spine AS s ON s.n = h.n"
        )
        (without_key,) = self._engine.row(f"SELECT count(*) FROM spine WHERE {_any_null(self._of(chosen))}")
        return Match(
            matched=matched,
            without_key=without_key,
            lead_microseconds=lead,
            violations=violations,
            oldest=_moment(oldest),
            newest=_moment(newest),
        )

    def _collect(self, number: int, chosen: Chosen) -> None:
        """Write the rows that were hit, with the labels' numbers.

        Of rows of one key and time one is taken; all else streams past.
        """
        features = [f"f{position}" for position in range(len(chosen.features))]
        order = ", ".join(f"{column} DESC NULLS LAST" for column in ["c", *features])
        same = ", ".join([*self._of(chosen), "t"])
        taken = ", ".join(["n", *features])
        self._engine.connection.execute(
            f"CREATE TEMP TABLE tied{number} AS SELECT {same} FROM source{number} "
            f"SEMI JOIN hit{number} USING ({same}) GROUP BY ALL HAVING count(*) > 1"
        )
        self._engine.connection.execute(
            f"COPY (SELECT {taken} FROM (SELECT {taken} FROM source{number} JOIN hit{number} USING ({same}) "
            f"ANTI JOIN tied{number} USING ({same}) UNION ALL "
            f"SELECT {taken} FROM source{number} JOIN hit{number} USING ({same}) SEMI JOIN tied{number} USING ({same}) "
            f"QUALIFY row_number() OVER (PARTITION BY n ORDER BY {order}) = 1) ORDER BY n) "
            f"TO {literal(str(self._file(number)))} (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})"
        )

    def _file(self, number: int) -> Path:
        return self._scratch / f"found-{number}.parquet"

    def _of(self, chosen: Chosen) -> list[str]:
        return [self._keys[name] for name in chosen.keys]


def _numbered(batch: pa.RecordBatch, keys: list[str], time: str, start: int) -> pa.Table:
    """Return number, time to the microsecond in UTC, and keys of a batch of labels."""
    import numpy as np
    import pyarrow as pa

    number = pa.array(np.arange(start, start + batch.num_rows, dtype=np.int64))
    moment = batch.column(time)
    if pa.types.is_date(moment.type):
        moment = moment.cast(pa.timestamp("s")).cast(pa.timestamp("us"))
    moment = moment.cast(pa.timestamp("us", moment.type.tz), safe=False).cast(pa.timestamp("us", "UTC"))
    columns = {"n": number, "t": moment} | {f"k{i}": _plain(batch.column(name)) for i, name in enumerate(keys)}
    return pa.table(columns)


def _plain(column: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _any_null(columns: Iterable[str]) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns) or "false"


def _instant(moment: datetime) -> str:
    return f"make_timestamptz({_epoch(moment)})"


def _epoch(moment: datetime) -> int:
    return _microseconds(moment - datetime(1970, 1, 1, tzinfo=UTC))


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _moment(microseconds: int | None) -> datetime | None:
    if microseconds is None:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
