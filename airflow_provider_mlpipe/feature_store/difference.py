"""What differs between an artifact and what is online: all of both, compared some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_mlpipe.engines import DuckDBEngine, quote
from airflow_provider_mlpipe.feature_store import guard, read_back
from airflow_provider_mlpipe.feature_store.definitions import CREATED, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import pyarrow as pa

    from airflow_provider_mlpipe.artifacts import Artifact, ArtifactWriter
    from airflow_provider_mlpipe.feature_store.arrow_engine.comparison import Compared
    from airflow_provider_mlpipe.feature_store.definitions import Definition
    from airflow_provider_mlpipe.feature_store.inventory import Inventory

__all__ = ["Comparison", "Difference"]


@dataclass
class Difference:
    """How an artifact and the online store differ.

    Attributes:
        rewrite: entities of the artifact whose online values or time are others, or which are not online.
        changed: of those, how many have other values.
        unchanged: entities that are online as in the artifact.
        newest: the newest event_timestamp that is online for an entity of the artifact.
        excess: keys that are online and not in the artifact, as Feast serializes them.
    """

    rewrite: int = 0
    changed: int = 0
    unchanged: int = 0
    newest: datetime | None = None
    excess: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """An artifact beside the online rows of a view.

    Attributes:
        rows: how many rows the artifact has, and `entities` how many of them can be online.
        store: a `feast.FeatureStore`.
        view: the registered `feast.FeatureView`.
        inventory: lists what the view holds online.
    """

    artifact: Artifact
    definition: Definition
    facts: guard.Survey
    store: Any
    view: Any
    inventory: Inventory

    def run(self, writer: ArtifactWriter | None = None) -> Difference:
        """Compare; `writer` gets the rows that must be written again."""
        import pyarrow as pa

        found = Difference()
        with DuckDBEngine.open() as engine:
            for name in ("held", "online"):
                engine.connection.execute(f"CREATE TEMP TABLE {name} (key BLOB)")
            for batch, keys, due in self._compared(found):
                _add(engine, "held", keys)
                if writer is not None and due.true_count:
                    writer.write(batch.filter(due))
            for some in self.inventory.listed():
                _add(engine, "online", pa.array(some, pa.binary()))
            excess = engine.rows("SELECT DISTINCT key FROM online ANTI JOIN held USING (key) ORDER BY key")
        found.excess = [bytes(key) for (key,) in excess]
        return found

    def _compared(self, found: Difference) -> Iterator[tuple[pa.RecordBatch, pa.Array, pa.BooleanArray]]:
        """Yield rows, their serialized keys, and which of them must be written again; count in `found`."""
        import pyarrow as pa

        from airflow_provider_mlpipe.feature_store.arrow_engine.comparison import comparer

        compare = comparer(self.store, self.view, self.artifact.schema)
        if compare is not None:
            for batch in self._newest_rows(guard.COLUMN_ROWS):
                answer = compare(batch)
                yield batch, answer.keys, _counted(batch, answer, found)
            return
        for batch in self._newest_rows(guard.LOOKUP_ROWS):
            keys = guard.entity_keys(self.definition, batch.column(self.definition.entity).to_pylist())
            due = self._asked(batch, keys, found)
            yield batch, pa.array(map(_serialized, keys), pa.binary()), pa.array(due, pa.bool_())

    def _newest_rows(self, count: int) -> Iterator[pa.RecordBatch]:
        """Yield one row per entity, the newest, some at a time."""
        if self.facts.entities == self.facts.rows:
            yield from self.artifact.batches(batch_size=count)
            return
        # The features decide last, so that of two rows of one time the same one is taken every time.
        created = (CREATED,) if self.definition.created else ()
        order = ", ".join(f"{quote(name)} DESC" for name in (TIMESTAMP, *created, *self.definition.features))
        query = (
            f"SELECT * FROM features "  # noqa: S608
            f"QUALIFY row_number() OVER (PARTITION BY {quote(self.definition.entity)} ORDER BY {order}) = 1"
        )
        with DuckDBEngine.open() as engine:
            engine.view("features", self.artifact)
            for batch in engine.batches(query, count):
                yield batch.cast(self.artifact.schema)

    def _asked(self, batch: pa.RecordBatch, keys: list[Any], found: Difference) -> list[bool]:
        """Ask Feast, and return for each row whether it must be written again."""
        from feast.type_map import feast_value_type_to_python_type

        names = self.definition.features
        answers = self.store.provider.online_read(self.store.config, self.view, keys, list(names))
        due = []
        for row, (time, values) in zip(_rows(batch), answers, strict=True):
            online = {name: feast_value_type_to_python_type(value) for name, value in (values or {}).items()}
            same = time is not None and all(read_back.same(row[name], online.get(name)) for name in names)
            moment = guard.utc(time)
            due.append(not (same and _same_time(moment, row[TIMESTAMP])))
            found.changed += not same
            found.newest = max(filter(None, (moment, found.newest)), default=None)
        found.rewrite += sum(due)
        found.unchanged += len(due) - sum(due)
        return due


def _counted(batch: pa.RecordBatch, answer: Compared, found: Difference) -> pa.BooleanArray:
    """Return which rows must be written again; as `Comparison._asked`, a column at a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def seconds(times: pa.Array) -> pa.Array:
        return pc.floor_temporal(times.cast(pa.timestamp(times.type.unit)), unit="second").cast(pa.timestamp("s"))

    same = pa.array(answer.same)
    same_time = pc.fill_null(pc.equal(seconds(answer.times), seconds(batch.column(TIMESTAMP))), pa.scalar(value=False))
    due = pc.invert(pc.and_(same, same_time))
    found.changed += pc.invert(same).true_count
    found.rewrite += due.true_count
    found.unchanged += due.false_count
    found.newest = max(filter(None, (guard.utc(pc.max(answer.times).as_py()), found.newest)), default=None)
    return due


def _same_time(online: datetime | None, wanted: datetime) -> bool:
    """Whether a row's time is the artifact's, to the second, because that is what SQLite keeps.

    A row of the right values and another time is not as it was: a newer one would hold off reruns of its interval.
    """
    ours = guard.utc(wanted)
    return online is not None and ours is not None and online.replace(microsecond=0) == ours.replace(microsecond=0)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return rows with times as Python holds them: to the microsecond."""
    import pyarrow as pa
    import pyarrow.types as kinds

    fields = [
        item.with_type(pa.timestamp("us", item.type.tz)) if kinds.is_timestamp(item.type) else item
        for item in batch.schema
    ]
    rows: list[dict[str, Any]] = batch.cast(pa.schema(fields), safe=False).to_pylist()
    return rows


def _serialized(key: Any) -> bytes:  # noqa: ANN401 - feast has no types
    from feast.infra.key_encoding_utils import serialize_entity_key

    return bytes(serialize_entity_key(key, entity_key_serialization_version=3))


def _add(engine: DuckDBEngine, table: str, keys: pa.Array) -> None:
    import pyarrow as pa

    engine.connection.register("some_keys", pa.table({"key": keys}))
    engine.connection.execute(f"INSERT INTO {table} SELECT key FROM some_keys")  # noqa: S608
    engine.connection.unregister("some_keys")
