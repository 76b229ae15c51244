"""A schema that is not what it was: compared with the last accepted one, and what the configuration makes of that.

The last accepted schema is that of the newest earlier partition: no state but the artifacts themselves, so a replay of
an old day compares with what that day compared with.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.errors import SourceRejectedError
from airflow_provider_mlpipe.ingestion.casting import cast

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, Source

__all__ = ["Accepted", "Evolution"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accepted:
    """The schema that was last published, and where."""

    schema: pa.Schema
    partition: str


@dataclass
class _Plan:
    """What to do with the columns."""

    keep: list[pa.Field] = field(default_factory=list)
    cast: dict[str, str] = field(default_factory=dict)
    absent: list[pa.Field] = field(default_factory=list)
    refuse_new: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)


class Evolution:
    """Brings batches from the schema that a source has now to the one that is published.

    Args:
        source: the configured source; its `schema_contract` decides.
        found: the schema as the source has it, by our names.
        accepted: what it was; None if this is the first time.
        location: where the source is, for messages.
        named: columns that the configuration names: new ones of these are wanted, whatever the contract says.

    Attributes:
        schema: what is published.
        changes: what is different, in words, whatever was made of it.
        discarded: values that became null as the accepted type cannot hold them, by column.

    Raises:
        SourceRejectedError: something changed that may not.
    """

    def __init__(
        self,
        source: Configured[Source],
        found: pa.Schema,
        accepted: Accepted | None,
        *,
        location: str,
        named: Collection[str] = (),
    ) -> None:
        import pyarrow as pa

        self._source, self._found, self._named = source, found, named
        self.discarded: Counter[str] = Counter()
        self._plan = _Plan(keep=list(found)) if accepted is None else self._planned(accepted.schema)
        if self._plan.frozen and accepted is not None:
            raise self._refused(accepted, location)
        self.changes = self._plan.changes
        if accepted is not None:
            for change in self.changes:
                _log.warning("source %s: since %s, %s", source.name, accepted.partition, change)
        self.schema: pa.Schema = pa.schema([*self._plan.keep, *self._plan.absent])

    def _planned(self, old: pa.Schema) -> _Plan:
        import pyarrow as pa

        policy, plan = self._source.model.schema_contract, _Plan()
        before = {item.name: item for item in old}
        for item in self._found:
            was = before.pop(item.name, None)
            if was is None:
                self._new(plan, item)
            elif was.type == item.type or pa.types.is_null(was.type):
                plan.keep.append(item)
            elif pa.types.is_null(item.type):  # nothing but nulls today says nothing of the type
                plan.keep.append(was)
                plan.cast[item.name] = "evolve"
            else:
                self._changed(plan, was, item)
        for item in before.values():
            change = f"{item.name} ({item.type}) is missing"
            plan.changes.append(change)
            if policy.missing_columns == "freeze":
                plan.frozen.append(f"- {item.name}: {item.type}")
            elif policy.missing_columns == "fill":
                plan.absent.append(item)
        return plan

    def _new(self, plan: _Plan, item: pa.Field) -> None:
        mode = "evolve" if item.name in self._named else self._source.model.schema_contract.new_columns
        plan.changes.append(f"{item.name} ({item.type}) is new")
        if mode == "freeze":
            plan.frozen.append(f"+ {item.name}: {item.type}")
        elif mode == "evolve":
            plan.keep.append(item)
        elif mode == "discard_row":
            plan.refuse_new.append(item.name)

    def _changed(self, plan: _Plan, was: pa.Field, item: pa.Field) -> None:
        mode = self._source.model.schema_contract.types
        plan.changes.append(f"{item.name} is {item.type}, it was {was.type}")
        if mode == "freeze":
            plan.frozen.append(f"~ {item.name}: {was.type} -> {item.type}")
        elif mode == "evolve":
            plan.keep.append(item)
        else:
            plan.keep.append(was)
            plan.cast[item.name] = mode

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
        """Return a batch in `schema`, and by position why a row may not be in it; such rows are still there."""
        import pyarrow as pa

        plan, bad = self._plan, dict[int, str]()
        for name in plan.refuse_new:
            for position, value in enumerate(batch.column(name).is_valid().to_pylist()):
                if value:
                    bad.setdefault(position, f"{name}: a column that the schema contract does not know has a value")
        columns = []
        for item in plan.keep:
            column = batch.column(item.name)
            if item.name in plan.cast:
                column, misfits = cast(column, item.type)
                if plan.cast[item.name] == "discard_row":
                    bad = {position: f"{item.name}: {reason}" for position, reason in misfits.items()} | bad
                elif misfits:
                    self.discarded[item.name] += len(misfits)
            columns.append(column)
        columns += [pa.nulls(batch.num_rows, item.type) for item in plan.absent]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema), bad

    def _refused(self, accepted: Accepted, location: str) -> SourceRejectedError:
        listed = "".join(f"\n  {line}" for line in self._plan.frozen)
        return SourceRejectedError.refused(
            source=self._source.name,
            location=location,
            problem=f"its schema is not the one accepted with {accepted.partition}:{listed}",
            hint="Change the source back; or accept the new schema by one run with schema_contract: evolve "
            f"({self._source.where('schema_contract')}).",
        )
