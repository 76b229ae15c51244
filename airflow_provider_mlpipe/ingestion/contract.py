"""What the configuration promises of a source's columns: names, types, which must be there, which may change."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_mlpipe.artifacts.writer import plain_batch, plain_schema, unwritable
from airflow_provider_mlpipe.errors import ConfigError, SourceRejectedError
from airflow_provider_mlpipe.ingestion.casting import arrow_type, cast
from airflow_provider_mlpipe.ingestion.evolution import Evolution
from airflow_provider_mlpipe.ingestion.stream import Rejected

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_mlpipe.config import Configured, Source
    from airflow_provider_mlpipe.ingestion.evolution import Accepted

__all__ = ["Contract"]


class Contract:
    """Gives a source's columns our names and types and checks that what is required is there.

    Args:
        source: the configured source.
        schema: what it gives, by its own names.
        location: where it is, for messages.
        accepted: the schema that was last published; None if none was.

    Attributes:
        schema: what is published.
        changes: how the source differs from `accepted`, in words.

    Raises:
        SourceRejectedError: a column that is required, mapped, typed, or a key is missing, a name appears twice or is
            none, parquet has no such type, or the schema changed where it may not.
        ConfigError: the mapping gives one name to two columns.
    """

    def __init__(
        self, source: Configured[Source], schema: pa.Schema, location: str, accepted: Accepted | None = None
    ) -> None:
        import pyarrow as pa

        self._source, self._location = source, location
        mapping = source.model.columns
        theirs = list(schema.names)
        self._refuse_twins(theirs)
        self._require([name for name in mapping.values() if name is not None], theirs)
        renamed: dict[str, list[str]] = {}
        for ours, their in mapping.items():
            if their is not None:
                renamed.setdefault(their, []).append(ours)
        self._refuse_clashes(theirs, renamed)
        pairs = [(ours, their) for their in theirs for ours in renamed.get(their, [their])]
        self._positions = [theirs.index(their) for _, their in pairs]
        self._added = [ours for ours, their in mapping.items() if their is None]
        fields = [pa.field(ours, schema.field(their).type) for ours, their in pairs]
        # A column that the source does not have has no type either.
        mapped = pa.schema(fields + [pa.field(name, pa.null()) for name in self._added])
        self._require([*source.model.required_columns, *source.model.types, *self._keys()], list(mapped.names))
        self._refuse_nameless(list(mapped.names))
        self._mapped = plain_schema(mapped)
        self._refuse_unwritable(self._mapped)
        self._types = {name: arrow_type(word) for name, word in source.model.types.items()}
        typed = pa.schema([pa.field(item.name, self._types.get(item.name, item.type)) for item in self._mapped])
        named = {*mapping, *source.model.required_columns, *source.model.types, *self._keys()}
        self._evolution = Evolution(source, typed, accepted, location=location, named=named)
        self._typed, self.changes = typed, self._evolution.changes
        self.schema: pa.Schema = self._evolution.schema

    @property
    def discarded(self) -> dict[str, int]:
        """How many values became null by ``types: discard_value``, by column."""
        return dict(self._evolution.discarded)

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Rejected]]:
        """Return the rows of `batch` under our names and in our types, and those that do not fit."""
        import pyarrow as pa

        columns = [batch.column(position) for position in self._positions]
        columns += [pa.nulls(batch.num_rows)] * len(self._added)
        mapped = plain_batch(pa.RecordBatch.from_arrays(columns, names=self._mapped.names))
        bad: dict[int, str] = {}
        typed = mapped
        if self._types:
            typed, bad = self._cast(mapped)
        result, more = self._evolution.apply(typed)
        bad = more | bad
        if not bad:
            return result, []
        rows = {position: mapped.slice(position, 1).to_pylist()[0] for position in bad}
        rejected = [Rejected(bad[position], rows[position], rule="contract") for position in sorted(bad)]
        return result.filter(pa.array([position not in bad for position in range(batch.num_rows)])), rejected

    def _cast(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
        import pyarrow as pa

        columns, bad = [], dict[int, str]()
        for item, column in zip(self._typed, batch.columns, strict=True):
            fitted, misfits = cast(column, item.type) if item.name in self._types else (column, {})
            for position, reason in misfits.items():
                bad.setdefault(position, f"{item.name}: {reason}")
            columns.append(fitted)
        return pa.RecordBatch.from_arrays(columns, schema=self._typed), bad

    def _keys(self) -> list[str]:
        deduplicate = self._source.model.deduplicate
        return [] if deduplicate is None else [*deduplicate.keys, *deduplicate.order_by]

    def _require(self, names: list[str], available: list[str]) -> None:
        missing = [name for name in dict.fromkeys(names) if name not in available]
        if missing:
            raise SourceRejectedError.missing_columns(
                source=self._source.name, location=self._location, missing=missing, available=available
            )

    def _refuse_twins(self, theirs: list[str]) -> None:
        twins = [name for name, count in Counter(theirs).items() if count > 1]
        if twins:
            raise SourceRejectedError.refused(
                source=self._source.name,
                location=self._location,
                problem=f"more than one column is named {', '.join(map(repr, twins))}",
                hint="Give each column of the query a name of its own: SELECT a.id AS a_id, b.id AS b_id.",
            )

    def _refuse_nameless(self, names: list[str]) -> None:
        """No engine can address them, and nobody could ask for them."""
        nameless = [name for name in names if not name or "\0" in name]
        if nameless:
            place = names.index(nameless[0]) + 1
            raise SourceRejectedError.refused(
                source=self._source.name,
                location=self._location,
                problem=f"column {place} of {len(names)} is named {nameless[0]!r}, which is no name",
                hint=f"Give it one, as in columns: {{row_number: {json.dumps(nameless[0])}}}"
                + ("; pandas leaves its index without a name." if not nameless[0] else "."),
            )

    def _refuse_unwritable(self, schema: pa.Schema) -> None:
        kinds = unwritable(schema)
        if kinds:
            raise SourceRejectedError.refused(
                source=self._source.name,
                location=self._location,
                problem="parquet cannot hold " + ", ".join(f"{name!r} ({kind})" for name, kind in kinds.items()),
                hint="Cast it at the source, to text for example, or leave it out of what is read.",
            )

    def _refuse_clashes(self, theirs: list[str], renamed: dict[str, list[str]]) -> None:
        kept = set(theirs) - set(renamed)
        for ours in self._source.model.columns:
            if ours in kept:
                raise ConfigError.invalid(
                    where=self._source.where("columns", ours),
                    key=f"columns.{ours}",
                    problem="the source has a column of that name already, and it is not renamed",
                    hint=f"Rename it too (columns: {{other_{ours}: {ours}}}), or leave {ours} out of the mapping.",
                )
